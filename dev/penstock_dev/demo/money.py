"""The chapter on money: a budget that holds while callers push, a lift, and a canary stopped by its cap.

It is about an agent of its own, so that the numbers of the story beside it stay what they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import httpx

from penstock.api import condition
from penstock_dev import traffic
from penstock_dev.demo.stage import DidNotHappen, Stage, beside

CONCIERGE: Final = "concierge"
CALLERS: Final = 50
LIFT_USD: Final = "0.50"
READY_SECONDS: Final = 120.0
PUSH_SECONDS: Final = 60.0
LIFT_SECONDS: Final = 45.0
STOP_SECONDS: Final = 90.0
_QUESTION: Final = "When is breakfast?"
_WAIT_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.1
_FEWEST: Final = 20  # answers, for anything to have been shown

Document = dict[str, Any]


@dataclass
class Pushed:
    """What callers got: tasks that were answered, tasks that ended without, requests not accepted."""

    answered: int = 0
    ended: int = 0
    refused: int = 0
    cost: Decimal = Decimal(0)
    revisions: dict[str, int] = field(default_factory=dict)

    def take(self, response: httpx.Response) -> bool:
        """Count one response; whether it was an answer."""
        document = response.json()
        if response.is_error:
            self.refused += 1
            return False
        self.cost += Decimal(document["usage"]["costUSD"])
        revision = document["revision"]
        self.revisions[revision] = self.revisions.get(revision, 0) + 1
        good = bool(document["status"] == traffic.SUCCEEDED)
        self.answered += good
        self.ended += not good
        return good


async def declare_a_budget(stage: Stage) -> None:
    """An agent with a budget; its workers come up while the story goes on beside it."""
    await stage.do(
        f'Another agent, "{CONCIERGE}", may spend 0.01 USD a day. More of it later.',
        f"kubectl apply -f {stage.manifest('budget-v1.yaml')}",
    )


async def hold_a_budget(stage: Stage) -> None:
    """Callers who ask for more than a budget has; then a person lifts it."""
    await _until("its first revision", READY_SECONDS, lambda: _is(stage, "Serving"))
    stage.say(
        f"{CALLERS} callers push {CONCIERGE}, which may spend 0.01 USD a day, until nobody is answered."
    )
    pushed = await _push(stage)
    (window,) = [one for one in (await _budget(stage))["windows"] if one["scope"] == "agent"]
    _check(pushed, window)
    stage.say(
        f"{pushed.answered} answers for {window['spent']} USD of {window['limit']}, which is what their "
        f"tasks add up to; {pushed.ended + pushed.refused} requests were refused."
    )
    await _until("the word of it", LIFT_SECONDS, lambda: _is(stage, "BudgetSpent"))
    await stage.do(
        f"The Agent says BudgetSpent until the day ends. A person gives it {LIFT_USD} USD more:",
        f"kubectl annotate agent {CONCIERGE} penstock.dev/request=budget-lift/agent/daily/{LIFT_USD}/demo",
    )
    await _until("the lift", LIFT_SECONDS, lambda: _is(stage, "Serving"))
    stage.say("It answers again.")


def _check(pushed: Pushed, window: Document) -> None:
    spent, limit = Decimal(window["spent"]), Decimal(window["limit"])
    if pushed.answered < _FEWEST or not pushed.ended + pushed.refused:
        raise DidNotHappen(f"the budget was not pushed to its end: {pushed}")
    if spent > limit:
        raise DidNotHappen(f"the budget did not hold: {spent} of {limit} USD were spent")
    if spent != pushed.cost:
        raise DidNotHappen(f"the ledger has {spent} USD, the tasks add up to {pushed.cost}")


async def stop_at_a_cap(stage: Stage) -> None:
    """A canary that costs too much is taken off by its cap, and blamed for nothing."""
    await stage.do(
        "Its version 2.0 talks ten times as long. While it is tried it may spend 0.01 USD.",
        f"kubectl apply -f {stage.manifest('budget-v2-dear.yaml')}",
    )
    await _until("the canary", READY_SECONDS, lambda: _percent(stage, 50))
    begun = time.monotonic()
    async with beside(_go_on(stage)):
        await _until("the stop at the cap", STOP_SECONDS, lambda: _stopped(stage))
    told = await _rollout(stage)
    message = _condition(told, "Stopped")[1]
    if not await _percent(stage, 0):
        raise DidNotHappen(f"the canary was not taken off: {message}")
    if told.get("verdicts"):
        raise DidNotHappen(f"the canary was rejected for what it cost: {told['verdicts']}")
    stage.say(f"{time.monotonic() - begun:.0f} s later it is off, and not rejected:")
    stage.view.detail(message.partition(". ")[0])


# ------------------------------------------------------------------------------------ the callers


async def _go_on(stage: Stage) -> None:
    await _push(stage, for_ever=True)


async def _push(stage: Stage, *, for_ever: bool = False) -> Pushed:
    """Ask from all sides, each caller until it gets no answer, or for ever."""
    pushed = Pushed()
    environment = stage.cluster.environment
    target = traffic.Target(environment.gateway_url or "", environment.token, CONCIERGE)
    async with target.client() as client:

        async def call(number: int) -> None:
            body = {"input": _QUESTION, "user": f"guest-{number:02d}", "wait": _WAIT_SECONDS}
            while True:
                try:
                    said = await client.post(target.path, json=body, timeout=2 * _WAIT_SECONDS)
                except httpx.HTTPError:
                    return  # it is not among those that are counted
                if not pushed.take(said) and not for_ever:
                    return
                if said.is_error:
                    await asyncio.sleep(_POLL_SECONDS)

        try:
            async with asyncio.timeout(None if for_ever else PUSH_SECONDS):
                async with asyncio.TaskGroup() as callers:
                    for number in range(CALLERS):
                        callers.create_task(call(number))
        except TimeoutError:
            raise DidNotHappen(f"the budget was not at its end within {PUSH_SECONDS:g} s") from None
    return pushed


# ------------------------------------------------------------------------------- what is to be seen


async def _until(what: str, seconds: float, happened: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + seconds
    while not await happened():
        if time.monotonic() > deadline:
            raise DidNotHappen(f"{what} of {CONCIERGE} did not come within {seconds:g} s")
        await asyncio.sleep(_POLL_SECONDS)


async def _is(stage: Stage, reason: str) -> bool:
    status = (await stage.cluster.document("agents", CONCIERGE)).get("status") or {}
    return _condition(status, "Ready")[0] == reason


async def _rollout(stage: Stage) -> Document:
    found = await stage.cluster.document("agentrollouts", CONCIERGE)
    return found.get("status") or {}


async def _percent(stage: Stage, percent: int) -> bool:
    return ((await _rollout(stage)).get("share") or {}).get("percent") == percent


async def _stopped(stage: Stage) -> bool:
    status = await _rollout(stage)
    return condition.Status.TRUE in [
        one["status"] for one in status.get("conditions", ()) if one["type"] == "Stopped"
    ]


def _condition(status: Document, kind: str) -> tuple[str, str]:
    """Reason and message of a condition; empty where there is none."""
    found = [one for one in status.get("conditions", ()) if one["type"] == kind]
    return (found[0]["reason"], found[0]["message"]) if found else ("", "")


async def _budget(stage: Stage) -> Document:
    """The budget as the gateway tells it, once no call runs any more."""
    environment = stage.cluster.environment
    target = traffic.Target(environment.gateway_url or "", environment.token, CONCIERGE)
    deadline = time.monotonic() + LIFT_SECONDS
    async with target.client() as client:
        while True:
            said: Document = (await client.get(target.path.replace("/tasks", "/budget"))).json()
            if all(Decimal(one["reserved"]) == 0 for one in said["windows"]):
                return said
            if time.monotonic() > deadline:
                raise DidNotHappen(f"calls still hold some of the budget: {said['windows']}")
            await asyncio.sleep(_POLL_SECONDS)
