"""What each revision's workers may do, and how many of them there are."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from penstock.api.agent import AgentSpec, Scaling
from penstock.api.agent_status import RevisionState
from penstock.api.analysis import Result
from penstock.api.rollout import Stage
from penstock.api.worker import Worker
from penstock.rollout.capacity import replicas_for
from penstock.traffic import Standing, WayBack
from penstock_operator.reconcile.course import Course, capacity_of, is_rejected, verdict_on
from penstock_operator.reconcile.memory import Lull
from penstock_operator.reconcile.stock import Known, Stock
from penstock_operator.reconcile.world import World
from penstock_store.records import RevisionWork

_LEAVING: Final = (Standing.REJECTED, Standing.SUPERSEDED, Standing.DRAINING)
#: Records of so many rejected revisions are kept, whatever the history limit is.
REJECTED_KEPT: Final = 20
_SCALE_DOWN_AFTER: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class Crew:
    """One revision's standing, its work, and the workers it should have (None: no Deployment).

    ``lull`` is there while it has more workers than it needs and keeps them for a while. ``way_back``: how it may
    come back, once its workers take no work.
    """

    known: Known
    standing: Standing
    work: RevisionWork
    replicas: int | None
    way_back: WayBack
    lull: Lull | None = None

    @property
    def state(self) -> RevisionState:
        """The standing as the Agent's status reports it."""
        if self.standing is Standing.OPEN:
            return RevisionState.OPEN
        if self.standing is Standing.CLOSED:
            return RevisionState.CLOSED
        return RevisionState.DRAINING


def muster(world: World, stock: Stock, course: Course) -> tuple[Crew, ...]:
    """Every known revision's crew, newest revision first."""
    ordered = sorted(stock.known.values(), key=lambda item: item.sequence, reverse=True)
    return tuple(_crew(world, stock, course, known) for known in ordered)


def _crew(world: World, stock: Stock, course: Course, known: Known) -> Crew:
    work = work_of(world, known)
    crew = Crew(
        known, standing_of(world, stock, course, known), work, None, _way_back(stock, course, known)
    )
    if crew.standing is Standing.CLOSED or world.spec is None:
        return crew
    replicas, lull = _staff(world, world.spec, stock, course, crew)
    return replace(crew, replicas=replicas, lull=lull)


def _way_back(stock: Stock, course: Course, known: Known) -> WayBack:
    """How a revision may come back, by the rules of the requests `retry` and `undo`."""
    if is_rejected(course, known):
        declared = known.name == stock.latest
        return WayBack.RETRY if declared else WayBack.DECLARE_AND_RETRY
    return WayBack.UNDO if known.promoted_sequence else WayBack.DECLARE


def work_of(world: World, known: Known) -> RevisionWork:
    """What a revision holds; nothing when Redis did not answer."""
    if world.look is None:
        return RevisionWork()
    return world.look.work.get(known.cut.hash, RevisionWork())


def standing_of(world: World, stock: Stock, course: Course, known: Known) -> Standing:
    """What a revision's workers may do with the work they hold."""
    if known.name in (course.split.stable, course.decision.goal):
        return Standing.OPEN
    if known.name == course.split.canary:
        standing = _canary_standing(course, known)
    elif known.name == stock.latest and not is_rejected(course, known):  # cut, not released yet
        standing = Standing.WITHDRAWN if course.frozen else Standing.OPEN
    else:
        standing = _leaving(course, known)
    done = standing in _LEAVING and _may_close(world, known, standing)
    return Standing.CLOSED if done else standing


def _canary_standing(course: Course, known: Known) -> Standing:
    verdict = verdict_on(course, known)
    rejected = (
        verdict is not None
        and verdict.result is Result.REJECTED
        and course.rollout_status is not None
        and verdict.attempt >= course.rollout_status.attempt
    )
    if rejected:
        return Standing.REJECTED
    return Standing.WITHDRAWN if course.withdrawn else Standing.OPEN


def _leaving(course: Course, known: Known) -> Standing:
    verdict = verdict_on(course, known)
    if verdict and verdict.result is Result.REJECTED:
        return Standing.REJECTED
    if verdict and verdict.result is Result.SUPERSEDED and not known.promoted_sequence:
        return Standing.SUPERSEDED
    return Standing.DRAINING


def _may_close(world: World, known: Known, standing: Standing) -> bool:
    """Closed once it holds nothing, and the route that took it out has been seen in force.

    Sessions of a rejected revision move at their next turn; they need no worker of its.
    """
    work = work_of(world, known)
    empty = work.idle or (standing is Standing.REJECTED and not (work.queued or work.running))
    if world.look is None or not empty:
        return False
    reported = {item.name: item.state for item in world.status.revisions}
    state = reported.get(known.name, RevisionState.CLOSED)
    in_force = world.look.route_version == world.status.traffic.version
    return state is RevisionState.CLOSED or (state is RevisionState.DRAINING and in_force)


