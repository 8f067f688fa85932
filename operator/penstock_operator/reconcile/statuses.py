"""The Agent's status: what was observed, in conditions that people and tools can wait for."""

from collections.abc import Callable
from typing import Final

from penstock import names
from penstock.api import condition
from penstock.api.agent_status import AgentStatus, AgentSummary, Asked, RevisionStatus, Traffic
from penstock.api.analysis import Verdict
from penstock.api.condition import Condition, Status
from penstock.api.reasons import ConditionType
from penstock.rollout.situation import Pods
from penstock.traffic import Arm, Split, Standing
from penstock_operator.reconcile import (
    access,
    asked,
    budgets,
    lifting,
    manifests,
    mentioned,
    newest,
    podwords,
    remembered,
    runtimes,
    spending,
    waiting,
)
from penstock_operator.reconcile.access import Word
from penstock_operator.reconcile.course import Course, targets, verdict_on
from penstock_operator.reconcile.stock import Stock
from penstock_operator.reconcile.workforce import Crew
from penstock_operator.reconcile.world import World
from penstock_operator.tenancy.prices import UNREADABLE

_CLIMBS: Final = "FirstRevisionClimbs"


def agent_status(
    world: World, stock: Stock, course: Course, crews: tuple[Crew, ...], tampered: tuple[str, ...]
) -> AgentStatus:
    """The next status of the Agent."""
    traffic = Traffic(
        version=course.version,
        epoch=course.decision.status.epoch,
        targets=targets(course.split),
        suspended=course.split.suspended,
    )
    serving = course.split.stable or stock.latest
    last_request = _last_request(world, course)
    return AgentStatus(
        observed_generation=world.generation,
        latest_revision=stock.latest or None,
        stable_revision=course.split.stable or None,
        had_rollout=_had_rollout(world),
        first_climbs=_first_climbs(course),
        traffic=traffic,
        revisions=_revisions(world, crews),
        rejected=remembered.noted(world.status, _decided(stock, course)),
        replicas=world.ready(serving),
        selector=manifests.selector(world.name, names.hash_of(serving) if serving else ""),
        last_request=last_request,
        answered_requests=asked.remembered(world, last_request),
        budget_windows=spending.windows(world),
        lifts=lifting.in_force(world),
        summary=_summary(world, course, crews),
        conditions=_conditions(world, stock, course, crews, tampered),
    )


def _last_request(world: World, course: Course) -> Asked | None:
    new = course.answer or lifting.answer(world) or asked.repeated(world)
    return new or world.status.last_request


def _decided(stock: Stock, course: Course) -> list[Verdict]:
    """The last verdict on each revision, in the order in which they were cut."""
    known = sorted(stock.known.values(), key=lambda item: item.sequence)
    return [verdict for item in known if (verdict := verdict_on(course, item))]


def _had_rollout(world: World) -> bool | None:
    """Also by one that cannot be read: what it would forbid, nobody knows."""
    return True if world.status.had_rollout or world.rollout or world.unread_rollouts else None


def _first_climbs(course: Course) -> bool | None:
    """Also while it waits for an AgentRollout again: a first revision that did not climb never does."""
    waits = course.frozen and not course.split.stable
    return True if course.climbs_alone or waits else None


def _revisions(world: World, crews: tuple[Crew, ...]) -> list[RevisionStatus]:
    return [
        RevisionStatus(
            name=crew.known.name,
            version=crew.known.cut.template.version,
            state=crew.state,
            replicas=world.ready(crew.known.name),
            queued=crew.work.queued,
            running=crew.work.running,
            pinned=crew.work.pinned,
            cost_today=spending.revision_cost_today(world, crew.known.name, crew.known.cut.hash),
        )
        for crew in crews
        if crew.standing is not Standing.CLOSED
    ][:120]


def _summary(world: World, course: Course, crews: tuple[Crew, ...]) -> AgentSummary:
    error_percent = ""
    if world.observation:
        seen = world.observation.in_window(Arm.STABLE) + world.observation.in_window(Arm.CANARY)
        error_percent = f"{100 * seen.errors / seen.tasks:.1f}" if seen.tasks else ""
    return AgentSummary(
        queued=str(_waiting(world, crews)),
        error_percent=error_percent,
        canary=course.split.canary,
        percent=_percent(course.split),
        cost_today=spending.cost_today(world),
        budget=spending.fullest(world),
    )


def _percent(split: Split) -> str:
    if not split.canary:
        return ""
    return "rings" if split.chosen and not split.percent else str(split.percent)


def _waiting(world: World, crews: tuple[Crew, ...]) -> int:
    """All tasks that wait: for a worker, or for an earlier task of their session."""
    behind = world.look.waiting if world.look else 0
    return behind + sum(crew.work.queued for crew in crews)


