"""The plan for one agent: pure, from the world as gathered to everything that must be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from penstock import names
from penstock.api.agent import AgentSpec, AgentTemplate
from penstock.api.agent_status import AgentStatus
from penstock.api.rollout import AgentRolloutStatus
from penstock.api.tool import Tool
from penstock.money.ledger import Budget
from penstock.revision import Revision
from penstock.rollout.situation import Entry, Happening
from penstock.traffic import (
    Messages,
    RevisionLimits,
    Route,
    RoutedRevision,
    Split,
    Standing,
)
from penstock_operator.cluster import drift
from penstock_operator.cluster.kinds import (
    CONFIGMAP,
    DEPLOYMENT,
    RECORD,
    Kind,
    Object,
    annotations_of,
    name_of,
)
from penstock_operator.reconcile import (
    budgets,
    events,
    idle,
    manifests,
    requeue,
    statuses,
    transitions,
    waiting,
)
from penstock_operator.reconcile.course import Course, chart
from penstock_operator.reconcile.memory import Lull, object_version
from penstock_operator.reconcile.statuses import comparable
from penstock_operator.reconcile.stock import Known, Stock, take_stock, verdict_annotations
from penstock_operator.reconcile.workforce import Crew, muster, prunable
from penstock_operator.reconcile.world import World
from penstock_store.records import Look

#: What admission is told of a revision whose own limits cannot be read any more: the defaults.
_LOST_LIMITS: Final = {"input_chars": 20_000, "queue_seconds": 600, "wall_seconds": 120}


@dataclass(frozen=True)
class Plan:
    """Everything to be written for one agent, in groups that are written in this order.

    ``provide``: the namespace gets its way to Redis, before any worker that takes it.
    ``replaced`` are children to delete before ``children`` are applied (immutable ones that were
    tampered with). ``verdicts`` are annotations on records, written once the status that decides is; ``entries`` are
    decisions for the records of revisions, written last.
    ``rollout_statuses`` are decisions; ``idle_statuses`` those of AgentRollouts that decide nothing.
    ``budget`` is declared before the route where another one is in force (``budget_in_force``: its mark).
    ``rehome`` are revision hashes whose unbegun work goes back to stable; ``expire``: some task
    waits for longer than it may. ``give_up``: the ledger has calls that are open past their time.
    ``events`` are told whatever happens, ``transitions`` once ``agent_status`` is written. ``news``: that status says something new; ``differs``: at least
    its numbers are others. ``holds_seconds``: for how long nothing is awaited but news;
    ``closely``: of some of it no message tells.
    """

    provide: bool = False
    replaced: tuple[tuple[Kind, Object], ...] = ()
    children: tuple[tuple[Kind, Object], ...] = ()
    verdicts: tuple[Object, ...] = ()
    entries: tuple[Entry, ...] = ()
    rollout_statuses: tuple[tuple[Object, AgentRolloutStatus], ...] = ()
    idle_statuses: tuple[tuple[Object, AgentRolloutStatus], ...] = ()
    agent_status: AgentStatus | None = None
    news: bool = False
    differs: bool = False
    route: Route | None = None
    rehome: tuple[str, ...] = ()
    expire: bool = False
    give_up: bool = False
    deletions: tuple[tuple[Kind, Object], ...] = ()
    events: tuple[tuple[Object, Happening], ...] = ()
    transitions: tuple[Happening, ...] = ()
    governed: bool = False
    budget: Budget | None = None
    budget_in_force: str = ""
    route_in_force: tuple[str, ...] = ()
    instead_of: tuple[int, int] | None = None
    in_flight: bool = False
    course: Course | None = None
    lulls: Mapping[str, Lull] = field(default_factory=dict)
    look_again_seconds: float = 60.0
    holds_seconds: float = 0.0
    closely: bool = False


def plan_agent(world: World) -> Plan:
    """Plan one pass over an agent."""
    stock = take_stock(world)
    course = chart(world, stock)
    crews = muster(world, stock, course)
    projections = _projections(world, crews)
    tampered = _tampered(world, crews, projections)
    route = _route(world, course, crews)
    status = statuses.agent_status(world, stock, course, crews, tampered)
    pruned = prunable(
        crews, stock, course, world.spec.revision_history_limit if world.spec else 100
    )
    due = requeue.due(world, stock, course, crews, route)
    return Plan(
        provide=world.unprovided,
        replaced=_replaced(world, tampered),
        children=_children(world, crews, projections),
        verdicts=_verdicts(world, stock, course),
        entries=course.decision.entries if course.governed else (),
        rollout_statuses=_rollout_statuses(world, course),
        idle_statuses=idle.statuses(world),
        agent_status=status,
        news=bool(world.status_lost) or comparable(status) != comparable(world.status),
        differs=status != world.status,
        route=route,
        rehome=_rehome(world, course, crews),
        expire=requeue.is_overdue(world, course, crews),
        give_up=world.look is not None and world.look.overdue_calls,
        deletions=_deletions(world, crews, pruned),
        events=_events(world, course, tampered),
        transitions=transitions.told(world.status, status, waiting.suspended_by(world, course)),
        governed=world.rollout is not None,
        budget=budgets.budget(world, course),
        budget_in_force=world.look.budget_mark if world.look else "",
        route_in_force=world.look.route_record if world.look else (),
        instead_of=world.instead_of,
        in_flight=course.split.tries,
        course=course,
        lulls={crew.known.name: crew.lull for crew in crews if crew.lull},
        look_again_seconds=due.seconds,
        holds_seconds=due.holds_seconds,
        closely=due.closely,
    )


def _projections(world: World, crews: tuple[Crew, ...]) -> dict[str, Object]:
    """Projections to be applied, by revision: those that are missing or not what the record says."""
    wanted = {
        crew.known.name: _projection(world, crew.known.cut)
        for crew in crews
        if crew.replicas is not None
    }
    return {name: projection for name, projection in wanted.items() if projection is not None}


def _tampered(
    world: World, crews: tuple[Crew, ...], projections: Mapping[str, Object]
) -> tuple[str, ...]:
    """Revisions whose projection was there once and is not what the record says."""
    return tuple(
        crew.known.name
        for crew in crews
        if crew.known.record is not None
        and crew.known.name in world.deployments
        and crew.known.name in projections
    )


def _replaced(world: World, tampered: tuple[str, ...]) -> tuple[tuple[Kind, Object], ...]:
    return tuple(
        (CONFIGMAP, world.configmaps[name]) for name in tampered if name in world.configmaps
    )


def _children(
    world: World, crews: tuple[Crew, ...], projections: Mapping[str, Object]
) -> tuple[tuple[Kind, Object], ...]:
    """Objects to apply: whatever is missing or differs, record before projection before workers."""
    found = _price_tables(world)
    for crew in crews:
        known = crew.known
        if known.record is None:
            found.append((RECORD, manifests.record(world.agent, known.cut, known.sequence)))
        if crew.replicas is None or world.spec is None:
            continue
        if known.name in projections:
            found.append((CONFIGMAP, projections[known.name]))
        wanted = _workers(world, world.spec, crew)
        if wanted is not None:
            found.append((DEPLOYMENT, wanted))
    return tuple(found)


def _workers(world: World, spec: AgentSpec, crew: Crew) -> Object | None:
    """The Deployment to apply; None where it is as declared."""
    cut, live = crew.known.cut, world.deployments.get(crew.known.name)

    def wanted() -> Object | None:
        made = manifests.deployment(world.agent, spec, cut, crew.replicas or 0, world.installation)
        return made if drift.pending(made, live, world.answers) else None

    made_from = (*_declared_by(world, cut, DEPLOYMENT, live), crew.replicas)
    return world.once.of(f"workers of {cut.name}", made_from, wanted)


def _projection(world: World, cut: Revision) -> Object | None:
    """The ConfigMap to apply; None where it is what the record says."""
    live = world.configmaps.get(cut.name)

    def wanted() -> Object | None:
        made = manifests.configmap(world.agent, cut)
        return made if drift.pending(made, live, world.answers) else None

    made_from = _declared_by(world, cut, CONFIGMAP, live)
    return world.once.of(f"projection of {cut.name}", made_from, wanted)


def _declared_by(
    world: World, cut: Revision, kind: Kind, live: Object | None
) -> tuple[object, ...]:
    """All that tells whether a child of a revision is to be applied."""
    answer = world.answers.get((kind.kind, cut.name))
    agent, installation = object_version(world.agent), world.installation
    return agent, installation, cut, answer, object_version(live) if live else None


def _price_tables(world: World) -> list[tuple[Kind, Object]]:
    """The installation's own prices for this agent's workers, where they are not what they should be."""
    if not world.installation.own_prices or world.prices is None:
        return []
    wanted = manifests.prices(world.agent, world.prices)
    there = world.configmaps.get(name_of(wanted))
    return [(CONFIGMAP, wanted)] if drift.pending(wanted, there, world.answers) else []


def _verdicts(world: World, stock: Stock, course: Course) -> tuple[Object, ...]:
    """Annotations on records: the new verdicts, and the promotion's place in history."""
    touched = {name for name, item in stock.known.items() if item.restored}
    new = {verdict.revision: verdict for verdict in course.decision.verdicts}
    touched |= {course.decision.promoted} | new.keys()
    found = []
    for name in sorted(touched - {""}):
        known = stock.get(name)
        if known is None:
            continue
        promoted = (
            stock.next_promotion if name == course.decision.promoted else known.promoted_sequence
        )
        notes = verdict_annotations(known, new.get(name), promoted)
        if known.record is None or notes.items() - annotations_of(known.record).items():
            found.append(manifests.verdict(world.agent, name, notes))
    return tuple(found)


