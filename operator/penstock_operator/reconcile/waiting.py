"""What an Agent waits for: a mend, a decision, or pods that are on their way.

From here alone come `Stalled`, and what `Ready` says of a person's own brake. A mend (quota, a
missing reference, workers that crash) makes it stalled; a decision (a brake, an approval) does not,
and is told with its command.
"""

from collections.abc import Callable
from typing import Final

from penstock.api import condition
from penstock.api.reasons import ConditionType, WaitReason
from penstock.api.strategy import FirstRevision
from penstock.rollout import causes, commands
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Pods
from penstock.rollout.words import alone
from penstock_operator.cluster.kinds import name_of, namespace_of
from penstock_operator.reconcile import access, podwords, spending
from penstock_operator.reconcile.course import Course, rejection_in_force
from penstock_operator.reconcile.stock import Known, Stock
from penstock_operator.reconcile.world import World

#: A revision without a ready worker for so long is told to people, where no AgentRollout does.
START_DEADLINE_SECONDS: Final = 600
#: How long what a start says may pass by itself: a mount that is tried again, a node that comes.
START_PATIENCE_SECONDS: Final = 30
#: What an AgentRollout waits for by a person's word, also where it may pass without one.
DECISIONS: Final[frozenset[str]] = frozenset(
    reason
    for reason, policy in causes.POLICIES.items()
    if policy.ends in (causes.Ends.PERSON, causes.Ends.EITHER)
    and reason is not WaitReason.AGENT_SUSPENDED  # told by itself
)

Why = tuple[str, str]  # reason, message
Check = Callable[[World, Stock, Course], Why | None]


def mend(world: World, stock: Stock, course: Course) -> Why | None:
    """What a person must mend before it goes on; None where nothing must be."""
    return next((why for check in _MENDS if (why := check(world, stock, course))), None)


def decision(world: World, stock: Stock, course: Course) -> Why | None:
    """What a person has stopped, or is asked for; None where nobody is.

    Calls that wait are told beside all else: the one may stand for weeks, and the other has a deadline.
    """
    found = next((why for check in _DECIDED if (why := check(world, stock, course))), None)
    calls = _calls_wait(world)
    if calls is None or found is None:
        return calls or found
    return found[0], f"{calls[1]}; {found[1]}"


# ------------------------------------------------------------------------------ to be mended


def _problem(_world: World, stock: Stock, _course: Course) -> Why | None:
    return stock.problem


def _lost(_world: World, stock: Stock, _course: Course) -> Why | None:
    return ("RecordMissing", lost(stock)) if stock.lost else None


def lost(stock: Stock) -> str:
    """What to do about a stable revision of which too little is left."""
    if not stock.stable:
        return (
            f"nothing is left of {stock.lost}, which served, and no other revision can serve. Apply "
            "the template it was cut from again, or another one"
        )
    return (
        f"{stock.lost} serves, but neither its record nor its ConfigMap can be read: it cannot be "
        "rebuilt. Apply the template it was cut from again, or release another revision"
    )


def climbs(course: Course) -> str:
    """Whom the first revision serves so far, and what its AgentRollout waits for."""
    status = course.decision.status
    told = condition.find(status.conditions, ConditionType.PROGRESSING)
    percent = course.split.percent
    others = f"; {alone.OTHERS}" if percent < 100 else ", but is not stable yet"
    users = course.given if course.split.chosen and not percent else f"{percent} % of the users"
    so_far = f"{course.split.canary} is the first revision and serves {users}{others}."
    awaited = told.message.replace(f" Meanwhile {alone.OTHERS}.", "") if told else ""
    return f"{so_far} {awaited}".rstrip()


def nobody(world: World, stock: Stock, _course: Course) -> Why | None:
    """The only revision that could serve was rejected."""
    latest = stock.get(stock.latest)
    if stock.stable or not latest or not latest.rejected:
        return None
    message = f"{latest.name} stays rejected, and no other revision can serve: apply another one"
    if world.rollout and world.rollout.spec.strategy.first_revision is FirstRevision.STEPS:
        message += f", or retry: {_retry(world, latest.name)}"
    return "CandidateRejected", message


def _conflict(world: World, _stock: Stock, _course: Course) -> Why | None:
    return ("NameConflict", world.name_conflict) if world.name_conflict else None


def _refused(world: World, _stock: Stock, _course: Course) -> Why | None:
    return ("ChildRefused", world.refused) if world.refused else None


def _no_redis_user(world: World, _stock: Stock, _course: Course) -> Why | None:
    return ("RedisUserMissing", world.no_redis_user) if world.no_redis_user else None


def _pods_fail(world: World, stock: Stock, course: Course) -> Why | None:
    """The workers of who serves, or shall serve first, say why they do not."""
    serving = course.split.stable or stock.latest
    words = world.pods.get(serving, Pods()).message
    if not words or world.ready(serving):
        return None
    if podwords.may_pass(words) and not _unready_for(world, serving, START_PATIENCE_SECONDS):
        return None
    return "PodsFailing", words


def _next_fails(world: World, stock: Stock, course: Course) -> Why | None:
    """Without an AgentRollout nobody else tells that the next revision does not come up."""
    known = coming(world, stock, course)
    pods = world.pods.get(known.name, Pods()) if known else Pods()
    if known is None or pods.ready or not pods.wanted:
        return None
    if podwords.for_a_person(pods.message):
        return "PodsFailing", f"{known.name} is not released: {pods.message}"
    if not _unready_for(world, known.name, START_DEADLINE_SECONDS):
        return None
    said = pods.message or "its pods say nothing"
    message = f"no worker of {known.name} was ready within {START_DEADLINE_SECONDS} s: {said}"
    return "StartDeadline", message