def _conditions(
    world: World, stock: Stock, course: Course, crews: tuple[Crew, ...], tampered: tuple[str, ...]
) -> tuple[Condition, ...]:
    ready, up_to_date = _ready(world, stock, course), newest.up_to_date(world, stock, course)
    refused = asked.refusal(world, _last_request(world, course))
    stalled = _stalled(world, stock, course)
    current = world.status.conditions
    always: dict[ConditionType, Word] = {
        ConditionType.ACCEPTED: _accepted(world, stock),
        ConditionType.REFERENCES_RESOLVED: _references(world, stock),
        ConditionType.CREDENTIALS_VALID: access.credentials(world, stock, course),
        ConditionType.UP_TO_DATE: up_to_date,
        ConditionType.RECONCILING: _reconciling(stock, course, crews, stalled)
        or newest.settled(ready, up_to_date),
        ConditionType.STALLED: stalled,
        ConditionType.READY: (*ready[:2], f"{refused}{ready[2]}{newest.behind(ready, up_to_date)}"),
    }
    when_true: dict[ConditionType, Word] = {
        ConditionType.ROLLOUT_MISSING: (course.frozen, "NoAgentRollout", waiting.frozen(stock)),
        ConditionType.NAME_CONFLICT: (bool(world.name_conflict), "NameTaken", world.name_conflict),
        ConditionType.REDIS_USER_MISSING: (
            bool(world.no_redis_user),
            "NotProvided",
            world.no_redis_user,
        ),
        ConditionType.REVISION_TAMPERED: (
            bool(tampered),
            "ProjectedAgain",
            f"put back from the record: {', '.join(tampered)}",
        ),
        ConditionType.RECORD_UNREADABLE: stock.unreadable,
        ConditionType.RESTRICTED: budgets.braked(world),
        ConditionType.BUDGET_LOW: spending.low(spending.windows(world)),
        ConditionType.RUNTIME_TOO_OLD: _too_old(world, stock, course),
        ConditionType.UNKNOWN_NAMES: mentioned.unknown(world, stock, crews),
    }
    for kind, word in always.items():
        current = _put(world, current, kind, word)
    for kind, word in when_true.items():
        current = (
            _put(world, current, kind, word) if word[0] else condition.drop_condition(current, kind)
        )
    return current


def _put(
    world: World, current: tuple[Condition, ...], kind: ConditionType, word: Word
) -> tuple[Condition, ...]:
    true, reason, message = word
    return condition.set_condition(
        current, kind, true, reason, message, generation=world.generation, now=world.now
    )


def _too_old(world: World, stock: Stock, course: Course) -> Word:
    """Whether a revision with users, or about to have some, is served by workers that keep less."""
    serving = dict.fromkeys((course.split.stable, course.split.canary, stock.latest))
    known = (found for name in serving if (found := stock.get(name)))
    told = (runtimes.complaint(world, one.cut) for one in known)
    message = next((words for words in told if words), "")
    return bool(message), "WorkerImage", message


def _accepted(world: World, stock: Stock) -> Word:
    problem = stock.problem
    if problem and problem[0] not in ("ReferenceMissing", "RecordUnreadable"):
        unknown = problem[0] == UNREADABLE
        return Status.UNKNOWN if unknown else False, problem[0], problem[1]
    if world.problem:
        return True, "AcceptedBefore", f"it serves, but would not be accepted: {world.problem[1]}"
    return True, "Valid", "spec.template can be run"


def _references(world: World, stock: Stock) -> Word:
    """What is there, as far as anybody has looked: Secrets are read by the workers alone."""
    if world.missing:
        return False, "NotFound", world.missing
    latest = stock.get(stock.latest)
    secrets = latest.cut.template.secrets if latest else ()
    if latest is None or not secrets:
        return True, "Found", "every ConfigMap that spec.template refers to is there"
    pods = world.pods.get(latest.name, Pods())
    if pods.ready or _slept_since(world, latest.name, pods):
        return True, "Found", "everything that spec.template refers to is there"
    if podwords.about_secret(pods.message):
        return False, "SecretUnfit", pods.message
    named = ", ".join(secrets)
    return Status.UNKNOWN, "NotChecked", f"the first worker says whether it can use Secret {named}"


def _slept_since(world: World, revision: str, pods: Pods) -> bool:
    """Whether its workers were there, found everything, and were scaled away."""
    same = world.status.latest_revision == revision and not pods.wanted
    return same and condition.is_true(world.status.conditions, ConditionType.REFERENCES_RESOLVED)