def _rollout_statuses(
    world: World, course: Course
) -> tuple[tuple[Object, AgentRolloutStatus], ...]:
    """The decision of the AgentRollout in charge, where it is another than is written there."""
    wanted = course.rollout_status
    rollout = world.rollout
    if rollout is None or wanted is None:
        return ()
    return ((rollout.obj, wanted),) if wanted != rollout.status or rollout.lost else ()


def _route(world: World, course: Course, crews: tuple[Crew, ...]) -> Route | None:
    """The route as decided; None while there is none to write, or while Redis is away.

    A stable revision whose record is lost is routed to all the same: its workers still serve, and taking a
    canary off must not depend on it. A first revision that climbs needs none. Where nobody can serve, the route says it.
    """
    if world.look is None:
        return None
    if not (course.split.stable or course.split.canary):
        return _no_route(world, course, world.look)
    if not course.version:
        return None
    hashes = {crew.known.name: crew.known.cut.hash for crew in crews}
    stable = hashes.get(course.split.stable) or names.hash_of(course.split.stable)
    is_lost = course.split.stable not in hashes and course.split.stable
    lost = {stable: RoutedRevision(stable, Standing.OPEN, RevisionLimits(**_LOST_LIMITS))}
    return Route(
        uid=world.uid,
        epoch=course.decision.status.epoch,
        version=course.version,
        split=replace(course.split, stable=stable, canary=hashes.get(course.split.canary, "")),
        max_queued=_max_queued(world),
        rates=budgets.rates(world),
        budget_mark=budgets.mark(world, course),
        restrictions=budgets.restricted(world),
        harm=budgets.harm(world, course, _tools_of(_canary(course), crews)),
        shadow=budgets.shadow(
            world, course, _tools_of(course.split.stable, crews), _tools_of(_canary(course), crews)
        ),
        revisions=(lost if is_lost else {})
        | {
            crew.known.cut.hash: RoutedRevision(
                crew.known.cut.hash,
                crew.standing,
                crew.known.cut.limits,
                crew.known.cut.template.version or "",
                _messages(crew.known.cut.template),
                crew.way_back,
            )
            for crew in crews
        },
    )


