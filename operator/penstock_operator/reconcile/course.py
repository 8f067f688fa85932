"""The course of an agent: who serves whom from now on, decided by its rollout or without one."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from penstock import names
from penstock.api import budgets
from penstock.api.agent_status import Asked, Role, TrafficTarget
from penstock.api.analysis import Result, Verdict
from penstock.api.reasons import EventReason
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.effects import HarmDone, Sums
from penstock.money.ledger import Limit, Mode
from penstock.rollout import capacity, engine
from penstock.rollout.capacity import Capacity
from penstock.rollout.situation import Decision, Happening, Pods, Situation
from penstock.shadow import Trial
from penstock.traffic import Split
from penstock_operator.cluster.kinds import annotations_of, name_of, namespace_of
from penstock_operator.cluster.reading import Rollout
from penstock_operator.reconcile import asked, events, podwords
from penstock_operator.reconcile.stock import Known, Stock
from penstock_operator.reconcile.world import World
from penstock_store.records import RevisionWork


@dataclass(frozen=True)
class Course:
    """The decision on an agent's traffic, and what the operator adds to it.

    ``governed``: an AgentRollout has decided by the engine; else the decision is made here, and its
    status is written nowhere. ``frozen``: a canary waits because its AgentRollout is gone.
    ``answer`` is to what a person asked of the Agent. ``staff_percent`` is the share that the
    canary's workers must be able to take by now.
    """

    decision: Decision
    governed: bool = False
    frozen: bool = False
    answer: Asked | None = None
    staff_percent: int = 0

    @cached_property
    def split(self) -> Split:
        """Who serves whom, revisions by name."""
        return self.decision.status.split

    @property
    def version(self) -> int:
        """The route's version."""
        return self.decision.status.route_version

    @property
    def rollout_status(self) -> AgentRolloutStatus | None:
        """What the AgentRollout is told; None without one."""
        return self.decision.status if self.governed else None

    @property
    def given(self) -> str:
        """Whom the canary serves, for people: so many percent of the users, or those of rings."""
        rings = self.decision.status.rings if self.split.chosen and not self.split.percent else ()
        names = ", ".join(ring.name for ring in rings)
        return f"ring{'s' * (len(rings) > 1)} {names}" if rings else f"{self.split.percent} %"

    @property
    def climbs_alone(self) -> bool:
        """Whether the first revision climbs: whom it is not given nobody serves."""
        tried = self.governed and self.decision.status.stage is not Stage.DONE
        return tried and bool(self.split.canary) and not self.split.stable

    @property
    def withdrawn(self) -> bool:
        """Whether a canary is off for a while, and may come back."""
        return self.frozen or self.decision.status.share.source is Source.SUSPENDED


def verdict_on(course: Course, known: Known) -> Verdict | None:
    """The last verdict on a revision: this pass's, else the one on its record."""
    new = next((told for told in course.decision.verdicts if told.revision == known.name), None)
    return new or known.verdict


def rejection_in_force(course: Course, known: Known) -> Verdict | None:
    """The rejection by which a revision gets nothing; None once users are given it, or another attempt is made."""
    verdict, status = verdict_on(course, known), course.decision.status
    if verdict is None or verdict.result is not Result.REJECTED or course.split.tries:
        return None
    of_this = course.governed and status.canary_revision == known.name
    return None if of_this and status.attempt > verdict.attempt else verdict


def is_rejected(course: Course, known: Known) -> bool:
    """Whether the last verdict on a revision rejects it."""
    verdict = verdict_on(course, known)
    return verdict is not None and verdict.result is Result.REJECTED


def chart(world: World, stock: Stock) -> Course:
    """Decide the course: by the AgentRollout in charge, else by the Agent's own policy."""
    request = asked.read(world, stock)
    if isinstance(request, asked.Goal):
        return _as_asked(world, stock, request)
    rollout = world.rollout
    course = _governed(world, stock, rollout) if rollout else _unasked(world, stock)
    if request is None:
        return course
    return replace(course, answer=asked.answer(world, request, accepted=False))


