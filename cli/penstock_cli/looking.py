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
        rollout = await self.rollout(name)
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
        where = [f"--namespace={self.namespace}"] if self.namespace else []
        try:
            found: Document = await self.kubectl.read_json("get", ROLLOUTS, name, *where)
        except KubectlFailed as failed:
            if _NOT_FOUND not in str(failed):
                raise Stopped(Exit.REFUSED, f"{name} cannot be read: {failed}") from None
        else:
            return found
        try:
            listed = await self.kubectl.read_json("get", ROLLOUTS, *where)
        except KubectlFailed as failed:
            raise Stopped(Exit.REFUSED, f"{name} cannot be read: {failed}") from None
        items: list[Document] = listed["items"]
        mine = [one for one in items if one["spec"]["agentRef"]["name"] == name]
        if len(mine) == 1:
            return mine[0]
        there = ", ".join(sorted(one["metadata"]["name"] for one in items)) or "none"
        sentence = (
            f"there is no AgentRollout {name}, nor one for an Agent {name}; there are: {there}"
        )
        raise Stopped(Exit.REFUSED, await self._without(name, where) or sentence)

    async def _without(self, name: str, where: list[str]) -> str:
        """What there is of an Agent that has no AgentRollout, in words; empty where there is no such Agent."""
        agent = await self._try({}, "the Agent", AGENTS, name, *where)
        if not agent:
            return ""
        namespace = agent["metadata"]["namespace"]
        return (
            f"Agent {name} has no AgentRollout, so its changes go to everybody at once. See it: kubectl describe "
            f"agent {name} -n {namespace}; what a change would do: penstock plan -f FILE"
        )

    async def _try(self, missing: dict[str, str], what: str, *words: str) -> dict[str, Any]:
        """What can be read; of what cannot it is noted why, since the rest says enough."""
        try:
            found: dict[str, Any] = await self.kubectl.read_json("get", *words)
        except KubectlFailed as failed:
            missing[what] = str(failed)
            return {}
        return found


async def _nothing() -> dict[str, Any]:
    return {}


def _revision_of(record: Document) -> str:
    """The revision whose record of decisions a ConfigMap is."""
    name: str = record["metadata"]["name"]
    return name.removesuffix(names.decisions_name(""))


def _of_kind(listed: Document, kind: str) -> list[Document]:
    return [one for one in listed.get("items") or () if one.get("kind") == kind]
