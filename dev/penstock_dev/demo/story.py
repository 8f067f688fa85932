"""The story, act by act. Each act says what it does, does it, and waits until it is seen to be so.

Raises DidNotHappen when it is not: the demo never tells what it has not seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Final

from penstock import names
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.rollout import Source
from penstock.api.sample import Sample
from penstock_dev import traffic
from penstock_dev.demo import money
from penstock_dev.demo.cluster import AGENT
from penstock_dev.demo.seen import Seen
from penstock_dev.demo.stage import PATTERN, DidNotHappen, Stage
from penstock_dev.traffic import Answer

Act = Callable[[Stage], Awaitable[None]]

READY_SECONDS: Final = 120.0
FIRST_ANSWERS_SECONDS: Final = 60.0
STEP_SECONDS: Final = 90.0
PATCH_SECONDS: Final = 30.0
ROLLBACK_SECONDS: Final = 120.0
FIRST_ANSWERS: Final = 30
BY_HAND_PERCENT: Final = 35
MEASURED_USERS: Final = 300
#: More than three standard deviations of a share of 35 % among so many users.
TOLERANCE_PERCENT: Final = 10.0
TASKS_AFTER: Final = 100
_PATCH: Final = (
    f"kubectl patch agentrollout {AGENT} --type merge "
    """-p '{{"spec":{{"traffic":{{"canaryPercent":{percent}}}}}}}'"""
)


async def begin(stage: Stage) -> None:
    """An agent and its rollout policy."""
    steps = " → ".join(str(percent) for percent in (*stage.steps, 100))
    await stage.do(
        f'The agent "{AGENT}", version 1.0, and how its changes reach users: {steps} %.',
        f"kubectl apply -f {stage.manifest('agent-v1.yaml')} -f {stage.manifest('rollout.yaml')}",
    )
    seen = await stage.until(
        "the first revision", READY_SECONDS, lambda s: s.ready and bool(s.stable)
    )
    stage.say(f"It is ready: the revision {seen.stable} serves everybody.")


async def serve(stage: Stage) -> None:
    """Live traffic from here on."""
    stage.say(f"{PATTERN.users} users now ask {PATTERN.rate_per_second:g} times a second.")
    await stage.begin_traffic()
    revision = stage.seen.stable
    await stage.until(
        f"{FIRST_ANSWERS} good answers",
        FIRST_ANSWERS_SECONDS,
        lambda _: stage.ledger.tally(revision).good >= FIRST_ANSWERS,
        unless=lambda _: _complaint(stage),
    )
    show_exchange(stage, stage.ledger.answers[0])


def _complaint(stage: Stage) -> str:
    bad = [answer for answer in stage.ledger.answers if not answer.good]
    return f"{bad[-1].status}: {bad[-1].message}" if len(bad) >= FIRST_ANSWERS else ""


def show_exchange(stage: Stage, answer: Answer) -> None:
    """One request and what came back."""
    who = stage.seen.version(answer.revision)
    said = answer.output if answer.good else f"{answer.status}: {answer.message}"
    stage.view.detail(f"{answer.user}: {answer.question}")
    stage.view.detail(f"  {who}: {said}")


# --------------------------------------------------------------------------- a good revision


async def climb(stage: Stage) -> None:
    """A good revision begins to climb by itself."""
    await stage.do(
        "Version 2.0 is a good change. Nobody does anything but apply it.",
        f"kubectl apply -f {stage.manifest('agent-v2.yaml')}",
    )
    canary = await _canary_begins(stage)
    for percent in stage.steps[1:2]:
        await _step(stage, percent)
    for answer in [a for a in stage.ledger.answers if a.revision == canary][:1]:
        show_exchange(stage, answer)


async def _canary_begins(stage: Stage) -> str:
    stable = stage.seen.stable
    seen = await stage.until(
        "the first step of the new revision",
        READY_SECONDS,
        lambda s: s.under_way and s.stable == stable and s.percent > 0,
    )
    stage.say(f"{seen.version(seen.canary)} ({seen.canary}) serves {seen.percent} % of the users.")
    return seen.canary


async def _step(stage: Stage, percent: int) -> None:
    before = stage.seen
    await stage.until(
        f"the step to {percent} %",
        STEP_SECONDS,
        lambda s: s.percent >= percent or s.stable == before.canary,
        unless=_rolled_back,
    )
    done = stage.tally(before.canary)
    stage.say(
        f"{before.percent} → {percent} %, after {done.tasks} tasks on "
        f"{before.version(before.canary)}, {done.bad} failed."
    )


def _rolled_back(seen: Seen) -> str:
    return seen.verdict.message if seen.verdict and _is_off(seen, seen.canary) else ""


async def move(stage: Stage) -> None:
    """A person moves the share in the midst, and gives it back."""
    canary, earlier = stage.seen.canary, stage.seen.percent
    before = traffic.users_by_revision(_of_this_step(stage)).get(canary, set())
    command = _PATCH.format(percent=BY_HAND_PERCENT)
    await stage.do(f"A person moves the share to {BY_HAND_PERCENT} % by hand.", command)
    asked_at = time.monotonic()
    await stage.until(
        f"the share of {BY_HAND_PERCENT} %",
        PATCH_SECONDS,
        lambda s: s.percent == BY_HAND_PERCENT and s.rollout.share.source is Source.SETPOINT,
        unless=_rolled_back,
    )
    moved_at = time.monotonic()
    stage.say(f"It is in force {moved_at - asked_at:.1f} s later. Is it so for the users?")
    await _measure(stage, canary, moved_at)
    _stayed(stage, canary, earlier, before, moved_at)
    await stage.do("The share is given back to the steps.", _PATCH.format(percent="null"))
    await stage.until(
        "the return to the steps",
        PATCH_SECONDS,
        lambda s: s.rollout.share.source is Source.AUTOMATIC,
    )


def _of_this_step(stage: Stage) -> list[Answer]:
    return [a for a in stage.ledger.answers if a.revision == stage.seen.canary]


async def _measure(stage: Stage, canary: str, since: float) -> None:
    await stage.until(
        f"the measurement on {MEASURED_USERS} users",
        STEP_SECONDS,
        lambda _: _users_since(stage, since) >= MEASURED_USERS,
        unless=_rolled_back,
    )
    answers = stage.ledger.sent_since(since)
    users = traffic.users_by_revision(answers)
    ours, percent = len(users.get(canary, ())), traffic.share_percent(answers, canary) or 0.0
    everybody = _users_since(stage, since)
    who = stage.seen.version(canary)
    told = f"{ours} of {everybody} users are answered by {who}: {percent:.0f} %"
    if abs(percent - BY_HAND_PERCENT) > TOLERANCE_PERCENT:
        raise DidNotHappen(f"the share of {BY_HAND_PERCENT} % did not reach users: {told}")
    stage.say(f"{told}.")


def _users_since(stage: Stage, since: float) -> int:
    users = traffic.users_by_revision(stage.ledger.sent_since(since))
    return len(set().union(*users.values()))


def _stayed(stage: Stage, canary: str, percent: int, before: set[str], since: float) -> None:
    users = traffic.users_by_revision(stage.ledger.sent_since(since))
    others = set().union(*(seen for revision, seen in users.items() if revision != canary))
    if lost := sorted(before & others):
        raise DidNotHappen(f"users did not stay on the canary: {', '.join(lost[:3])}")
    stage.say(f"All {len(before)} users who had it at {percent} % still have it.")


async def promote(stage: Stage) -> None:
    """The good revision arrives."""
    canary = stage.seen.canary
    for percent in (*(p for p in stage.steps if p > BY_HAND_PERCENT), 100):
        await _step(stage, percent)
    seen = await stage.until(
        "the promotion", STEP_SECONDS, lambda s: s.stable == canary, unless=_rolled_back
    )
    stage.say(f"{seen.version(canary)} is stable now.")


# ---------------------------------------------------------------------------- a bad revision


async def roll_back(stage: Stage) -> None:
    """A bad revision is found out and taken off."""
    await stage.do(
        "Version 3.0 is a bad change: three answers in ten fail. Nobody watches.",
        f"kubectl apply -f {stage.manifest('agent-v3-bad.yaml')}",
    )
    canary = await _canary_begins(stage)
    begun = time.monotonic()
    seen = await stage.until(
        "the rollback of the bad revision",
        ROLLBACK_SECONDS,
        lambda s: _is_off(s, canary),
        unless=lambda s: _escaped(s, canary),
    )
    failed = [a for a in stage.ledger.answers if a.revision == canary and not a.good]
    for answer in failed[:1]:
        show_exchange(stage, answer)
    verdict = seen.verdict
    if verdict is None or verdict.reason is not Reason.ERROR_RATE:
        raise DidNotHappen(f"the guardrail on errors did not fire: {verdict}")
    stage.say(f"{time.monotonic() - begun:.0f} s later {canary} was {verdict.message}.")


def _is_off(seen: Seen, canary: str) -> bool:
    verdict = seen.verdict
    if verdict is None or verdict.revision != canary:
        return False
    return verdict.result is Result.REJECTED and seen.percent == 0


def _escaped(seen: Seen, canary: str) -> str:
    return f"{canary} was promoted instead" if seen.stable == canary else ""


async def stay_back(stage: Stage) -> None:
    """What was rejected is not revived by applying it again."""
    canary, since = stage.seen.canary, time.monotonic()
    await stage.do(
        "Does it come back when its manifest is applied again?",
        f"kubectl apply -f {stage.manifest('agent-v3-bad.yaml')}",
    )
    await stage.until(
        f"{TASKS_AFTER} answers after the rollback",
        STEP_SECONDS,
        lambda _: len(stage.ledger.sent_since(since)) >= TASKS_AFTER,
        unless=lambda s: f"its share is {s.percent} % again" if s.percent else "",
    )
    answers = stage.ledger.sent_since(since)
    if again := [answer.user for answer in answers if answer.revision == canary]:
        raise DidNotHappen(f"users did not leave {canary}: {again[0]} was served by it again")
    stage.say(f"No: {len(answers)} tasks later none has reached it, and its share is 0 %.")


async def show_record(stage: Stage) -> None:
    """What was decided, as it is kept on the revision's record."""
    canary = stage.seen.canary
    path = names.ANNOTATION_VERDICT.replace(".", r"\.")
    text = await stage.do(
        "Why it was taken off is kept on the revision's record:",
        f"kubectl get controllerrevision {canary} -o jsonpath='{{.metadata.annotations.{path}}}'",
    )
    try:
        verdict = Verdict.model_validate(json.loads(text))
    except ValueError as error:
        raise DidNotHappen(f"the record of {canary} has no decision: {text!r}") from error
    for name, value in record_rows(verdict, stage.seen.version(canary)):
        stage.view.detail(f"{name:<9} {value}")
    stage.say(_balance(stage))


