"""When an agent is looked at again without being asked: for what no event announces."""

import math
from dataclasses import dataclass
from typing import Final

from penstock.api.agent_status import RevisionState
from penstock.traffic import Route
from penstock_operator.reconcile import access, podwords, runtimes, spending
from penstock_operator.reconcile.course import Course
from penstock_operator.reconcile.stock import Known, Stock
from penstock_operator.reconcile.workforce import Crew
from penstock_operator.reconcile.world import World
from penstock_store import codec

_SETTLING_SECONDS: Final = 1.0
_AT_REST_SECONDS: Final = 60.0
_IN_USE_SECONDS: Final = 5.0
_ASLEEP_SECONDS: Final = 2.0
_ROUTE_SECONDS: Final = 0.2
_REFERENCE_SECONDS: Final = 10.0
_SPEAK_SECONDS: Final = 2.0
_SPEAK_FOR_SECONDS: Final = 600.0
_EXPIRED_SECONDS: Final = 0.1  # after the moment up to which a task may wait
_IN_USE_FOR_MS: Final = 3_600_000


@dataclass(frozen=True)
class Due:
    """In how many seconds the next pass is due, at the latest.

    ``holds_seconds``: for how long none is while the API server and Redis tell nothing new; 0 where
    something is awaited that comes with time, or that neither of them tells. ``closely``: Redis is
    to be looked at often, since no message tells of what is awaited there.
    """

    seconds: float
    holds_seconds: float = 0.0
    closely: bool = False


def due(
    world: World, stock: Stock, course: Course, crews: tuple[Crew, ...], route: Route | None
) -> Due:
    """When the next pass is due.

    Args:
        route: what this pass puts in force.
    """
    if stock.settling:
        return Due(_SETTLING_SECONDS)
    soon = course.decision.look_again_seconds
    wishes = min([_AT_REST_SECONDS, *_wishes(world, course, crews, route)])
    seconds = min(wishes, soon, *_news(world, crews))
    if wishes < _AT_REST_SECONDS:
        return Due(seconds)
    holds = math.inf if soon >= _AT_REST_SECONDS else 0.0
    holds = min(course.decision.holds_seconds or holds, spending.resets_seconds(world))
    return Due(seconds, holds, _may_hear(world, crews))


def is_overdue(world: World, course: Course, crews: tuple[Crew, ...]) -> bool:
    """Whether a task waits for longer than it may, for a worker or for a person."""
    waits = _seconds_to_wait(world, course, crews)
    return any(left <= 0 for left in [*waits, *_seconds_to_lapse(world)])


def _seconds_to_lapse(world: World) -> list[float]:
    """In how many seconds time decides the first call that waits for a person."""
    lapses_ms = world.look.lapses_in_ms if world.look else None
    return [] if lapses_ms is None else [lapses_ms / 1000]


def _seconds_to_wait(world: World, course: Course, crews: tuple[Crew, ...]) -> list[float]:
    """For how much longer the oldest task in each queue may wait; nothing while admission stands.

    Workers end what has waited for too long; where none lives, nobody else does.
    """
    if world.look is None or course.split.suspended:
        return []
    return [
        crew.known.cut.limits.queue_seconds - crew.work.oldest_queued_ms / 1000
        for crew in crews
        if crew.work.oldest_queued_ms
    ]


def _news(world: World, crews: tuple[Crew, ...]) -> list[float]:
    """In how many seconds Redis should be asked for news of an agent."""
    asleep = world.spec is not None and world.spec.scaling.min_replicas == 0
    found = [_AT_REST_SECONDS]
    if asleep:
        found.append(_ASLEEP_SECONDS)  # the first task must wake it
    if _in_use(world) or _may_hear(world, crews):
        found.append(_IN_USE_SECONDS)
    return found


def _wishes(
    world: World, course: Course, crews: tuple[Crew, ...], route: Route | None
) -> list[float]:
    """In how many seconds each thing that nobody tells us of should be looked at."""
    wishes = []
    leaving = any(crew.state is RevisionState.DRAINING for crew in crews)
    refused = world.refused or world.name_conflict or world.no_redis_user
    unsettled = world.look is None or world.missing or refused
    lull = any(crew.lull for crew in crews)
    if leaving or unsettled or lull:
        wishes.append(_IN_USE_SECONDS)
    wishes += [
        left + _EXPIRED_SECONDS if left > 0 else _IN_USE_SECONDS
        for left in [*_seconds_to_wait(world, course, crews), *_seconds_to_lapse(world)]
    ]
    if any(_may_speak(world, name) for name in world.pods):
        wishes.append(_SPEAK_SECONDS)
    wishes.append(spending.resets_seconds(world) + _EXPIRED_SECONDS)
    if world.references:
        wishes.append(_REFERENCE_SECONDS)
    if _puts_in_force(world, route):
        wishes.append(_ROUTE_SECONDS)
    if any(runtimes.is_awaited(world, crew.known.cut) for crew in crews):
        wishes.append(_IN_USE_SECONDS)
    return wishes


def _puts_in_force(world: World, route: Route | None) -> bool:
    """Whether this pass changes the route: the next one finds it in force, and says so."""
    return bool(route and world.look and world.look.route_record != codec.route_record(route))


def _may_hear(world: World, crews: tuple[Crew, ...]) -> bool:
    """Whether workers are there since lately, and may say any moment what the model said first."""
    return any(_is_fresh(world, crew.known) for crew in crews)


def _is_fresh(world: World, known: Known) -> bool:
    live = world.deployments.get(known.name)
    since = podwords.availability_changed_at(live) if live and world.ready(known.name) else None
    fresh = since is not None and (world.now - since).total_seconds() < _SPEAK_FOR_SECONDS
    return fresh and not access.is_told(world, known.cut.hash)


def _may_speak(world: World, revision: str) -> bool:
    """Whether pods are unready since lately: what they say in their first minutes nobody tells us."""
    pods, live = world.pods[revision], world.deployments.get(revision)
    since = (
        podwords.availability_changed_at(live) if live and pods.wanted and not pods.ready else None
    )
    return since is not None and (world.now - since).total_seconds() < _SPEAK_FOR_SECONDS


def _in_use(world: World) -> bool:
    """Whether a task was routed or ended lately: only then can a backlog grow unseen."""
    if world.look is None or not world.look.last_row:
        return False
    last_ms = int(world.look.last_row.partition("-")[0])
    return world.look.now_ms - last_ms < _IN_USE_FOR_MS
