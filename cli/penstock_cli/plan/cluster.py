"""What an apply would make of each object: asked of the API server by a dry run, where it is there."""

import asyncio
import json
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from penstock import inputs, names
from penstock.money.prices import EMPTY, Table, read_table
from penstock_cli import options, places
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import Kubectl, KubectlFailed
from penstock_cli.plan import checks, drafts
from penstock_cli.plan.drafts import AGENT, CONFIGMAP, REVISIONS, ROLLOUT, ROLLOUTS, Around, Draft
from penstock_cli.plan.manifests import Manifest
from penstock_cli.seen import Document

_RESOURCES: Final = {
    AGENT: "agents.penstock.dev",
    ROLLOUT: "agentrollouts.penstock.dev",
    CONFIGMAP: "configmaps",
}
_INSTALLED: Final = "app.kubernetes.io/part-of=penstock,app.kubernetes.io/component=operator"
#: A namespace of every cluster, where an object is tried whose own namespace is still to be made.
_TRIAL: Final = "default"
_GENERATED: Final = 58  # characters of a name that an API server keeps before the five of its own


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
            return replace(made, refused=why, asked=False, compared=False)
        if self.away:
            return replace(made, asked=False, compared=False, refused=checks.complaint(made.after))
        try:
            live = await self.get(made.kind, namespace, made.name) if made.name else None
            made = replace(made, live=live)
        except Stopped as stopped:
            made = replace(made, compared=False, unread=stopped.sentence)
        mode = ["--server-side"] if self.server_side else []
        try:
            after = await self._tried(made.after, namespace, "apply", *mode)
        except KubectlFailed as failed:
            absent = f'namespaces "{namespace}" not found' in failed.complaint
            if absent and namespace in self.made_first:
                return await self._ahead(made)
            return replace(made, refused=failed.complaint)
        return replace(made, after=after)

    async def _tried(self, document: Document, namespace: str, *verb: str) -> Document:
        """What a dry run makes of an object.

        Raises:
            KubectlFailed: it would not be taken.
        """
        words = (*verb, "--dry-run=server", f"--namespace={namespace}", "-f", "-")
        text = json.dumps(document, default=str)
        found: Document = await self.kubectl.read_json(*words, written=text)
        return found

    async def _ahead(self, made: Draft) -> Draft:
        """An object whose namespace the manifests make: it is tried in another one, under a name nobody has."""
        if complaint := checks.misnamed(made.after):
            return replace(made, asked=False, refused=complaint)
        metadata = {
            field: value
            for field, value in made.after["metadata"].items()
            if field not in ("name", "namespace")
        }
        unnamed = {**made.after, "metadata": {**metadata, "generateName": f"{made.name}-"}}
        try:
            after = await self._tried(unnamed, _TRIAL, "create")
        except KubectlFailed as failed:
            generated = rf"\b{re.escape(f'{made.name}-'[:_GENERATED])}[a-z0-9]{{5}}\b"
            told = re.sub(generated, made.name, failed.complaint)
            if "(Forbidden)" not in told:
                return replace(made, refused=told)
            why = f"before namespace {made.namespace} is there, it cannot be tried: {told}"
            return replace(made, asked=False, unread=why)
        identity = {"name": made.name, "namespace": made.namespace}
        return replace(made, after={**after, "metadata": {**metadata, **identity}})

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

    async def around(self, agent: Draft, written: Sequence[Draft]) -> Around:
        """What tells what follows for an Agent, as it would be after all manifests were applied."""
        partners = list(drafts.partners(written, agent))
        refused = [one for one in partners if one.refused]
        unasked = (one for one in refused if not one.compared)
        unread = {f"{one.kind} {one.name}": drafts.untold(one) for one in unasked}
        ours = [one.left for one in partners if one.kind == ROLLOUT and one.left]
        if self.away:
            references, missing, _ = await self._references(agent, written, unread)
            charge = drafts.in_charge(ours, [], agent)
            return Around(charge, references=references, missing=missing, unread=unread)
        work = "controllerrevisions.apps,deployments.apps"
        mine = f"--selector={names.LABEL_AGENT}={agent.name}"
        (references, missing, referred), made, rollouts, prices = await _all(
            self._references(agent, written, unread),
            self._try(unread, REVISIONS, work, agent.namespace, mine),
            self._try(unread, ROLLOUTS, _RESOURCES[ROLLOUT], agent.namespace),
            self._prices(agent),
        )
        return Around(
            drafts.in_charge(ours, rollouts, agent),
            tuple(one for one in made if one.get("kind") == "ControllerRevision"),
            tuple(one for one in made if one.get("kind") == "Deployment"),
            references,
            referred,
            missing,
            prices,
            unread,
            tuple(drafts.stays(one) for one in refused if one.compared),
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
        return [one for one in found if drafts.refers(one, configmap.name)]

    async def _references(
        self, agent: Draft, written: Sequence[Draft], unread: dict[str, str]
    ) -> tuple[dict[str, str], str, dict[str, str]]:
        """What an Agent would refer to, why there is none, and what that is now."""
        wanted = inputs.source(agent.after)
        if wanted is None:
            return {}, "", {}
        name = wanted.config_map_key_ref.name
        what = f"ConfigMap {name}"
        there = drafts.find(written, CONFIGMAP, agent.namespace, name)
        live: Document | None = None
        if there and there.compared:
            live = there.live
        elif not self.away:
            try:
                live = await self.get(CONFIGMAP, agent.namespace, name)
            except Stopped as stopped:
                unread[what] = stopped.sentence
        elif not there:
            unread[what] = "it is in none of the manifests, and no cluster is asked"
        if what in unread and (there is None or there.refused):
            return {}, "", {}
        after = there.left if there else live
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
