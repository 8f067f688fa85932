"""Claims: how workers take tasks, keep them, save their state, give them back, end them."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from penstock import protocol
from penstock.escalation import Asked
from penstock.money.ledger import Answer, Money, Opening, Settlement
from penstock.names import AgentKey
from penstock.task import Outcome, Usage
from penstock_store import checkpoints, codec, escalations, keys, money
from penstock_store.agent_scripts import AgentScripts
from penstock_store.brakes import Brakes
from penstock_store.breaks import Breaks
from penstock_store.checkpoints import Saved, Writing
from penstock_store.connection import Argument
from penstock_store.consumers import Consumers
from penstock_store.records import Claim, Directive, Telling
from penstock_store.said_effects import AnotherLife, SaidEffects, batches
from penstock_store.said_ends import End, Ends, put_down

_HEARTBEATS: Final = 500  # claims in one step, so that no script holds Redis up
_WHOLE: Final = b"Whole"
_FULL: Final = b"Full"

Event = tuple[str, dict[str, object]]


class Claims:
    """Tasks as workers see them.

    For each agent and consumer the number of the last acknowledged write is kept, and said with each
    call: where Redis does not know it any more, it has lost the end of what was written.
    """

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts
        self.consumers = Consumers()
        self._saved: dict[str, Saved] = {}  # by claim id
        self._ends = Ends()
        self._effects = SaidEffects(scripts)
        self.brakes = Brakes()
        self.breaks = Breaks()

    async def take(
        self,
        agent: AgentKey,
        revision: str,
        consumer: str,
        limit: int,
        opening: Opening | None = None,
    ) -> list[Claim]:
        """Up to ``limit`` tasks to work on, lanes in order; empty while the agent is suspended.

        Batch gets at least one turn in ten. A revision that is Rejected or Closed gets nothing. After
        Redis was restarted or failed over nothing is handed out before the workers that live
        have been heard of, or 15 s. ``opening``: each task's first model call is reserved for.
        """
        self.consumers.asks_for(agent, consumer, revision)
        own = keys.AgentKeys(agent)
        keyed = [own.revision(revision), own.bell(revision), *own.queues(revision)]
        opens, mark = money.opening_text(opening, self._scripts.process), self.brakes.mark(agent)
        asked = (opens, mark, *(uuid.uuid4().hex for _ in range(limit)))
        said = await self._numbered(
            "claim", agent, consumer, *keyed, before=(revision,), after=asked
        )
        return self._claimed(agent, revision, consumer, said)

    async def take_suspects(self, agent: AgentKey, revision: str, consumer: str) -> list[Claim]:
        """Claim one waiting group of suspects, whole; empty when none waits.

        A task that was alone when its worker died, seen by its parent or twice, ends Failed instead.
        """
        self.consumers.asks_for(agent, consumer, revision)
        queues, after = (
            keys.AgentKeys(agent).queues(revision),
            (uuid.uuid4().hex, self.brakes.mark(agent)),
        )
        said = await self._numbered(
            "suspects", agent, consumer, *queues, before=(revision,), after=after
        )
        return self._claimed(agent, revision, consumer, said)

    async def leave(self, agent: AgentKey, revision: str, consumer: str) -> int:
        """A consumer ends in order: what it still holds is queued again, and suspects stay suspects.

        Returns how many tasks that were.
        """
        number, own = self.consumers.number_if_known(agent, consumer), keys.AgentKeys(agent)
        said, named = (revision, consumer, uuid.uuid4().hex, number), own.queues(revision)
        left = await self._scripts.run("leave", agent, *named, arguments=lambda life: (*said, life))
        self.consumers.forget(agent, consumer)
        self.breaks.forget(agent, consumer)
        return int(left)

    async def heartbeat(
        self,
        claims: Sequence[Claim],
        consumer: str,
        telling: Telling | None = None,
        *,
        more: bool = False,
    ) -> dict[str, Directive]:
        """Keep claims alive; the directive for each claim id.

        Without claims it says that the consumer lives, to each agent that it has asked for tasks.
        What is told rides on it: of a revision the newest word is kept, whoever said it.
        ``more``: it holds others, or has states to save again, and says itself when all are named (``name_all``).
        """
        directives: dict[str, Directive] = {}
        batched = [
            (agent, batch)
            for agent, of_agent in groupby(
                sorted(claims, key=attrgetter("agent")), key=attrgetter("agent")
            )
            for batch in batches(list(of_agent), _HEARTBEATS)
        ]
        beating = {agent for agent, _ in batched}
        idle = self.consumers.idle_agents(consumer, beating)
        agents, known = [*beating, *idle], None
        while known != (
            known := self.breaks.last_of(agents)
        ):  # what was said before one may be lost
            for agent, batch in [*batched, *((agent, []) for agent in idle)]:
                told = telling if telling and telling.agent == agent else None
                directives |= await self._beat(agent, batch, consumer, told)
        for agent in () if more else agents:
            await self.name_all(agent, consumer)
        return directives

    async def name_all(self, agent: AgentKey, consumer: str) -> None:
        """After a break, which Redis may wait for: all claims of a consumer were renewed since, all states saved again."""
        broken = self.breaks.last(agent)
        if self.breaks.owes(agent, consumer):
            await self._beat(agent, [], consumer, None, broken)
            self.breaks.all_said(agent, consumer, broken)

    async def _beat(
        self,
        agent: AgentKey,
        claims: Sequence[Claim],
        consumer: str,
        telling: Telling | None,
        named: int = 0,
    ) -> dict[str, Directive]:
        told = (telling.revision, telling.access or "", telling.age_ms) if telling else ("", "", 0)
        speaks = (self.consumers.revision(agent, consumer), protocol.SPOKEN)
        each = [text for claim in claims for text in (claim.task.id, claim.id)]
        number, mark = self.consumers.number(agent, consumer), self.brakes.mark(agent)
        asks = telling.asks if telling else ""
        says: list[str | int] = [*told, *speaks, mark, named, asks, *each]
        broken, restricted, *said = await self._scripts.run(
            "heartbeat", agent, arguments=lambda life: (consumer, number, life, *says)
        )
        is_news = broken > self.breaks.last(agent)
        if is_news:
            self.consumers.unheard(agent)
        self.consumers.heard(agent, consumer)
        self.brakes.hear(agent, restricted)
        if is_news:
            await self._effects.say_again(agent)
            await self._ends.say_again(agent, self._numbered)
            self.breaks.met(agent, broken)
        heard = {
            claim.id: Directive(word.decode()) for claim, word in zip(claims, said, strict=True)
        }
        for identifier, directive in heard.items():
            if directive is Directive.LOST:
                self._saved.pop(identifier, None)
        return heard

    async def checkpoint(
        self,
        claim: Claim,
        state: bytes,
        usage: Usage,
        events: Sequence[Event],
        *,
        intents: Sequence[str] = (),
        replicated: bool = False,
    ) -> Directive:
        """Save a task's state after a step, append events (type, data), and hear what to do.

        Args:
            claim: the right to it.
            state: the conversation as it is saved.
            usage: all that was used so far.
            events: what happened since the last time.
            intents: names of irreversible tools that may have been called with a result that the
                state does not hold.
            replicated: return only once as many replicas hold it as the installation asks for.

        Raises:
            NotReplicated: it is saved, but too few replicas said so in time.
        """
        saved = self.checkpoint_and_reserve
        return (await saved(claim, state, usage, events, intents=intents, replicated=replicated))[0]

    async def checkpoint_and_reserve(
        self,
        claim: Claim,
        state: bytes,
        usage: Usage,
        events: Sequence[Event],
        *,
        intents: Sequence[str] = (),
        replicated: bool = False,
        said_of_money: Money = money.NOTHING,
    ) -> tuple[Directive, Answer]:
        """The same with bills of calls, and a reservation for the next one. See ``checkpoint``.

        Bills count whatever the directive; nothing is reserved unless it is CONTINUE. The answer is
        None where nothing was asked, or the agent has no budget. Where a call would pass what its canary
        may do, nothing is saved, and the directive is GIVE_BACK, or ASK where nobody knows what it is worth.
        """
        told = [text for kind, data in events for text in (kind, json.dumps(data))]
        open_calls = ", ".join(intents) or "-"
        spoken = money.money_text(said_of_money, self._scripts.process)
        mark = self.brakes.mark(claim.agent)

        async def write(writing: Writing) -> list[Any]:
            saying = (writing.content, claim.task.id, claim.id, codec.usage_text(usage), open_calls)
            how: list[Argument] = [writing.piece, writing.saved.whole, spoken, mark, *told]
            mine, after = (claim.agent, claim.consumer, *claim.keys), (*saying, *how)
            return await self._numbered("checkpoint", *mine, after=after, replicated=replicated)

        writing = checkpoints.next_writing(self._saved.get(claim.id), state, intents=bool(intents))
        said, *answer = await write(writing)
        if said == _WHOLE:
            writing = checkpoints.whole(state, intents=bool(intents))
            said, *answer = await write(writing)
        directive = Directive(said.decode())
        if directive is Directive.LOST:
            self._saved.pop(claim.id, None)
        if not answer:  # nothing was saved
            return directive, None
        self._saved[claim.id] = replace(writing.saved, words=(codec.usage_text(usage), open_calls))
        self._effects.remember(claim, told)
        reserved, restricted = answer
        self.brakes.hear(claim.agent, restricted)
        wish = said_of_money.reserve
        return directive, money.answer(wish.call, reserved) if wish else None

    async def release(
        self, claim: Claim, settle: Sequence[Settlement] = (), *, to_stable: bool = False
    ) -> bool:
        """Give a task back: to its own revision, or to stable when its revision was rejected.

        With ``to_stable`` a canary's task goes to stable also while the canary is not rejected.
        Its checkpoint stays. Returns False when the claim was lost meanwhile.
        """
        spoken = money.money_text(Money(tuple(settle)), self._scripts.process)
        named = (claim.task.id, claim.id, spoken, int(to_stable))
        (said,) = await self._numbered(
            "release", claim.agent, claim.consumer, *claim.keys, after=named
        )
        down = put_down(claim, self._saved.pop(claim.id, None), spoken, to_stable=to_stable)
        return await self._ends.put_down(down, said, self._numbered) is Directive.CONTINUE

    async def park(
        self, claim: Claim, usage: Usage, asked: Asked, settle: Sequence[Settlement] = ()
    ) -> Directive | None:
        """Put a task down until a person has decided on a call of it; what else to do than that.

        CONTINUE when it waits now, None when too many tasks of the agent wait already.
        """
        spoken = money.money_text(Money(tuple(settle)), self._scripts.process)
        named = (claim.task.id, claim.id, codec.usage_text(usage), spoken)
        mine, after = (claim.agent, claim.consumer), (*named, *escalations.asked_arguments(asked))
        (said,) = await self._numbered("park", *mine, *claim.keys, after=after)
        if said == _FULL:
            return None
        waiting = (codec.usage_text(usage), *escalations.asked_arguments(asked))
        down = put_down(claim, self._saved.get(claim.id), spoken, waiting)
        directive = await self._ends.put_down(down, said, self._numbered)
        if directive in (Directive.CONTINUE, Directive.LOST):
            self._saved.pop(claim.id, None)
        return directive

    async def finish(
        self,
        claim: Claim,
        outcome: Outcome,
        usage: Usage,
        history: bytes | None = None,
        settle: Sequence[Settlement] = (),
    ) -> bool:
        """End a task once, whatever it is told: result, acknowledgement, outcome row, wake-up, the session's next task.

        The same call again changes nothing and returns True.

        Args:
            claim: the right to end it.
            outcome: how it ended.
            usage: all that it used.
            history: the session's conversation after this task; None leaves it as it was.
            settle: the bills of its calls. Calls that are still open count what they hold.

        Returns:
            False when the claim was lost meanwhile: nothing but bills was written.
        """
        said = await self._end(
            claim, codec.ending(claim, outcome, usage, history), (), settle, heeds=False
        )
        return said is not Directive.LOST

    async def finish_step(
        self,
        claim: Claim,
        outcome: Outcome,
        usage: Usage,
        history: bytes | None,
        events: Sequence[Event],
        settle: Sequence[Settlement] = (),
    ) -> Directive:
        """End a task with its last step, which needs no checkpoint then. See ``finish``.

        Args:
            events: what happened in that step.
            settle: the bills of its calls. Calls that are still open count what they hold.

        Returns:
            CONTINUE when it has ended, LOST when the claim was. CANCEL and GIVE_BACK: it goes on, and
            must be put down instead. Bills are settled whatever is returned.
        """
        ending = codec.ending(claim, outcome, usage, history)
        return await self._end(claim, ending, events, settle, heeds=True)

    async def _end(
        self,
        claim: Claim,
        ending: Sequence[Argument],
        events: Sequence[Event],
        settle: Sequence[Settlement],
        *,
        heeds: bool,
    ) -> Directive:
        told = [text for kind, data in events for text in (kind, json.dumps(data))]
        spoken = money.money_text(Money(tuple(settle)), self._scripts.process)
        mine, more = (claim.agent, claim.consumer, *claim.keys), (spoken, *told)
        (said,) = await self._numbered("finish", *mine, after=(*ending, int(heeds), *more))
        directive = Directive(said.decode())
        if directive is Directive.CONTINUE:
            # Said again it heeds nothing: it was acknowledged.
            self._ends.remember(End("finish", claim, (*ending, 0, *more)))
        if directive in (Directive.CONTINUE, Directive.LOST):
            self._saved.pop(claim.id, None)
        return directive

    def _claimed(
        self, agent: AgentKey, revision: str, consumer: str, said: Sequence[Any]
    ) -> list[Claim]:
        if not said:
            return []
        restricted, *claims = said
        self.brakes.hear(agent, restricted)
        return [codec.claim(agent, revision, consumer, one) for one in claims]

    async def _numbered(
        self,
        script: str,
        agent: AgentKey,
        consumer: str,
        *keyed: str,
        before: Sequence[Argument] = (),
        after: Sequence[Argument] = (),
        replicated: bool = False,
    ) -> list[Any]:
        """Run a script that writes for a consumer; what it answers after the number of its write.

        The number is kept before anything else is made of the answer: it is acknowledged.
        """
        number = self.consumers.writes(agent, consumer)

        def arguments(life: str) -> Sequence[Argument]:
            self._effects.meet(agent, life)
            return (*before, consumer, number, life, *after)

        run = self._scripts.run
        while True:
            try:
                said = await run(script, agent, *keyed, arguments=arguments, replicated=replicated)
                break
            except AnotherLife as other:
                self.consumers.unheard(agent)
                await self._effects.join(agent, other.life)
        written, *rest = said
        self.consumers.wrote(agent, consumer, int(written))
        return list(rest)
