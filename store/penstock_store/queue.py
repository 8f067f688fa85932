"""The queue of a revision: waiting for work, and moving what no worker keeps."""

import uuid
from typing import Final

from penstock.names import AgentKey
from penstock_store import keys
from penstock_store.agent_scripts import AgentScripts

_OUTAGE_SECONDS: Final = 20  # after one, until workers that live have sent a heartbeat again


class Queue:
    """What lies in the lanes of revisions; who takes it from there is in ``claims``."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def wait_for_work(
        self, agent: AgentKey, revision: str, timeout_seconds: float, *, copies: bool = False
    ) -> str:
        """Return when a task may have been queued for the revision, or after the time.

        Args:
            copies: whether a copy that waits for the revision ends it as well: the caller has it then.

        Returns:
            The name of that copy; "" where there is none. Tasks go before copies.
        """
        own = keys.AgentKeys(agent)
        bell, waiting = own.bell(revision), own.copies_waiting(revision)
        heard = [bell, waiting] if copies else [bell]
        said = await self._scripts.connection.block(
            timeout_seconds, "BLPOP", *heard, str(timeout_seconds)
        )
        return said[1].decode() if said and said[0] == waiting.encode() else ""

    async def part(self, agent: AgentKey, revision: str, idle_ms: int) -> int:
        """Part what workers hold that were silent for ``idle_ms`` into groups of suspects.

        Each group is half of what one worker held in a lane. Returns how many groups wait.
        """
        arguments = (revision, idle_ms, uuid.uuid4().hex)
        return int(
            await self._scripts.run(
                "part", agent, *keys.AgentKeys(agent).queues(revision), arguments=arguments
            )
        )

    async def bury(self, agent: AgentKey, revision: str, consumer: str) -> int:
        """Part at once what a consumer held whose process was seen to die. Returns how many groups."""
        arguments = (revision, consumer, uuid.uuid4().hex)
        return int(
            await self._scripts.run(
                "bury", agent, *keys.AgentKeys(agent).queues(revision), arguments=arguments
            )
        )

    async def expire(self, agent: AgentKey, limit: int = 200) -> int:
        """End up to so many tasks that wait for longer than queueSeconds; returns how many ended.

        A worker does the same when it claims; this is for where none lives. A suspension is no
        waiting. Of a session, the tasks behind one that expired are looked at too.
        """
        return int(await self._scripts.run("expire", agent, arguments=(limit,)))

    async def rehome(self, agent: AgentKey, revision: str, limit: int = 200) -> int:
        """Move work from a revision to stable, as its standing says.

        Rejected and Closed: everything queued, and claimed tasks whose worker is gone. Superseded
        and Withdrawn: queued tasks without an older session. These and Draining: all that no
        worker has touched for a minute, queued or claimed; a suspension does not count. Returns
        how many were moved; call again until it is 0. A moved task writes a REHOMED row and is a
        sample of neither side.

        For 20 s after a call of this store has failed no claimed task is moved: during an outage
        workers that live could send no heartbeat either.
        """
        queues = keys.AgentKeys(agent).queues(revision)
        claimed_too = int(self._scripts.connection.seconds_since_failure() > _OUTAGE_SECONDS)
        arguments = (revision, limit, claimed_too)
        return int(await self._scripts.run("rehome", agent, *queues, arguments=arguments))
