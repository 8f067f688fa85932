"""``penstock plan``: what an apply would do, without doing it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from penstock import names
from penstock_cli import documents, options, views
from penstock_cli.exits import Exit, Stopped
from penstock_cli.plan import costs, document, drafts, foresight, manifests, outcome, words
from penstock_cli.plan.cluster import Desk
from penstock_cli.plan.drafts import AGENT, CONFIGMAP, ROLLOUT, Around, Draft
from penstock_cli.plan.manifests import Manifest
from penstock_cli.plan.outcome import Plan, Planned


@dataclass(frozen=True)
class Wanted:
    """Which manifests, and how they would be applied: by this program's checks alone, or server-side."""

    sources: tuple[str, ...]
    output: str = "text"
    offline: bool = False
    server_side: bool = False


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
    ours = [one for one in read if _is_ours(one)]
    if not ours:
        sentence = "there is no Agent, AgentRollout or ConfigMap in it"
        raise Stopped(Exit.USAGE, f"{', '.join(wanted.sources)}: {sentence}")
    desk = await Desk.opened(place, offline=wanted.offline, server_side=wanted.server_side)
    desk.made_first = frozenset(one.name for one in read if one.is_a("Namespace", "v1"))
    written = drafts.settled([await desk.draft(one) for one in ours])
    unlisted: dict[str, str] = {}
    written += await _touched(desk, written, unlisted)
    now = datetime.now(UTC)  # noqa: TID251 - the program meets the cluster here
    items = [planned for one in written if (planned := await _planned(desk, one, written, now))]
    items += _unfollowed(written, unlisted)
    others = [(one.kind or "?", one.name) for one in read if not _is_ours(one)]
    if not desk.away:
        items = await costs.priced(place, items, now)
        others += _unused(written, unlisted)
    return Plan(tuple(items), desk.away, tuple(others))


def _is_ours(manifest: Manifest) -> bool:
    """Whether it is planned what an apply does to an object; others are left out."""
    if manifest.is_a(CONFIGMAP, "v1"):
        return True
    group = str(manifest.document.get("apiVersion") or "").startswith(f"{names.GROUP}/")
    return group and manifest.kind in (AGENT, ROLLOUT)


async def _touched(desk: Desk, written: Sequence[Draft], unlisted: dict[str, str]) -> list[Draft]:
    """Agents in the cluster that stand in no manifest, and take their instructions from a ConfigMap in one.

    Args:
        unlisted: gets why the Agents of a namespace cannot be listed.
    """
    there = {one.key for one in written}
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
            made = Draft(AGENT, one.namespace, agent["metadata"]["name"], one.where, agent, agent)
            if made.key not in there:
                found[made.key] = made
    return list(found.values())


def _unused(written: Sequence[Draft], unlisted: dict[str, str]) -> list[tuple[str, str]]:
    """ConfigMaps from which no Agent takes its instructions."""
    agents = [one for one in written if one.kind == AGENT]
    return [
        (one.kind, one.name)
        for one in written
        if one.kind == CONFIGMAP and not one.refused and one.namespace not in unlisted
        if not any(
            agent.namespace == one.namespace and drafts.refers(agent.left, one.name)
            for agent in agents
        )
    ]


def _unfollowed(written: Sequence[Draft], unlisted: dict[str, str]) -> list[Planned]:
    """ConfigMaps of which nobody knows whether an Agent takes its instructions from them."""
    return [
        foresight.of_configmap(one, (unlisted[one.namespace],))
        for one in written
        if one.kind == CONFIGMAP and not one.refused and one.namespace in unlisted
    ]


async def _planned(
    desk: Desk, draft: Draft, written: Sequence[Draft], now: datetime
) -> Planned | None:
    if draft.kind == CONFIGMAP:
        return outcome.refused(draft) if draft.refused else None
    if draft.kind == AGENT:
        return foresight.of_agent(draft, await _around(desk, draft, written), now)
    agent, around = (None, Around()) if draft.refused else await _governed(desk, draft, written)
    return foresight.of_rollout(draft, agent, around, now)


async def _around(desk: Desk, agent: Draft, written: Sequence[Draft]) -> Around:
    """What is around an Agent that is left; nothing where none is."""
    left = agent.staying() if agent.refused else agent
    return await desk.around(left, written) if left.after else Around()


async def _governed(
    desk: Desk, rollout: Draft, written: Sequence[Draft]
) -> tuple[Draft | None, Around]:
    """The Agent that an AgentRollout is for, as it would be, and what is around it; None where there is none."""
    name = drafts.agent_of(rollout.after)
    agent = drafts.find(written, AGENT, rollout.namespace, name)
    try:
        if agent is None and name and not desk.away:
            live = await desk.get(AGENT, rollout.namespace, name)
            agent = Draft(AGENT, rollout.namespace, name, rollout.where, live or {}, live)
    except Stopped as stopped:
        return None, Around(unread={f"Agent {name}": stopped.sentence})
    if agent is None or not agent.after:
        return None, Around()
    around = await _around(desk, agent, written)
    if not agent.refused:
        return agent, around
    if not agent.compared:
        return None, Around(unread={f"Agent {name}": drafts.untold(agent)})
    told = replace(around, refused=(drafts.stays(agent),))
    return (agent.staying() if agent.live else None), told


def _print(found: Plan, output: str) -> None:
    if output != "text":
        print(documents.printed(document.of(found), output))
        return
    console = views.terminal()
    for line in words.lines(found):
        console.print(line)
