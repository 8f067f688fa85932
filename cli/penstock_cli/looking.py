"""Reading a rollout with kubectl: the AgentRollout, its Agent, the revisions and their workers."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from penstock import names
from penstock_cli import seen
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import Kubectl, KubectlFailed
from penstock_cli.seen import Document, Documents, Seen

ROLLOUTS: Final = "agentrollouts.penstock.dev"
AGENTS: Final = "agents.penstock.dev"
_NOT_FOUND: Final = "(NotFound)"


@dataclass(frozen=True)
class Looker:
    """Who looks: with which kubectl, in which namespace; empty is that of the context."""

    kubectl: Kubectl
    namespace: str = ""

    async def look(self, name: str, *, decided: bool = False) -> Seen:
        """A rollout as it is now, by its name or by that of its Agent.

        Args:
            decided: with the records of decisions on its revisions.

        Raises:
            Stopped: there is none, or it cannot be read.
        """
        return await self._look(await self.rollout(name), decided=decided)

    async def look_at_any(self, name: str) -> tuple[Seen, bool]:
        """The same; also an Agent that has no AgentRollout, as one that nobody has steered yet; whether it is one.

        Raises:
            Stopped: there is neither, or it cannot be read.
        """
        found, sentence = await self._find(name)
        if found:
            return await self._look(found), False
        agent = await self._agent(name)
        if not agent:
            raise Stopped(Exit.REFUSED, sentence)
        metadata = {"name": name, "namespace": agent["metadata"]["namespace"]}
        blank = {"metadata": metadata, "spec": {"agentRef": {"name": name}}}
        return await self._look(blank), True

    async def _look(self, rollout: Document, *, decided: bool = False) -> Seen:
        namespace = rollout["metadata"]["namespace"]
        agent = (rollout.get("spec") or {}).get("agentRef", {}).get("name", "")
        mine = (f"--namespace={namespace}", f"--selector={names.LABEL_AGENT}={agent}")
        missing: dict[str, str] = {}
        told, work, pods, texts = await asyncio.gather(
            self._try(missing, "the Agent", AGENTS, agent, f"--namespace={namespace}"),
            self._try(missing, "revisions", "controllerrevisions.apps,deployments.apps", *mine),
            self._try(missing, "pods", "pods", *mine),
            self._try(missing, "the records of decisions", "configmaps", *mine)
            if decided
            else _nothing(),
        )
        documents = Documents(
            rollout,
            told,
            _of_kind(work, "ControllerRevision"),
            _of_kind(work, "Deployment"),
            pods.get("items") or (),
            missing,
            {_revision_of(one): one.get("data") or {} for one in texts.get("items") or ()},
        )
        now = datetime.now(UTC)  # noqa: TID251 - a look is where the program meets the cluster
        return seen.read(documents, now)

    async def rollout(self, name: str) -> Document:
        """The AgentRollout of a name, else the one that is for the Agent of that name.

        Raises:
            Stopped: there is none, or it cannot be read.
        """
        found, sentence = await self._find(name)
        if found:
            return found
        raise Stopped(Exit.REFUSED, _ungoverned(await self._agent(name)) or sentence)

    @property
    def _where(self) -> list[str]:
        return [f"--namespace={self.namespace}"] if self.namespace else []

    async def _find(self, name: str) -> tuple[Document | None, str]:
        """The AgentRollout of a name, or for the Agent of that name; else None, and which there are.

        Raises:
            Stopped: it cannot be read.
        """
        where = self._where
        try:
            found: Document = await self.kubectl.read_json("get", ROLLOUTS, name, *where)
        except KubectlFailed as failed:
            if _NOT_FOUND not in str(failed):
                raise Stopped(Exit.REFUSED, f"{name} cannot be read: {failed}") from None
        else:
            return found, ""
        try:
            listed = await self.kubectl.read_json("get", ROLLOUTS, *where)
        except KubectlFailed as failed:
            raise Stopped(Exit.REFUSED, f"{name} cannot be read: {failed}") from None
        items: list[Document] = listed["items"]
        mine = [one for one in items if one["spec"]["agentRef"]["name"] == name]
        if len(mine) == 1:
            return mine[0], ""
        if mine:
            several = ", ".join(sorted(one["metadata"]["name"] for one in mine))
            raise Stopped(Exit.REFUSED, f"AgentRollouts {several} are for Agent {name}: name one")
        there = ", ".join(sorted(one["metadata"]["name"] for one in items)) or "none"
        return (
            None,
            f"there is no AgentRollout {name}, nor one for an Agent {name}; there are: {there}",
        )

    async def _agent(self, name: str) -> Document:
        """The Agent of a name; empty where there is none, or it cannot be read."""
        return await self._try({}, "the Agent", AGENTS, name, *self._where)

    async def _try(self, missing: dict[str, str], what: str, *words: str) -> dict[str, Any]:
        """What can be read; of what cannot it is noted why, since the rest says enough."""
        try:
            found: dict[str, Any] = await self.kubectl.read_json("get", *words)
        except KubectlFailed as failed:
            missing[what] = str(failed)
            return {}
        return found


def _ungoverned(agent: Document) -> str:
    """What there is of an Agent that has no AgentRollout, in words; empty where there is no such Agent."""
    if not agent:
        return ""
    name, namespace = agent["metadata"]["name"], agent["metadata"]["namespace"]
    return (
        f"Agent {name} has no AgentRollout, so its changes go to everybody at once. See it: kubectl describe "
        f"agent {name} -n {namespace}; what a change would do: penstock plan -f FILE; undo and retry it takes"
    )


async def _nothing() -> dict[str, Any]:
    return {}


def _revision_of(record: Document) -> str:
    """The revision whose record of decisions a ConfigMap is."""
    name: str = record["metadata"]["name"]
    return name.removesuffix(names.decisions_name(""))


def _of_kind(listed: Document, kind: str) -> list[Document]:
    return [one for one in listed.get("items") or () if one.get("kind") == kind]
