"""What an apply would make of each object: asked of the API server by a dry run, where it is there."""

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

from penstock import inputs, names
from penstock.money.prices import EMPTY, Table, read_table
from penstock_cli import options, places, unasked
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import Kubectl, KubectlFailed
from penstock_cli.manifests import Manifest
from penstock_cli.seen import Document

AGENT: Final = "Agent"
ROLLOUT: Final = "AgentRollout"
CONFIGMAP: Final = "ConfigMap"
_RESOURCES: Final = {
    AGENT: "agents.penstock.dev",
    ROLLOUT: "agentrollouts.penstock.dev",
    CONFIGMAP: "configmaps",
}
#: What of the cluster tells what follows, as ``Around.unread`` names it.
REVISIONS: Final = "its revisions"
ROLLOUTS: Final = "AgentRollouts"
_INSTALLED: Final = "app.kubernetes.io/part-of=penstock,app.kubernetes.io/component=operator"


@dataclass(frozen=True)
class Draft:
    """An object as it is in the cluster, and as an apply would leave it there.

    ``live`` is None where it is not there. ``refused``: why the API server would not take it, in its
    words. ``asked``: whether it could be asked; else ``after`` is what is written in the manifest.
    ``compared``: whether it is known what is in the cluster; ``unread`` says why not, where that was asked.
    """

    kind: str
    namespace: str
    name: str
    where: str
    after: Document
    live: Document | None = None
    refused: str = ""
    asked: bool = True
    compared: bool = True
    unread: str = ""


@dataclass(frozen=True)
class Around:
    """What else tells what follows for an Agent.

    ``rollout``: the AgentRollout in charge, as it would be; None where there is none. ``references`` is
    what the revision would refer to, ``referred`` what that is now; ``missing`` says why there is none. Without
    ``prices`` those of the installation could not be read. ``unread`` says of the rest what could not be
    read, and why.
    """

    rollout: Document | None = None
    records: tuple[Document, ...] = ()
    deployments: tuple[Document, ...] = ()
    references: dict[str, str] = field(default_factory=dict)
    referred: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    prices: Table | None = EMPTY
    unread: dict[str, str] = field(default_factory=dict)