def _staff(
    world: World, spec: AgentSpec, stock: Stock, course: Course, crew: Crew
) -> tuple[int, Lull | None]:
    """The workers of a revision that is not closed, and its lull."""
    wanted = wanted_replicas(spec.scaling, crew.work, spec.worker.concurrency)
    current = current_replicas(world, crew.known)
    if crew.known.name == course.split.stable:
        if spec.scaling.replicas is not None:
            return spec.scaling.replicas, None
        if _undone(stock, course):
            return max(_as_many_as_serve(world, stock, wanted), current or 0), None
        if under_way(course):  # all users may come back at any moment
            return max(wanted, min(current or 0, spec.scaling.max_replicas)), None
        return _slowly(world, crew.known, wanted, current)
    if crew.known.name == course.decision.goal:
        return _as_many_as_serve(world, stock, wanted), None
    ahead = _ahead(world, stock, course) if crew.known.name == course.split.canary else 1
    if crew.standing is Standing.OPEN:
        return _slowly(world, crew.known, max(ahead, wanted), current)
    leaving = max(1, min(wanted, current or 1))  # finishing what it has
    if crew.standing is Standing.WITHDRAWN and course.staff_percent:  # it comes back to a share
        return _slowly(world, crew.known, max(ahead, leaving), current)
    return leaving, None


def _undone(stock: Stock, course: Course) -> bool:
    """Whether who has served until now is left in this pass, for a revision of before."""
    return any(
        told.revision == stock.stable and told.result is Result.REJECTED
        for told in course.decision.verdicts
    )


def _as_many_as_serve(world: World, stock: Stock, wanted: int) -> int:
    """The workers of a revision that all users come to at once."""
    serving = stock.get(stock.stable)
    theirs = current_replicas(world, serving) if serving else None
    return max(1, wanted, theirs or 1)


def _ahead(world: World, stock: Stock, course: Course) -> int:
    """How many workers the canary's next share needs: they are there before it is raised."""
    room = capacity_of(world, stock, course.split.canary)
    if room is None or world.spec is None:
        return 1
    return replicas_for(room, course.staff_percent, world.spec.worker.concurrency)


def wanted_replicas(
    scaling: Scaling, work: RevisionWork, concurrency: int = Worker().concurrency
) -> int:
    """Workers for what runs and for what waits, within the declared bounds.

    Args:
        concurrency: running tasks that one worker takes; ``queuedTasksPerReplica`` are the waiting
            ones that it answers for.
    """
    waits = scaling.queued_tasks_per_replica
    needed = -(-(work.queued * concurrency + work.running * waits) // (waits * concurrency))
    return max(scaling.min_replicas, min(needed, max(scaling.max_replicas, scaling.min_replicas)))


def current_replicas(world: World, known: Known) -> int | None:
    """What its Deployment asks for now; None without a Deployment."""
    live = world.deployments.get(known.name)
    return int(live["spec"].get("replicas", 1)) if live else None


def under_way(course: Course) -> bool:
    """Whether a canary is being tried, up to the end of its final hold."""
    status = course.rollout_status
    return bool(course.split.canary) and status is not None and status.stage is not Stage.DONE


def _slowly(
    world: World, known: Known, wanted: int, current: int | None
) -> tuple[int, Lull | None]:
    """Up at once; down only after less was needed for a while, and to the most of that while.

    While Redis is away nobody knows what is needed, and nothing is taken away.
    """
    if current is None or wanted >= current:
        return wanted, None
    if world.look is None:
        return current, None
    before = world.lulls.get(known.name)
    begun = before if before and before.replicas == current else Lull(world.now, 0, current)
    lull = replace(begun, most=max(begun.most, wanted))
    over = world.now - lull.since >= _SCALE_DOWN_AFTER
    return (lull.most if over else current), lull


def prunable(
    crews: tuple[Crew, ...], stock: Stock, course: Course, limit: int
) -> tuple[Known, ...]:
    """Closed revisions beyond the history limit, except those that somebody may return to.

    Rejected ones are counted by themselves and have room of their own.
    """
    kept = {course.split.stable, course.split.canary, stock.latest}
    closed = [
        crew.known
        for crew in crews
        if crew.standing is Standing.CLOSED and crew.known.name not in kept
    ]
    rejected = [known for known in closed if known.rejected]
    others = [known for known in closed if not known.rejected]
    return (*others[limit:], *rejected[max(limit, REJECTED_KEPT) :])