def _governed(world: World, stock: Stock, rollout: Rollout) -> Course:
    decision = engine.decide(situation(world, stock, rollout))
    after = decision.status.model_copy(update={"agent_uid": world.uid})
    percent = capacity.percent_to_staff(after, rollout.spec, world.now)
    return Course(replace(decision, status=after), governed=True, staff_percent=percent)


def situation(world: World, stock: Stock, rollout: Rollout) -> Situation:
    """The engine's view of the world; it goes on from the decision in force."""
    look = world.look
    canary = stock.decided.canary_revision or stock.latest
    work = _work(world, stock, canary)
    return Situation(
        now=world.now,
        spec=rollout.spec,
        generation=int(rollout.obj["metadata"].get("generation", 0)),
        status=stock.decided,
        epoch=world.epoch,
        stable=stock.stable,
        latest=stock.latest,
        records=stock.records,
        pods=_pods(world, canary),
        observation=world.observation,
        observation_error=world.observation_error or world.look_error,
        request=annotations_of(rollout.obj).get(names.ANNOTATION_REQUEST, ""),
        fresh_salt=world.fresh_salt,
        route_version_floor=_highest_version(world),
        route_lags=look is not None and look.route_version != stock.decided.route_version,
        users=work.users if work else 0,
        tasks=work.tasks if work else 0,
        queue_age_seconds={
            name: found.oldest_queued_ms / 1000
            for name in (canary, stock.stable)
            if (found := _work(world, stock, name))
        },
        agent_suspended=world.suspended,
        store_error=world.look_error if look is None else "",
        uncut="Settling" if stock.settling else stock.problem[0] if stock.problem else "",
        capacity=capacity_of(world, stock, canary),
        agent_limits=_agent_limits(world),
        stops={canary: world.look.stops} if _is_of_canary(world, canary) and world.look else {},
        harm=_harm(world, canary),
        effects=_effects(world, canary),
        trials=_trials(world, canary),
        expected_micro_usd=budgets.expected_micro_usd(world.spec.budgets) if world.spec else None,
        external=world.external,
        turned_away_at=_turned_away_at(work),
        namespace=namespace_of(world.agent),
        name=name_of(rollout.obj),
    )


def _turned_away_at(work: RevisionWork | None) -> datetime | None:
    """When a caller was last refused because nobody but the canary serves; None: never."""
    ms = work.turned_away_ms if work else 0
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None


def _agent_limits(world: World) -> tuple[Limit, ...] | None:
    """What stops a canary at its part; None where nobody knows. A budget that only reports stops nobody."""
    if world.spec is None:
        return None
    declared = budgets.budget_of(world.spec.budgets)
    return declared.limits if declared and declared.mode is Mode.ENFORCE else ()


def _harm(world: World, canary: str) -> dict[str, HarmDone]:
    """What the canary has done, where that is counted."""
    done = world.look.harm if world.look and _is_of_canary(world, canary) else None
    return {canary: done} if done else {}


def _effects(world: World, canary: str) -> dict[str, Sums]:
    """What the canary's calls have done, where Redis has said it."""
    done = world.look.effects if world.look and _is_of_canary(world, canary) else None
    return {} if done is None else {canary: done}


def _trials(world: World, canary: str) -> dict[str, Trial]:
    """What copies have shown of the canary, where they are made."""
    seen = world.look.trial if world.look and _is_of_canary(world, canary) else None
    return {} if seen is None else {canary: seen}


def _is_of_canary(world: World, canary: str) -> bool:
    """Whether the canary of the route in force, of which Redis tells, is this one."""
    return bool(canary) and world.look is not None and world.look.canary == names.hash_of(canary)


def _highest_version(world: World) -> int:
    """The highest version of the route that was ever seen, on record or in force."""
    in_force = (world.look.route_version or 0) if world.look else 0
    return max(world.status.traffic.version, in_force)


