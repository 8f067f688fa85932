"""Copies of stable's tasks: a canary's worker runs them beside its tasks, and nobody waits for one."""

import asyncio
import contextlib
import secrets
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from penstock import errors
from penstock.api import tiers
from penstock.api.restrictions import Restrictions
from penstock.escalation import Asked
from penstock.money.ledger import Amount, Money, Quote, Reserved
from penstock.shadow import Intent, Way
from penstock.task import Priority, Task, TaskStatus
from penstock_runtime import logs
from penstock_runtime.agent import loop, shadowing
from penstock_runtime.agent.boundary import Broken, caught
from penstock_runtime.agent.context import LIVE, Context
from penstock_runtime.agent.history import History
from penstock_runtime.agent.keeper import Event
from penstock_runtime.agent.models.answers import Answers
from penstock_runtime.agent.models.model import Ledger
from penstock_runtime.agent.shadowing import Recording
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.tools.disarmed import Intended
from penstock_runtime.agent.transcript import Transcript
from penstock_runtime.worker.account import Account
from penstock_runtime.worker.crew import Duty
from penstock_store.copies import Copy, Found
from penstock_store.records import Claim
from penstock_store.store import Store

T = TypeVar("T")

AT_ONCE: Final = 4  # of one worker

log = logs.get()


class Uncapped(Exception):
    """A call of a copy was not made: nothing bounds what copies spend."""


class _Capped:
    """A copy's account: where nothing bounds what copies spend, no call is made."""

    is_unbounded = False

    def __init__(self, account: Account) -> None:
        self._account = account

    async def reserve(self, quote: Quote) -> Reserved:
        """See ``Ledger.reserve``.

        Raises:
            Uncapped: there is no cap.
        """
        reserved = await self._account.reserve(quote)
        if reserved is None:
            raise Uncapped
        return reserved

    async def let_go(self) -> None:
        """See ``Ledger.let_go``."""
        await self._account.let_go()

    def settle(self, reserved: Reserved, used: Amount) -> None:
        """See ``Ledger.settle``."""
        self._account.settle(reserved, used)


class CopyHold:
    """Keeps a copy while it runs, in this process alone; implements the loop's ``Keeper``.

    No state of it is stored, no event is told, no session is written and nobody is asked.
    """

    context: Context = LIVE
    answers: Answers | None = None

    def __init__(self, store: Store, copy: Copy, begun: Run, wall_seconds: float) -> None:
        self._store = store
        self._agent = copy.agent
        self._wall_ms = round(wall_seconds * 1000)
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self.last = begun
        self.task_id = copy.id
        self.trace_id = secrets.token_hex(16)
        self._account = Account(store.ledger, _claim(copy), self._left_ms, asked=False)
        self.ledger: Ledger | None = _Capped(self._account)

    @property
    def restrictions(self) -> Restrictions:
        """See ``Keeper.restrictions``."""
        return self._store.claims.brakes.of(self._agent)

    def wall_ms(self) -> int:
        """See ``Keeper.wall_ms``."""
        return round((self._clock() - self._started) * 1000)

    def _left_ms(self) -> int:
        return self._wall_ms - self.wall_ms()

    def bills(self) -> Money:
        """What its calls were billed and was not told yet; what it never asked for is given back."""
        return Money(self._account.last_bills())

    async def save(
        self,
        run: Run,
        events: list[Event],  # noqa: ARG002 - nobody is told
        *,
        replicated: bool = False,  # noqa: ARG002
        next_call: Quote | None = None,  # noqa: ARG002 - each call reserves by itself
    ) -> None:
        """Know the newest state. See ``Keeper.save``."""
        self.last = run

    async def park(self, run: Run, asked: Asked) -> None:
        """End the copy: no person is asked for it.

        Raises:
            Intended: always.
        """
        self.last = run
        raise Intended(Intent(asked.tool, asked.arguments))

    def hand_over(self) -> None:
        """Nobody takes a copy over. See ``Keeper.hand_over``."""

    async def interruptible(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call. See ``Keeper.interruptible``."""
        return await call


def _claim(copy: Copy) -> Claim:
    """What an account knows a copy by: no such task is stored anywhere."""
    task = Task(
        id=copy.id,
        agent=copy.agent,
        revision=copy.revision,
        status=TaskStatus.RUNNING,
        input=copy.input,
        tenant="",
        user="",
        session="",
        type=copy.type,
        priority=Priority.BATCH,
        metadata={},
        route_version=0,
        trace_id="",
        created_ms=0,
    )
    return Claim(f"{copy.id}@{secrets.token_hex(8)}", copy.agent, copy.revision, task, "", "")


class Copies:
    """Runs copies for one worker, at most ``AT_ONCE``: they take no place of a task."""

    def __init__(self, store: Store, agent: loop.Agent, duty: Duty) -> None:
        self._store = store
        self._agent = agent
        self._duty = duty
        self._running: set[asyncio.Task[None]] = set()

    @property
    def has_room(self) -> bool:
        """Whether one more may be begun."""
        return len(self._running) < AT_ONCE

    def take_on(self, group: asyncio.TaskGroup, name: str) -> None:
        """Run the copy of a name that this worker has heard, as a task of ``group``, which it never ends."""
        task = group.create_task(self._run(name), name="copy")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def stop(self) -> None:
        """Put all copies down: nobody goes on with them, and what they have reserved counts as spent."""
        for task in self._running:
            task.cancel()

    async def _run(self, name: str) -> None:
        done = await caught(self._ran(name))
        if isinstance(done, Broken):
            log.warning("a copy of a task was dropped", task=name, error=done.words)

    async def _ran(self, name: str) -> None:
        duty = self._duty
        copy = await self._store.copies.take(duty.agent, duty.revision, name)
        if copy is None:
            return
        template = self._agent.template
        recording = _recording(copy)
        tier = tiers.matching(template.tiers, len(copy.input), copy.type)
        begun = shadowing.beginning(recording, copy.input, tier)
        hold = CopyHold(self._store, copy, begun, float(template.limits.wall_seconds))
        changing = shadowing.changing(self._agent, recording)
        stable = Way(recording.intents(changing), copy.stable_status)
        found = None
        try:
            ended = await shadowing.run_copy(self._agent, recording, stable, begun, hold)
            found = Found(
                ended.verdict,
                copy.stable_status,
                ended.way.end,
                ended.way.intents,
                ended.stopped_at,
                stable.intents,
            )
        finally:
            with contextlib.suppress(errors.StoreUnavailable):
                await self._store.copies.tell(copy, found, hold.bills())


def _recording(copy: Copy) -> Recording:
    """What stable's task was told and did, as far as it was saved."""
    if copy.checkpoint is not None:
        return Recording.of(Transcript.decode(copy.checkpoint), copy.changing, copy.kept)
    return Recording(History.decode(copy.history).messages, (), copy.changing, copy.kept)