@dataclass
class Desk:
    """Who asks: kubectl, the namespace that was said, that of the context, and how it is applied.

    ``away``: why no API server can be asked; empty where one can.
    """

    kubectl: Kubectl
    said: str = ""
    home: str = "default"
    system: str = "penstock-system"
    away: str = ""
    server_side: bool = False
    made_first: frozenset[str] = frozenset()  # namespaces that the manifests make

    @classmethod
    async def opened(
        cls, place: options.Place, *, offline: bool = False, server_side: bool = False
    ) -> "Desk":
        """A desk at the cluster that was said, or at none."""
        kubectl, said = places.cluster(place), place.namespace
        desk = cls(kubectl, said, said or "default", place.system_namespace, "", server_side)
        if offline:
            desk.away = "--offline"
            return desk
        try:
            await kubectl.read("get", "--raw=/version")
            context = ("config", "view", "--minify", "-o", "jsonpath={..namespace}")
            desk.home = said or (await kubectl.read(*context)).strip() or "default"
        except KubectlFailed as failed:
            desk.away = failed.complaint.splitlines()[-1]
        return desk

    # ------------------------------------------------------------------------------ one object

    async def draft(self, manifest: Manifest) -> Draft:
        """What an apply would make of an object."""
        namespace = manifest.namespace or self.home
        made = Draft(
            manifest.kind, namespace, manifest.name, manifest.where, dict(manifest.document)
        )
        if self.said and manifest.namespace not in ("", self.said):
            why = f"it stands for namespace {manifest.namespace}, and -n says {self.said}"
            return _but(made, refused=why, asked=False)
        if self.away:
            return _but(made, asked=False, compared=False, refused=_complaint(made))
        live: Document | None = None
        try:
            live = await self.get(made.kind, namespace, made.name) if made.name else None
        except Stopped as stopped:
            made = _but(made, compared=False, unread=stopped.sentence)
        mode = ["--server-side"] if self.server_side else []
        apply = ("apply", "--dry-run=server", *mode, f"--namespace={namespace}", "-f", "-")
        try:
            text = json.dumps(manifest.document, default=str)
            after = await self.kubectl.read_json(*apply, written=text)
        except KubectlFailed as failed:
            absent = f'namespaces "{namespace}" not found' in failed.complaint
            if absent and namespace in self.made_first:
                return _but(made, asked=False, refused=_complaint(made))
            return _but(made, live=live, refused=failed.complaint)
        return _but(made, live=live, after=after)

    async def get(self, kind: str, namespace: str, name: str) -> Document | None:
        """An object as it is; None where it is not there.

        Raises:
            Stopped: it cannot be read.
        """
        where = (_RESOURCES[kind], name, f"--namespace={namespace}", "--ignore-not-found")
        try:
            said = await self.kubectl.read("get", *where, "-o", "json")
        except KubectlFailed as failed:
            if "the server doesn't have a resource type" in failed.complaint:
                return None  # its definition is not there: the dry run tells
            sentence = f"{kind} {name} cannot be read: {failed.complaint}"
            raise Stopped(Exit.REFUSED, sentence) from None
        found: Document | None = json.loads(said) if said.strip() else None
        return found

    async def listed(self, resources: str, namespace: str, *more: str) -> list[Document]:
        """The objects of some kinds in a namespace.

        Raises:
            KubectlFailed: they cannot be read.
        """
        found: Any = await self.kubectl.read_json(
            "get", resources, f"--namespace={namespace}", *more
        )
        items: list[Document] = found["items"]
        return items

    # -------------------------------------------------------------------- what an Agent is among

    async def around(self, agent: Draft, drafts: list[Draft]) -> Around:
        """What tells what follows for an Agent, as it would be after all drafts were applied."""
        unread: dict[str, str] = {}
        planned = _of(drafts, ROLLOUT, agent)
        if self.away:
            references, missing, _ = await self._references(agent, drafts, unread)
            charge = _in_charge(planned, [], agent)
            return Around(charge, references=references, missing=missing, unread=unread)
        work = "controllerrevisions.apps,deployments.apps"
        mine = f"--selector={names.LABEL_AGENT}={agent.name}"
        (references, missing, referred), made, rollouts, prices = await _all(
            self._references(agent, drafts, unread),
            self._try(unread, REVISIONS, work, agent.namespace, mine),
            self._try(unread, ROLLOUTS, _RESOURCES[ROLLOUT], agent.namespace),
            self._prices(agent),
        )
        return Around(
            _in_charge(planned, rollouts, agent),
            tuple(one for one in made if one.get("kind") == "ControllerRevision"),
            tuple(one for one in made if one.get("kind") == "Deployment"),
            references,
            referred,
            missing,
            prices,
            unread,
        )

    async def agents_of(self, configmap: Draft) -> list[Document]:
        """The Agents in the cluster whose instructions come from a ConfigMap.

        Raises:
            Stopped: they cannot be listed.
        """
        try:
            found = await self.listed(_RESOURCES[AGENT], configmap.namespace)
        except KubectlFailed as failed:
            if "the server doesn't have a resource type" in failed.complaint:
                return []
            sentence = f"Agents cannot be listed: {failed.complaint}"
            raise Stopped(Exit.REFUSED, sentence) from None
        return [one for one in found if _refers(one, configmap.name)]

    async def _references(
        self, agent: Draft, drafts: list[Draft], unread: dict[str, str]
    ) -> tuple[dict[str, str], str, dict[str, str]]:
        """What an Agent would refer to, why there is none, and what that is now."""
        wanted = inputs.source(agent.after)
        if wanted is None:
            return {}, "", {}
        name = wanted.config_map_key_ref.name
        written = [
            one
            for one in drafts
            if (one.kind, one.namespace, one.name) == (CONFIGMAP, agent.namespace, name)
        ]
        live: Document | None = None
        if not self.away:
            try:
                live = await self.get(CONFIGMAP, agent.namespace, name)
            except Stopped as stopped:
                unread[f"ConfigMap {name}"] = stopped.sentence
        elif not written:
            unread[f"ConfigMap {name}"] = "it is in none of the manifests, and no cluster is asked"
        if not written and f"ConfigMap {name}" in unread:
            return {}, "", {}
        after = written[-1].after if written and not written[-1].refused else live
        found, missing = inputs.content(wanted, after, agent.namespace)
        return found, missing, inputs.content(wanted, live, agent.namespace)[0]

    async def _prices(self, agent: Draft) -> Table | None:
        """The installation's own prices: those that the Agent's workers have, else the chart's."""
        try:
            own = await self.get(CONFIGMAP, agent.namespace, names.prices_name(agent.name))
            found = [own] if own else await self.listed("configmaps", self.system, "-l", _INSTALLED)
            texts = [(one.get("data") or {}).get(names.PRICES_FILE) for one in found]
            return next((read_table(text) for text in texts if text), EMPTY)
        except (KubectlFailed, Stopped, ValueError):
            return None

    async def _try(
        self, unread: dict[str, str], what: str, resources: str, namespace: str, *more: str
    ) -> list[Document]:
        try:
            return await self.listed(resources, namespace, *more)
        except KubectlFailed as failed:
            unread[what] = failed.complaint.splitlines()[-1]
            return []


async def _all(*calls: Awaitable[Any]) -> list[Any]:
    """What all calls bring; where one fails, the others are ended before that is told."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


def _complaint(draft: Draft) -> str:
    """What our own checks say of an object that no API server was asked about."""
    return unasked.complaint(draft.after) if draft.kind in (AGENT, ROLLOUT) else ""


def _but(draft: Draft, **update: Any) -> Draft:
    return Draft(**{**vars(draft), **update})


def _refers(agent: Document, configmap: str) -> bool:
    wanted = inputs.source(agent)
    return wanted is not None and wanted.config_map_key_ref.name == configmap


def _of(drafts: list[Draft], kind: str, agent: Draft) -> list[Document]:
    """The objects of a kind in the manifests that are for an Agent."""
    found = [one for one in drafts if one.kind == kind and one.namespace == agent.namespace]
    return [one.after for one in found if not one.refused and agent_of(one.after) == agent.name]


def agent_of(rollout: Document) -> str:
    """The Agent that an AgentRollout is for; empty where nobody can tell."""
    spec = rollout.get("spec")
    ref = spec.get("agentRef") if isinstance(spec, dict) else None
    return str(ref.get("name") or "") if isinstance(ref, dict) else ""


def _in_charge(planned: list[Document], live: list[Document], agent: Draft) -> Document | None:
    """The oldest AgentRollout of an Agent; those that are still to be made come last."""
    mine = {one["metadata"]["name"]: one for one in live if agent_of(one) == agent.name}
    mine |= {one["metadata"]["name"]: one for one in planned}

    def age(one: Document) -> tuple[bool, str, str]:
        is_live = one["metadata"]["name"] in {old["metadata"]["name"] for old in live}
        created = str(one["metadata"].get("creationTimestamp") or "")
        return not is_live, created, one["metadata"]["name"]

    return min(mine.values(), key=age, default=None)
