"""The worker's calls: claim tasks, keep them, save their state, give them back, end them."""

import json
import uuid
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from penstock.names import AgentKey
from penstock.task import Outcome, Usage
from penstock_store import codec, keys
from penstock_store.connected import Connected
from penstock_store.records import Claim, Directive

_HEARTBEATS: Final = 500  # claims in one step, so that no script holds Redis up


class Working(Connected):
    """Tasks as workers see them."""

    async def claim(self, agent: AgentKey, revision: str, consumer: str, limit: int) -> list[Claim]:
        """Up to ``limit`` tasks to work on, lanes in order; empty while the agent is suspended.

        Batch gets at least one turn in ten. A revision that is Rejected or Closed gets nothing.
        """
        own = keys.AgentKeys(agent)
        keyed = [own.revision(revision), own.bell(revision), *self._queues(agent, revision)]
        arguments: list[str | int] = [revision, consumer, *_claim_ids(limit)]
        return _claims(agent, await self._run("claim", agent, *keyed, arguments=arguments))

    async def reclaim(
        self, agent: AgentKey, revision: str, consumer: str, idle_ms: int, limit: int
    ) -> list[Claim]:
        """Tasks whose worker has not sent a heartbeat for ``idle_ms``, claimed anew.

        A task that was delivered five times without an end is given up instead: it ends Failed.
        """
        queues = self._queues(agent, revision)
        arguments: list[str | int] = [revision, consumer, idle_ms, *_claim_ids(limit)]
        return _claims(agent, await self._run("reclaim", agent, *queues, arguments=arguments))

    async def heartbeat(self, claims: Sequence[Claim], consumer: str) -> dict[str, Directive]:
        """Keep claims alive; the directive for each claim id (Continue, GiveBack, Cancel, Lost)."""
        directives: dict[str, Directive] = {}
        ordered = sorted(claims, key=lambda claim: claim.agent)
        for agent, of_agent in groupby(ordered, key=lambda claim: claim.agent):
            for batch in _batches(list(of_agent), _HEARTBEATS):
                named = [text for claim in batch for text in (claim.task.id, claim.id)]
                said = await self._run("heartbeat", agent, arguments=(consumer, *named))
                directives |= {
                    claim.id: Directive(word.decode())
                    for claim, word in zip(batch, said, strict=True)
                }
        return directives

    async def checkpoint(
        self,
        claim: Claim,
        state: bytes,
        usage: Usage,
        events: Sequence[tuple[str, dict[str, object]]],
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
        told = [text for kind, data in events for text in (kind, json.dumps(data))]
        arguments = [claim.task.id, claim.id, codec.usage_text(usage), *told]
        said = await self._run(
            "checkpoint", claim.agent, *_of_task(claim), arguments=[state, *arguments]
        )
        return Directive(said.decode())

    async def release(self, claim: Claim) -> bool:
        """Give a task back: to its own revision, or to stable when its revision was rejected.

        Its checkpoint stays. Returns False when the claim was lost meanwhile.
        """
        arguments = (claim.task.id, claim.id)
        said = await self._run("release", claim.agent, *_of_task(claim), arguments=arguments)
        return bool(said)

    async def finish(
        self, claim: Claim, outcome: Outcome, usage: Usage, history: bytes | None = None
    ) -> bool:
        """End a task once: result, acknowledgement, outcome row, wake-up, the session's next task.

        The same call again changes nothing and returns True.

        Args:
            claim: the right to end it.
            outcome: how it ended.
            usage: all that it used.
            history: the session's conversation after this task; None leaves it as it was.

        Returns:
            False when the claim was lost meanwhile: nothing was written.
        """
        arguments = (
            claim.task.id,
            claim.id,
            outcome.status.value,
            outcome.reason.value,
            outcome.message,
            outcome.counting.value,
            outcome.output,
            codec.usage_text(usage),
            usage.cost_micro_usd,
            int(history is not None),
            history or b"",
        )
        said = await self._run("finish", claim.agent, *_of_task(claim), arguments=arguments)
        return bool(said)


def _of_task(claim: Claim) -> tuple[str, str]:
    own = keys.AgentKeys(claim.agent)
    return own.task(claim.task.id), own.events(claim.task.id)


def _claim_ids(count: int) -> list[str]:
    return [uuid.uuid4().hex for _ in range(count)]


def _claims(agent: AgentKey, answer: Sequence[Any]) -> list[Claim]:
    return [codec.claim(agent, one) for one in answer]


def _batches(claims: list[Claim], size: int) -> Iterable[list[Claim]]:
    return (claims[start : start + size] for start in range(0, len(claims), size))
