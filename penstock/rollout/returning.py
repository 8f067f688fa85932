"""A return to a revision that was good before: it has climbed once, and need not do so again."""

from itertools import pairwise

from penstock.api.analysis import Reason, Result
from penstock.rollout import former
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Move, Promote
from penstock.rollout.words import verdicts


def within_window(facts: Facts) -> Move | None:
    """A canary that served lately, and was not rejected, serves everybody as soon as a pod is ready."""
    if not _returns(facts):
        return None
    return Promote(Reason.RETURNED, verdicts.returned(facts.canary, facts.stable))


def goal(facts: Facts) -> str:
    """The canary that all users come to at once, until its first pod is ready; else empty."""
    awaited = facts.owned is None and not facts.pods.ready and not facts.situation.spec.paused
    return facts.canary if awaited and _returns(facts) else ""


def _returns(facts: Facts) -> bool:
    window = facts.strategy.rollback_window_revisions
    if window is None or not facts.canary or facts.started or facts.capped(100) < 100:
        return False
    good = [name for name in former.good(facts) if name not in _left(facts)]
    return facts.canary in good[:window]


def _left(facts: Facts) -> set[str]:
    """Who was left by the returns that led to stable: to come back to that is no return."""
    promoted = [one for one in facts.status.verdicts if one.result is Result.PROMOTED]
    left: set[str] = set()
    for before, after in reversed(list(pairwise(promoted))):
        if after.reason is not Reason.RETURNED:
            break
        left.add(before.revision)
    return left
