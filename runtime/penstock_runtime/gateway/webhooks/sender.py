"""Sends what is told: of all gateways one looks what is news, and each target has a courier of its own.

A target that is slow or away holds up no other one. What is not taken is tried again, later each
time, for as long as it is news: an escalation as Asked while it is open, as Decided while it is
kept. Nothing is known here that Redis does not know, but where a look goes on.
"""

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from penstock.errors import StoreRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock_runtime import logs
from penstock_runtime.gateway import metrics
from penstock_runtime.gateway.links import Links
from penstock_runtime.gateway.outages import Outages
from penstock_runtime.gateway.webhooks import messages, targets
from penstock_runtime.gateway.webhooks.messages import Message
from penstock_runtime.gateway.webhooks.posting import AT_A_TIME, DEADLINE_SECONDS, Post, Undelivered
from penstock_runtime.gateway.webhooks.signing import SecretUnusable
from penstock_runtime.gateway.webhooks.targets import Target, Targets
from penstock_store.outbox import ASKED, Delivery
from penstock_store.store import Store

LOOK_SECONDS: Final = 2.0
SECONDS_PER_AGENT: Final = 0.01  # of a round of looks: a hundred agents a second
LEASE_SECONDS: Final = 15.0
STANDBY_SECONDS: Final = 5.0
HELD_SECONDS: Final = 3 * DEADLINE_SECONDS
FIRST_PAUSE_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 300.0
_JITTER: Final = 0.2
_AWAY = (StoreUnavailable, StoreRefused)

Send = Callable[[Message], Awaitable[None]]