def record_rows(verdict: Verdict, version: str) -> list[tuple[str, str]]:
    """The decision as names and values."""
    return [
        ("revision", f"{verdict.revision} (version {version}), attempt {verdict.attempt}"),
        ("decision", f"{verdict.result.value}: {verdict.reason.value}"),
        ("check", verdict.check or "none"),
        ("numbers", verdict.message),
        ("touched", f"{verdict.tasks} tasks of {verdict.users} users, at {verdict.percent} %"),
        ("at", verdict.at),
        *(("failed", _shown(sample)) for sample in verdict.samples),
    ]


def _shown(sample: Sample) -> str:
    return " ".join(filter(None, (sample.task, sample.reason, sample.message)))


def _balance(stage: Stage) -> str:
    tallies = stage.ledger.tallies
    parts = [
        f"{stage.seen.version(revision) or 'no revision'} {tally.tasks} ({tally.bad} failed)"
        for revision, tally in tallies.items()
        if tally.tasks
    ]
    told = ", ".join([*parts, *traffic.no_tasks(stage.ledger)])
    return f"In all {len(stage.ledger.answers)} answers: {told}."


ACTS: Final[tuple[Act, ...]] = (
    begin,
    serve,
    money.declare_a_budget,
    climb,
    move,
    promote,
    money.hold_a_budget,
    money.stop_at_a_cap,
    roll_back,
    stay_back,
    show_record,
)