def _goal_fails(world: World, _stock: Stock, course: Course) -> Why | None:
    """Who was asked for does not come up by waiting."""
    words = world.pods.get(course.decision.goal, Pods()).message if course.decision.goal else ""
    if not podwords.for_a_person(words):
        return None
    return (
        "PodsFailing",
        f"{course.decision.goal}, which all users go back to, does not serve: {words}",
    )


def _rollout_stalled(_world: World, _stock: Stock, course: Course) -> Why | None:
    """What must be mended by the word of its AgentRollout; after a rollback the Agent serves."""
    status = course.rollout_status
    told = condition.find(status.conditions, ConditionType.STALLED) if status else None
    if (
        told is None
        or told.status is not condition.Status.TRUE
        or told.reason == WaitReason.ROLLED_BACK
    ):
        return None
    return told.reason, told.message


def coming(world: World, stock: Stock, course: Course) -> Known | None:
    """The revision that is released once its workers are ready, where no AgentRollout governs."""
    latest = stock.get(stock.latest)
    waits = (
        latest and latest.name != course.split.stable and not latest.rejected and not course.frozen
    )
    return latest if waits and world.rollout is None else None


def _unready_for(world: World, name: str, seconds: float) -> bool:
    """Whether a revision has been without a ready worker for so long."""
    live = world.deployments.get(name)
    since = podwords.availability_changed_at(live) if live else None
    return since is not None and (world.now - since).total_seconds() >= seconds


# ------------------------------------------------------------------------------ to be decided


def suspended(world: World, _stock: Stock, course: Course) -> Why | None:
    """Nothing is admitted: a person has set the kill switch, or stable broke a limit."""
    return ("Suspended", suspended_by(world, course)) if course.split.suspended else None


def suspended_by(world: World, course: Course) -> str:
    """Why nothing is admitted, and the command that takes it back."""
    ready = condition.find(
        course.rollout_status.conditions if course.rollout_status else (), ConditionType.READY
    )
    if ready is not None and not world.suspended:
        return ready.message
    change = """--type merge -p '{"spec":{"suspended":false}}'"""
    return (
        "spec.suspended is true: nothing is admitted. Go on: "
        f"kubectl -n {namespace_of(world.agent)} patch agent {world.name} {change}"
    )


def scaled_to_zero(world: World, _stock: Stock, course: Course) -> Why | None:
    """Somebody took all workers away, and the command that brings them back."""
    given = world.spec.scaling.replicas if world.spec else None
    if given != 0 or world.ready(course.split.stable):
        return None
    message = (
        "spec.scaling.replicas is 0: no worker runs, and tasks wait until they expire. Start: "
        f"kubectl -n {namespace_of(world.agent)} scale agent {world.name} --replicas=1"
    )
    return "ScaledToZero", message


def budget_spent(world: World, _stock: Stock, _course: Course) -> Why | None:
    """A budget is spent: it waits for its window's end, or for a person to lift it."""
    return spending.spent(world)


def _frozen(_world: World, stock: Stock, course: Course) -> Why | None:
    return ("RolloutMissing", frozen(stock)) if course.frozen else None


def frozen(stock: Stock) -> str:
    """Why a revision waits whose AgentRollout is gone, and what to do."""
    return (
        f"{stock.latest} is not released: the AgentRollout that governed this Agent is gone. "
        "Create one again, or set spec.rolloutPolicy: Immediate"
    )


def _rejected(world: World, stock: Stock, course: Course) -> Why | None:
    latest = stock.get(stock.latest)
    verdict = rejection_in_force(course, latest) if latest else None
    if not latest or not verdict or latest.name == course.split.stable:
        return None
    message = (
        f"{course.split.stable} serves, {latest.name}, which spec.template declares, was rejected: "
        f"{verdict.message}. "
        f"Apply another template, or retry: {_retry(world, latest.name)}"
    )
    return "CandidateRejected", message


def _retry(world: World, revision: str) -> str:
    kind, name = "agent", world.name
    if world.rollout is not None:
        kind, name = "agentrollout", name_of(world.rollout.obj)
    where = commands.place(name, namespace_of(world.agent))
    return commands.annotate(f"{kind} {where}", Verb.RETRY, revision)


def _rollout_waits(_world: World, _stock: Stock, course: Course) -> Why | None:
    status = course.rollout_status
    if status is None or status.waiting not in DECISIONS:
        return None
    progressing = condition.find(status.conditions, ConditionType.PROGRESSING)
    return status.waiting, progressing.message if progressing else "its AgentRollout says for what"


def _calls_wait(world: World) -> Why | None:
    """Calls of tools that a person must approve; not how many, which changes with each of them."""
    if world.look is None or not world.look.parked:
        return None
    where = commands.place(world.name, namespace_of(world.agent))
    return (
        "WaitingForApproval",
        f"calls wait for a person's decision (penstock escalations list {where})",
    )


_MENDS: Final[tuple[Check, ...]] = (
    _problem,
    _lost,
    nobody,
    _conflict,
    _refused,
    _no_redis_user,
    _pods_fail,
    _goal_fails,
    _next_fails,
    _rollout_stalled,
    access.refusal,
)
_DECIDED: Final[tuple[Check, ...]] = (
    suspended,
    scaled_to_zero,
    budget_spent,
    _frozen,
    _rejected,
    _rollout_waits,
)
