"""Answers of models, kept for requests that come again."""

from dataclasses import dataclass

from penstock.names import AgentKey
from penstock_store import codec, keys
from penstock_store.agent_scripts import AgentScripts


@dataclass(frozen=True)
class Asker:
    """Whose task asked first: an answer is found by the digest of its request, and erased by these."""

    tenant: str
    user: str


class Answers:
    """The response cache of agents."""

    def __init__(self, scripts: AgentScripts) -> None:
        self._scripts = scripts

    async def find(self, agent: AgentKey, digest: str) -> bytes | None:
        """The answer that is kept under a digest; None of none."""
        key = keys.AgentKeys(agent).answer(digest)
        found = await self._scripts.connection.read("HGETALL", key)
        return codec.pairs(found).get("answer")

    async def keep(
        self, agent: AgentKey, digest: str, answer: bytes, seconds: int, asker: Asker
    ) -> None:
        """Keep an answer for so many seconds; where there are too many the one that ends first goes."""
        key = keys.AgentKeys(agent).answer(digest)
        told = (digest, seconds, answer, asker.tenant, asker.user)
        await self._scripts.run("keep", agent, key, arguments=told)