def _ready(world: World, stock: Stock, course: Course) -> Word:
    for check in (
        _no_revision,
        _suspended,
        _store_away,
        _climbs,
        _scaled_to_zero,
        _pods_away,
        _route_behind,
        _budget_spent,
    ):
        if word := check(world, stock, course):
            return word
    if refused := access.stable_refusal(world, stock, course):
        return True, *refused  # tasks are admitted all the same
    if not world.ready(course.split.stable):
        return True, "Asleep", "scaled to zero; the first task wakes it"
    ready = world.ready(course.split.stable)
    workers = "1 worker" if ready == 1 else f"{ready} workers"
    return True, "Serving", f"{course.split.stable} serves with {workers}"


Check = Callable[[World, Stock, Course], Word | None]


def _no_revision(world: World, stock: Stock, course: Course) -> Word | None:
    if course.split.stable or course.climbs_alone:
        return None
    if course.frozen:
        return False, "RolloutMissing", waiting.frozen(stock)
    if stock.problem:
        return False, *stock.problem
    if not stock.latest:
        return False, "NoRevision", "no revision has been cut yet"
    if stock.lost:
        return False, "RecordMissing", waiting.lost(stock)
    if rejected := waiting.nobody(world, stock, course):
        return False, *rejected
    words = world.pods.get(stock.latest, Pods()).message
    return False, "PodsNotReady", words or f"the workers of {stock.latest} are not ready yet"


def _suspended(world: World, stock: Stock, course: Course) -> Word | None:
    why = waiting.suspended(world, stock, course)
    return (False, *why) if why else None


def _climbs(_world: World, _stock: Stock, course: Course) -> Word | None:
    """Not everybody is served yet, so it is not ready; what is awaited is told with its commands."""
    return (False, _CLIMBS, waiting.climbs(course)) if course.climbs_alone else None


def _scaled_to_zero(world: World, stock: Stock, course: Course) -> Word | None:
    why = waiting.scaled_to_zero(world, stock, course)
    return (False, *why) if why else None


def _store_away(world: World, _stock: Stock, _course: Course) -> Word | None:
    return (False, "StoreUnavailable", world.look_error) if world.look is None else None


def _budget_spent(world: World, stock: Stock, course: Course) -> Word | None:
    why = waiting.budget_spent(world, stock, course)
    return (spending.admits(world), *why) if why else None


def _pods_away(world: World, _stock: Stock, course: Course) -> Word | None:
    if world.ready(course.split.stable):
        return None
    pods = world.pods.get(course.split.stable, Pods())
    asleep = world.spec and world.spec.scaling.min_replicas == 0 and not pods.wanted
    if asleep:
        return None
    return False, "PodsNotReady", pods.message or f"no worker of {course.split.stable} is ready"


def _route_behind(world: World, _stock: Stock, course: Course) -> Word | None:
    """Tasks are admitted by the route that was found in force, not by one still to be written."""
    in_force = world.look is not None and world.look.admits(world.uid)
    if course.version and in_force:
        return None
    return False, "NoRoute", "the route by which tasks are admitted is not in force yet"


def _stalled(world: World, stock: Stock, course: Course) -> Word:
    if mend := waiting.mend(world, stock, course):
        return True, *mend
    if decision := waiting.decision(world, stock, course):
        return False, *decision
    return False, "Progressing", "nothing waits for a person"


def _reconciling(
    stock: Stock, course: Course, crews: tuple[Crew, ...], stalled: Word
) -> Word | None:
    """What the operator is at work on, or that only a person is; None where it is settled."""
    if stalled[0]:
        return False, "Stalled", stalled[2]
    if stock.settling:
        return True, "Settling", newest.QUIET
    if course.decision.goal:
        return (
            True,
            "WaitingForPods",
            f"waiting for the workers of {course.decision.goal}, which all users go back to",
        )
    if course.climbs_alone:
        return True, _CLIMBS, waiting.climbs(course)
    first = not course.split.stable and not course.frozen
    if first or (not course.split.canary and _releasing(stock, course)):
        return True, "WaitingForPods", f"waiting for the workers of {stock.latest or 'a revision'}"
    behind = [
        crew
        for crew in crews
        if crew.known.name == course.split.stable and crew.known.record is None
    ]
    if behind:
        return True, "CreatingChildren", "the revision's objects are being created"
    return None


def _releasing(stock: Stock, course: Course) -> bool:
    latest = stock.get(stock.latest)
    waiting = stock.latest != course.split.stable and latest is not None
    return waiting and not course.frozen and not (latest and latest.rejected)


def comparable(status: AgentStatus) -> dict[str, object]:
    """The part of a status whose change is worth a write at once (numbers wait a minute)."""
    body = status.wire()
    body.pop("summary", None)
    for item in body.get("revisions", []):
        for number in ("queued", "running", "pinned", "costToday"):
            item.pop(number, None)
    for item in body.get("budgetWindows", []):
        item.pop("spentPercent", None)
    for item in body.get("conditions", []):
        item.pop("lastTransitionTime", None)
    return body