def pause_seconds(waited_seconds: float, asked_for: float, chance: float) -> float:
    """How long after a failed attempt the next one is made: as long as the message has waited, in bounds.

    Args:
        waited_seconds: since it was news.
        asked_for: by the target, in its answer; 0: nothing.
        chance: from 0 to 1; spreads what failed together by a fifth to either side.
    """
    paced = min(max(waited_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
    return max(paced * (1 - _JITTER + 2 * _JITTER * chance), asked_for)


@dataclass
class Courier:
    """Carries messages to one target, those of one agent after those of another."""

    name: str
    target: Target
    store: Store
    links: Links | None
    installation: str
    send: Send
    now: Callable[[], float]
    outages: Outages
    _ready: dict[AgentKey, None] = field(default_factory=dict)
    _bell: asyncio.Event = field(default_factory=asyncio.Event)
    _failed: int = 0  # rounds in a row

    def ready(self, agent: AgentKey) -> None:
        """Something of an agent is due."""
        self._ready[agent] = None
        self._bell.set()

    def idle(self) -> None:
        """Another gateway sends."""
        self._ready.clear()

    async def run(self) -> None:
        """Carry for ever."""
        while True:
            await self._bell.wait()
            while self._ready:
                agent = next(iter(self._ready))
                del self._ready[agent]
                try:
                    await self._carry(agent)
                except _AWAY as error:
                    self.outages.note(str(error))
                    await asyncio.sleep(FIRST_PAUSE_SECONDS)
            self._bell.clear()

    async def _carry(self, agent: AgentKey) -> None:
        now_ms, batch = await self.store.outbox.take(agent, self.name, AT_A_TIME, HELD_SECONDS)
        went = await asyncio.gather(*(self._deliver(one, now_ms) for one in batch))
        if len(batch) == AT_A_TIME:
            self.ready(agent)
        self._failed = self._failed + 1 if batch and not any(went) else 0
        if self._failed > 1:  # whoever is away is not asked for one message after another
            await asyncio.sleep(min(2**self._failed, LONGEST_PAUSE_SECONDS / 5))

    async def _deliver(self, delivery: Delivery, now_ms: int) -> bool:
        """Deliver one; whether the target can be reached, as far as is known."""
        try:
            outcome = await self._attempt(delivery)
        except _AWAY:
            raise
        except (Undelivered, SecretUnusable) as error:
            asked_for = error.retry_after if isinstance(error, Undelivered) else 0.0
            await self._postpone(delivery, now_ms, str(error), asked_for)
            return False
        except Exception as error:  # noqa: BLE001 - one message must not stop the others
            logs.get().error("a message cannot be made", exc_info=error)
            await self._postpone(delivery, now_ms, "this is a bug", LONGEST_PAUSE_SECONDS)
            return True
        metrics.WEBHOOK_DELIVERIES.labels(self.name, outcome).inc()
        await self.store.outbox.done(delivery)
        return True

    async def _attempt(self, delivery: Delivery) -> str:
        """Send a message, unless it is none any more; the outcome in one word."""
        try:
            found = await self.store.escalations.get(delivery.escalation)
        except StoreRefused:
            return "dropped"  # another hand has written it
        is_open = found is not None and found.status == "Open"
        if found is None or is_open != (delivery.kind == ASKED):
            return "dropped"
        if delivery.kind not in self.target.kinds or not self.target.is_told_of(delivery.agent):
            return "dropped"
        message = messages.message(
            delivery, found, self.target, self.links, self.installation, int(self.now())
        )
        with metrics.WEBHOOK_SECONDS.labels(self.name).time():
            await self.send(message)
        return "delivered"

    async def _postpone(
        self, delivery: Delivery, now_ms: int, reason: str, asked_for: float
    ) -> None:
        metrics.WEBHOOK_DELIVERIES.labels(self.name, "failed").inc()
        pause = pause_seconds((now_ms - delivery.since_ms) / 1000, asked_for, random.random())
        logs.get().warning(
            "a webhook did not take a message",
            target=self.name,
            kind=delivery.kind,
            escalation=delivery.escalation,
            reason=reason,
            again_in_seconds=round(pause),
        )
        await self.store.outbox.postpone(delivery, pause)


class Sender:
    """Looks what is news while this gateway is the one that sends."""

    def __init__(
        self,
        store: Store,
        couriers: Mapping[str, Courier],
        clock: Callable[[], float],
        outages: Outages,
    ) -> None:
        self._store = store
        self._couriers = couriers
        self._targets: Targets = {name: each.target for name, each in couriers.items()}
        self._clock = clock
        self._outages = outages
        self._me = uuid.uuid4().hex
        self._places: dict[AgentKey, int] = {}
        metrics.begin_webhooks(self._targets)

    async def run(self) -> None:
        """Send for ever; at the end another gateway may at once."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for courier in self._couriers.values():
                    tasks.create_task(courier.run())
                tasks.create_task(self._look_for_ever())
        finally:
            with contextlib.suppress(*_AWAY):
                await self._store.outbox.lead(self._me, 0)

    async def _look_for_ever(self) -> None:
        while True:
            try:
                leads = await self._store.outbox.lead(self._me, LEASE_SECONDS)
                pause = await self._round() if leads else STANDBY_SECONDS
            except _AWAY as error:
                self._outages.note(str(error))
                leads, pause = False, FIRST_PAUSE_SECONDS
            except Exception as error:  # noqa: BLE001 - callers must be served, and a later round may go well
                logs.get().error("webhooks cannot be looked after", exc_info=error)
                leads, pause = False, LONGEST_PAUSE_SECONDS
            if not leads:
                self._stand_by()
            await asyncio.sleep(pause)

    def _stand_by(self) -> None:
        for courier in self._couriers.values():
            courier.idle()
        metrics.begin_webhooks(self._targets)

    async def _round(self) -> float:
        """Look at each agent of which somebody is told; the pause until the next round."""
        began, renewed = self._clock(), self._clock()
        waiting = dict.fromkeys(self._targets, 0)
        waited_ms = dict.fromkeys(self._targets, 0)
        agents = await self._store.routes.index()
        for agent in agents:
            told = targets.told_of(self._targets, agent)
            if not told:
                continue
            kinds = [(name, target.kinds) for name, target in told]
            try:
                place, found = await self._store.outbox.look(
                    agent, kinds, self._places.get(agent, 0)
                )
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - what one Agent's keys hold must not silence the others
                logs.get().error("an agent cannot be looked at", agent=str(agent), exc_info=error)
                continue
            self._places[agent] = place
            for (name, _), due in zip(told, found, strict=True):
                if due.due:
                    self._couriers[name].ready(agent)
                waiting[name] += due.waiting
                waited_ms[name] = max(waited_ms[name], due.waited_ms)
            if self._clock() - renewed > LEASE_SECONDS / 3:
                renewed = self._clock()
                if not await self._store.outbox.lead(self._me, LEASE_SECONDS):
                    return STANDBY_SECONDS
        self._places = {agent: place for agent, place in self._places.items() if agent in agents}
        metrics.show_webhooks(waiting, waited_ms)
        spent = self._clock() - began
        return max(max(LOOK_SECONDS, len(agents) * SECONDS_PER_AGENT) - spent, LOOK_SECONDS / 2)


@dataclass
class Sending:
    """All that a gateway with targets does beside its callers, for as long as it is entered."""

    sender: Sender
    posts: Sequence[Post]

    async def run(self) -> None:
        """Send for ever."""
        try:
            await self.sender.run()
        finally:
            for post in self.posts:
                await post.aclose()


def sending(
    store: Store,
    known: Targets,
    links: Links | None,
    installation: str,
    now: Callable[[], float],
    clock: Callable[[], float],
) -> Sending:
    """What sends to these targets.

    Args:
        store: where escalations are.
        known: the targets, at least one.
        links: what makes links.
        installation: its name, which messages tell.
        now: seconds since 1970.
        clock: seconds that never go backwards.
    """
    outages = Outages()
    posts = {name: Post(target.secret) for name, target in known.items()}
    couriers = {
        name: Courier(name, target, store, links, installation, posts[name].send, now, outages)
        for name, target in known.items()
    }
    return Sending(Sender(store, couriers, clock, outages), list(posts.values()))