def _canary(course: Course) -> str | None:
    status = course.rollout_status
    return course.split.canary or (status.canary_revision if status else None)


def _tools_of(revision: str | None, crews: tuple[Crew, ...]) -> Sequence[Tool]:
    """The tools of a revision."""
    known = (crew.known for crew in crews if crew.known.name == revision)
    return next((one.cut.template.tools for one in known), ())


def _messages(template: AgentTemplate) -> Messages:
    """What end users of a revision read instead of an answer."""
    said = template.messages
    return Messages(said.escalated, said.unavailable, said.blocked) if said else Messages()


def _no_route(world: World, course: Course, look: Look) -> Route | None:
    """Nobody can serve: a route that still leads somewhere is taken out of force."""
    if look.route_version is None:
        return None
    empty = not any(look.route_record[3:4])  # uid, epoch, version, stable, …
    version = (
        look.route_version if empty and look.route_uid == world.uid else look.route_version + 1
    )
    epoch = max(course.decision.status.epoch, world.epoch)
    nobody = Split(suspended=world.suspended)
    return Route(world.uid, epoch, max(version, course.version), nobody)


def _max_queued(world: World) -> int:
    """How many tasks may wait for a worker; 0: as many as the installation allows."""
    return getattr(world.spec and world.spec.scaling, "max_queued_tasks", None) or 0