def capacity_of(world: World, stock: Stock, canary: str) -> Capacity | None:
    """What the canary's workers can take; None while nobody can tell, which holds nothing up.

    A canary that sleeps wakes with its queue: it has what it needs.
    """
    pods = world.pods.get(canary)
    asleep = pods is not None and not pods.wanted
    if world.spec is None or world.look is None or pods is None or asleep:
        return None
    found = (_work(world, stock, name) for name in {canary, stock.stable})
    tasks = sum(work.queued + work.running for work in found if work)
    share = stock.decided.share.percent
    if not stock.stable and share:  # those of everybody else are refused, and will come
        tasks = -(-tasks * 100 // share)
    spec = world.spec
    return capacity.capacity(spec.scaling, spec.worker.concurrency, pods.ready, tasks)


def _pods(world: World, canary: str) -> dict[str, Pods]:
    """Readiness by revision; a canary without a Deployment is missing, not asleep."""
    found = {
        name: replace(pods, needs_person=podwords.for_a_person(pods.message))
        for name, pods in world.pods.items()
    }
    if canary:
        found.setdefault(canary, Pods(wanted=1, message="it has no Deployment yet"))
    return found


def _work(world: World, stock: Stock, name: str) -> RevisionWork | None:
    known = stock.get(name)
    return world.look.work.get(known.cut.hash) if world.look and known else None


def _as_asked(world: World, stock: Stock, goal: asked.Goal) -> Course:
    """Who serves goes on until the first worker of the one that was asked for is ready."""
    name = goal.known.name
    if not world.ready(name):
        status = _everybody(world, stock.stable)
        decision = Decision(status, goal=name, look_again_seconds=2.0)
        return Course(decision, frozen=_must_wait(world, stock))
    status, message = _everybody(world, name), f"{name} serves, by request"
    decision = Decision(
        status,
        happenings=(
            Happening(EventReason.REQUEST_ACCEPTED, message),
            events.released(name, status.route_version),
        ),
        verdicts=asked.verdicts(world, stock, goal),
        look_again_seconds=5.0,
        promoted=name,
    )
    return Course(decision, answer=asked.answer(world, message, accepted=True))


def _unasked(world: World, stock: Stock) -> Course:
    """Without an AgentRollout the latest revision serves once it is ready."""
    frozen, latest = _must_wait(world, stock), stock.get(stock.latest)
    free = latest is not None and not frozen and not latest.rejected
    promoted = ""
    if free and stock.latest != stock.stable and world.ready(stock.latest):
        promoted = stock.latest
    stable = promoted or stock.stable
    status = _everybody(world, stable)
    decision = Decision(
        status,
        happenings=(events.released(stable, status.route_version),) if promoted else (),
        look_again_seconds=5.0 if stable != stock.latest else 60.0,
        promoted=promoted,
    )
    return Course(decision, frozen=frozen)


def _must_wait(world: World, stock: Stock) -> bool:
    """Whether the latest revision may not be released, because its AgentRollout is gone."""
    latest = stock.get(stock.latest)
    if latest is None or stock.latest == stock.stable or latest.rejected:
        return False
    if not stock.stable and not world.status.first_climbs:
        return False
    return bool(world.status.had_rollout or world.unread_rollouts) and world.guarded


def _everybody(world: World, stable: str) -> AgentRolloutStatus:
    """The decision that one revision serves everybody."""
    split = Split(stable, suspended=world.suspended)
    decided = {
        "stable_revision": stable or None,
        "suspended": world.suspended,
        "route_version": _version(world, split),
        "epoch": world.epoch,
    }
    return AgentRolloutStatus().model_copy(update=decided)


def _version(world: World, split: Split) -> int:
    """The route's version: one more than the one in force whenever the traffic changes."""
    traffic, in_force = world.status.traffic, _highest_version(world)
    same = targets(split) == traffic.targets and split.suspended == traffic.suspended
    return in_force if same and in_force == traffic.version else in_force + 1


def targets(split: Split) -> list[TrafficTarget]:
    """The report of a route: only revisions with a share, or with users of rings, Stable first."""
    found, percent = [], split.percent
    if split.stable and percent < 100:
        found.append(TrafficTarget(revision=split.stable, role=Role.STABLE, percent=100 - percent))
    if split.tries:
        found.append(TrafficTarget(revision=split.canary, role=Role.CANARY, percent=percent))
    return found
