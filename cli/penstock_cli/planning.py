"""``penstock plan``: what an apply would do, without doing it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock import names
from penstock_cli import costing, drafts, foresight, manifests, options, plan_words, views
from penstock_cli.drafts import AGENT, CONFIGMAP, ROLLOUT, Around, Desk, Draft
from penstock_cli.exits import Exit, Stopped
from penstock_cli.manifests import Manifest
from penstock_cli.planned import Change, Planned
from penstock_cli.seen import Document


@dataclass(frozen=True)
class Wanted:
    """Which manifests, and how they would be applied: by this program's checks alone, or server-side."""

    sources: tuple[str, ...]
    output: str = "text"
    offline: bool = False
    server_side: bool = False


@dataclass(frozen=True)
class Plan:
    """What was planned; ``away``: why no API server was asked; ``others``: objects that were not looked at."""

    items: tuple[Planned, ...]
    costs: dict[tuple[str, str], costing.Cost]
    away: str = ""
    others: tuple[str, ...] = ()

    @property
    def exit(self) -> int:
        """0: nothing would change; 1: something would; above: it is refused, or checked in part."""
        if any(one.refusal for one in self.items):
            return Exit.REFUSED
        if self.away or any(one.doubts or not one.draft.asked for one in self.items):
            return Exit.UNFINISHED
        return int(any(one.change is not Change.UNCHANGED for one in self.items))


def plan(place: options.Place, wanted: Wanted) -> int:
    """Print what an apply would do; the exit code, in which 1 stands for a change.

    Raises:
        Stopped: it cannot be told; its exit code is never 1.
    """
    try:
        found = asyncio.run(_plan(place, wanted))
        _print(found, wanted.output)
    except Stopped as stopped:
        code = Exit.REFUSED if stopped.code is Exit.FAILED else stopped.code
        raise Stopped(code, stopped.sentence) from None
    except Exception as error:  # an error must not look like a change
        raise Stopped(Exit.REFUSED, f"it cannot be told: {error!r}") from error
    return found.exit


async def _plan(place: options.Place, wanted: Wanted) -> Plan:
    read = manifests.read(wanted.sources)
    ours = [one for one in read if _kind(one)]
    if not ours:
        sentence = "there is no Agent, AgentRollout or ConfigMap in it"
        raise Stopped(Exit.USAGE, f"{', '.join(wanted.sources)}: {sentence}")
    desk = await Desk.opened(place, offline=wanted.offline, server_side=wanted.server_side)
    desk.made_first = frozenset(one.name for one in read if one.kind == "Namespace")
    written = [await desk.draft(one) for one in ours]
    unlisted: dict[str, str] = {}
    written += await _touched(desk, written, unlisted)
    now = datetime.now(UTC)  # noqa: TID251 - the program meets the cluster here
    items = [planned for one in written if (planned := await _planned(desk, one, written, now))]
    items += _unfollowed(written, unlisted)
    costs = await costing.costs(place, items, now) if not desk.away else {}
    others = tuple(f"{one.kind or '?'}/{one.name}" for one in read if not _kind(one))
    return Plan(tuple(items), costs, desk.away, others)


def _kind(manifest: Manifest) -> str:
    """The kind of an object that is looked at; empty for any other."""
    version = str(manifest.document.get("apiVersion") or "")
    if manifest.kind == CONFIGMAP:
        return CONFIGMAP if version == "v1" else ""
    ours = manifest.kind in (AGENT, ROLLOUT) and version.startswith(f"{names.GROUP}/")
    return manifest.kind if ours else ""


async def _touched(desk: Desk, written: Sequence[Draft], unlisted: dict[str, str]) -> list[Draft]:
    """Agents in the cluster that stand in no manifest, and take their instructions from a ConfigMap in one.

    Args:
        unlisted: gets why the Agents of a namespace cannot be listed.
    """
    there = {(one.kind, one.namespace, one.name) for one in written}
    found: dict[tuple[str, str, str], Draft] = {}
    for one in written:
        if desk.away or one.kind != CONFIGMAP or one.refused:
            continue
        try:
            agents = await desk.agents_of(one)
        except Stopped as stopped:
            unlisted[one.namespace] = stopped.sentence
            continue
        for agent in agents:
            name = agent["metadata"]["name"]
            key = (AGENT, one.namespace, name)
            if key not in there:
                found[key] = Draft(AGENT, one.namespace, name, one.where, agent, agent)
    return list(found.values())


def _unfollowed(written: Sequence[Draft], unlisted: dict[str, str]) -> list[Planned]:
    """ConfigMaps of which nobody knows whether an Agent takes its instructions from them."""
    return [
        foresight.of_configmap(one, (unlisted[one.namespace],))
        for one in written
        if one.kind == CONFIGMAP and not one.refused and one.namespace in unlisted
    ]


async def _planned(desk: Desk, draft: Draft, written: list[Draft], now: datetime) -> Planned | None:
    if draft.kind == CONFIGMAP:
        return foresight.refused(draft) if draft.refused else None
    if draft.kind == AGENT:
        around = Around() if draft.refused else await desk.around(draft, written)
        return foresight.of_agent(draft, around, now)
    try:
        agent = None if draft.refused else await _agent_of(desk, draft, written)
    except Stopped as stopped:
        unread = {f"Agent {drafts.agent_of(draft.after)}": stopped.sentence}
        return foresight.of_rollout(draft, None, Around(unread=unread), now)
    around = await desk.around(agent, written) if agent else Around()
    return foresight.of_rollout(draft, agent, around, now)


async def _agent_of(desk: Desk, rollout: Draft, written: list[Draft]) -> Draft | None:
    """The Agent that an AgentRollout is for, as it would be; None where there is none."""
    name = drafts.agent_of(rollout.after)
    for one in written:
        if (one.kind, one.namespace, one.name) == (AGENT, rollout.namespace, name):
            return one if not one.refused else None
    live: Document | None = None
    if not desk.away and name:
        live = await desk.get(AGENT, rollout.namespace, name)
    return Draft(AGENT, rollout.namespace, name, rollout.where, live, live) if live else None


def _print(found: Plan, output: str) -> None:
    document = plan_words.document(found.items, found.costs, found.away, found.others)
    if output == "json":
        print(json.dumps(document, indent=2, ensure_ascii=False))
    elif output == "yaml":
        import yaml

        print(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), end="")
    else:
        console = views.terminal()
        for line in plan_words.lines(found.items, found.costs, found.away, found.others):
            console.print(line)