def _rehome(world: World, course: Course, crews: tuple[Crew, ...]) -> tuple[str, ...]:
    """Revisions that give work back as their standing says, and those nobody knows any more."""
    if world.look is None or not (course.split.stable or course.split.canary):
        return ()
    serving = {names.hash_of(course.split.stable)}  # also where its record cannot be read
    leaving = [
        crew.known.cut.hash
        for crew in crews
        if crew.standing is not Standing.OPEN and (crew.work.queued or crew.work.running)
    ]
    listed = {crew.known.cut.hash for crew in crews} | serving
    unlisted = [
        found
        for found, work in world.look.work.items()
        if found not in listed and (work.queued or work.running)
    ]
    return (*leaving, *unlisted)


def _deletions(
    world: World, crews: tuple[Crew, ...], pruned: tuple[Known, ...]
) -> tuple[tuple[Kind, Object], ...]:
    """Deployments of closed revisions; record and projection of those past the history limit."""
    closed = {crew.known.name for crew in crews if crew.standing is Standing.CLOSED}
    found: list[tuple[Kind, Object]] = [
        (DEPLOYMENT, live) for name, live in world.deployments.items() if name in closed
    ]
    left_over = world.configmaps.get(names.prices_name(world.name))
    if left_over and not world.installation.own_prices:
        found.append((CONFIGMAP, left_over))
    for known in pruned:
        if known.name in world.configmaps:
            found.append((CONFIGMAP, world.configmaps[known.name]))
        if known.record is not None:
            found.append((RECORD, known.record))
    return tuple(found)


def _events(
    world: World, course: Course, tampered: tuple[str, ...]
) -> tuple[tuple[Object, Happening], ...]:
    about = world.rollout.obj if world.rollout else world.agent
    found = [(about, happening) for happening in course.decision.happenings]
    found += [(world.agent, events.revision_tampered(name)) for name in tampered]
    for obj, lost in _unread_statuses(world):
        found.append((obj, events.status_unreadable(lost)))
    return tuple(found)


def _unread_statuses(world: World) -> list[tuple[Object, tuple[str, ...]]]:
    """Objects whose status could not be read in all its parts; this pass writes it anew."""
    told = [(world.agent, world.status_lost)]
    if world.rollout is not None:
        told.append((world.rollout.obj, world.rollout.lost))
    return [(obj, lost) for obj, lost in told if lost]
