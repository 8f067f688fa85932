"""The ledger: what model calls spend of an agent's budget, reserved before they are made.

A budget is a few limits, each of a scope (task, user, tenant, agent, canary) in a window (hour, day,
month by Redis time in UTC, or total) in tokens or micro-USD. A call is counted at a *place* for each of its
scopes and windows. A place holds two sums of each unit: settled by bills, and held by calls that run.

One call: `reserve` reads all its places, and where each has room, adds to what they hold, in one step. What
others hold is waited for, in order, at the place that lacks most; only where too little is left of what is
settled, the reply is asked shorter, and below its floor the call is refused. `settle` takes what it held from
the very places that it was added to, adds the bill, and hands what became free to those who wait there. The
call's record says whether that was done, so that twice counts once. A bill is never dropped: one above what was
held counts in full, and one of a reservation that Redis has lost counts where it would have been held.

A call that nobody settles counts what it held, `unsettled`, as soon as its task is claimed anew or ends, or its
time is over; a bill that comes after all corrects that. Where Redis does not answer no call is reserved.

The data's way: the operator declares (`declare`), a worker reserves and settles with `claims.take`,
`claims.checkpoint_and_reserve` and `claims.finish_step`, by themselves only to wait (`reserve`) or where
the claim is lost (`settle`); `spending` is what everybody reads. All of it is in `shared/places.lua` and `shared/ledger.lua`, with the keys.
Without a budget nothing is written and nothing is asked.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from penstock.errors import StoreUnavailable
from penstock.money.ledger import (
    Account,
    Amount,
    Answer,
    Budget,
    Lift,
    Settlement,
    Spending,
    Waiting,
    Wish,
)
from penstock.names import AgentKey
from penstock_store import codec, keys, money
from penstock_store.agent_scripts import AgentScripts

_LOOK_SECONDS: Final = (
    1.0  # a call that waits looks by itself as often, whether it is rung for or not
)
_LISTEN_SECONDS: Final = 0.3  # at a time, so that who listens for nobody soon ends
_SWEEP: Final = 200
_DAY_MS: Final = 86_400_000


class Ledger:
    """Reservations and settlements of an agent's model calls."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts
        self._waiting: dict[AgentKey, dict[str, asyncio.Event]] = {}
        self._listening: dict[AgentKey, asyncio.Task[None]] = {}

    async def aclose(self) -> None:
        """Stop listening."""
        for task in self._listening.values():
            task.cancel()
        await asyncio.gather(*self._listening.values(), return_exceptions=True)
        self._listening.clear()

    async def declare(self, agent: AgentKey, budget: Budget | None) -> None:
        """Put a budget in force, from the next reservation on; None: there is none.

        What is spent stays, also where the agent is deleted and made again under the same name.
        """
        await self._scripts.run("budget", agent, arguments=money.budget_fields(budget))

    async def reserve(self, agent: AgentKey, task: str, wish: Wish) -> Answer:
        """Reserve for a call of a task, waiting for others as long as it has patience.

        The same call again answers the same. One that waits since another call of the store goes on
        waiting here.

        Raises:
            ValueError: the call was settled already.
        """
        answer = await self._ask(agent, task, wish)
        if not isinstance(answer, Waiting):
            return answer
        rung = asyncio.Event()
        self._waiting.setdefault(agent, {})[wish.call] = rung
        try:
            while isinstance(answer, Waiting):
                self._listen(agent)
                await _within(_LOOK_SECONDS, rung)
                rung.clear()
                answer = await self._ask(agent, task, wish)
        except asyncio.CancelledError:
            await self._withdraw(agent, task, wish)
            raise
        finally:
            self._waiting[agent].pop(wish.call, None)
        return answer

    async def settle(
        self, agent: AgentKey, task: str, settlements: Sequence[Settlement]
    ) -> list[bool]:
        """Settle calls by their bills; whether each counted, which it does once.

        A call that was never made settles with nothing used.
        """
        told: list[str | int] = [task]
        for one in settlements:
            told += [one.call, one.used.tokens, one.used.micro_usd, one.at_ms]
        return [bool(said) for said in await self._scripts.run("settle", agent, arguments=told)]

    async def give_up_overdue(self, agent: AgentKey, limit: int = _SWEEP) -> int:
        """Count calls that are open past their time as what they held; returns how many.

        Workers do the same when they wait; this is for where none lives.
        """
        return int(await self._scripts.run("overdue", agent, arguments=(limit,)))

    async def spending(
        self,
        agent: AgentKey,
        *,
        tenant: str | None = None,
        user: str | None = None,
        canary: str = "",
    ) -> Spending:
        """What is spent and held in the windows of now.

        Args:
            agent: whose; its own hour, day and month come in any case.
            tenant: adds the limited windows of a tenant.
            user: adds those of a user of that tenant.
            canary: adds those of a canary's revision.
        """
        with_user = user is not None and tenant is not None
        whose = (tenant or "", user or "", int(tenant is not None), int(with_user), canary)
        return money.spending(await self._scripts.run("spent", agent, arguments=whose))

    async def account(
        self, agent: AgentKey, *, tenant: str | None = None, user: str | None = None
    ) -> Account:
        """All that is known of an agent's money, for a person; the windows are those of ``spending``.

        A canary's windows are among them while there is one.
        """
        own = keys.AgentKeys(agent)
        canary = codec.word(await self._scripts.connection.read("HGET", own.route, "candidate"))
        found = await self.spending(agent, tenant=tenant, user=user, canary=canary)
        cost = await self.cost_by_revision(agent, found.now_ms)
        return Account(found, await self.lifts(agent), cost)

    async def lifts(self, agent: AgentKey) -> tuple[Lift, ...]:
        """What people have added to the budget, as it was declared last; windows may have ended."""
        own = keys.AgentKeys(agent)
        return money.lifts(await self._scripts.connection.read("HGET", own.budget, "lifts"))

    async def cost_by_revision(self, agent: AgentKey, at_ms: int) -> dict[str, int]:
        """What tasks that ended on a day (UTC) have cost in micro-USD, by the hash of who ended them.

        Args:
            agent: whose.
            at_ms: a moment of that day, today's or yesterday's.
        """
        own = keys.AgentKeys(agent)
        key = own.spend(at_ms // _DAY_MS)
        return codec.costs(await self._scripts.connection.read("HGETALL", key))

    # -- waiting ---------------------------------------------------------------------------------

    async def _ask(self, agent: AgentKey, task: str, wish: Wish) -> Answer:
        text = money.wish_text(wish, self._scripts.process)
        said = await self._scripts.run("reserve", agent, arguments=(task, text))
        return money.answer(wish.call, said)

    async def _withdraw(self, agent: AgentKey, task: str, wish: Wish) -> None:
        """What nobody waits for any more must not be granted."""
        nothing = Settlement(wish.call, Amount(), 0)
        with contextlib.suppress(StoreUnavailable):
            await self.settle(agent, task, [nothing])

    def _listen(self, agent: AgentKey) -> None:
        known = self._listening.get(agent)
        if known is None or known.done():
            listening = asyncio.create_task(self._hear(agent), name="penstock-store-ledger")
            self._listening[agent] = listening

    async def _hear(self, agent: AgentKey) -> None:
        """Wake calls of this process by their ids, as long as one waits."""
        bell = keys.AgentKeys(agent).ledger_bell(self._scripts.process)
        block = self._scripts.connection.block
        while waiting := self._waiting.get(agent):
            try:
                heard = await block(_LISTEN_SECONDS, "BLPOP", bell, str(_LISTEN_SECONDS))
            except StoreUnavailable:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            if heard and (rung := waiting.get(heard[1].decode())):
                rung.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
