"""Whether the newest revision is stable, and what `Ready` and `Reconciling` say of it in the same words."""

from typing import Final

from penstock import names
from penstock.rollout.situation import Pods
from penstock_operator.reconcile.access import Word
from penstock_operator.reconcile.course import Course, rejection_in_force
from penstock_operator.reconcile.stock import Stock
from penstock_operator.reconcile.world import World

QUIET: Final = "the template changed; it is cut once it has been quiet for a moment"
#: Reasons of `Ready` for which an Agent does not do what is declared; a kill switch is declared.
_AWAY: Final = ("StoreUnavailable", "PodsNotReady", "NoRoute")


def up_to_date(world: World, stock: Stock, course: Course) -> Word:
    """Whether the newest revision is stable; else what it waits for."""
    latest = stock.get(stock.latest)
    if stock.problem:
        return False, stock.problem[0], stock.problem[1]
    if stock.settling:
        return False, "Settling", QUIET
    if latest is None:
        return False, "NoRevision", "no revision has been cut yet"
    if stock.latest == course.split.stable:
        return _serves(world, course)
    if verdict := rejection_in_force(course, latest):
        return False, "CandidateRejected", f"{stock.latest} was rejected: {verdict.message}"
    if course.frozen:
        return False, "RolloutMissing", f"{stock.latest} waits for an AgentRollout"
    if course.split.canary:
        return False, "CandidateInProgress", f"{stock.latest} serves {course.given}"
    words = world.pods.get(stock.latest, Pods()).message
    why = f": {words}" if words else ""
    return False, "WaitingForPods", f"{stock.latest} is released once its workers are ready{why}"


def _serves(world: World, course: Course) -> Word:
    """Whether tasks go to stable already, as far as Redis says anything."""
    if world.look and world.look.stable_of(world.uid) != names.hash_of(course.split.stable):
        return False, "NoRoute", f"{course.split.stable} serves as soon as its route is in force"
    return True, "Stable", f"{course.split.stable} is the newest revision, and stable"


def behind(ready: Word, up_to_date: Word) -> str:
    """Why the newest revision is not stable, beside who serves; of an Agent that is not ready its own reason is told."""
    return (
        f"; not up to date: {up_to_date[2]}" if ready[0] is True and up_to_date[0] is False else ""
    )


def settled(ready: Word, up_to_date: Word) -> Word:
    """The operator has nothing to do, which says neither that the newest revision is stable nor that it serves."""
    if up_to_date[0] is False:
        return False, "Settled", up_to_date[2]
    runs = ready[1] not in _AWAY
    return False, "Settled", "what is declared is what runs" if runs else ready[2]
