"""The watch over stable while nothing is tried: what follows where it breaks a limit by itself.

It acts on a whole window, never on what has just begun: nobody stands beside stable who could tell
an outage from a fault. Going back happens once; who was gone back to stays, whatever it breaks.
"""

from functools import partial

from penstock.analysis.guardrails import Finding
from penstock.api.analysis import GuardrailMode, OnStable, Reason, Result
from penstock.api.reasons import WaitReason
from penstock.rollout import former, path, requests
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Brake, Move, Release, Undo, Wait
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Pods
from penstock.rollout.words import watching


def brake_released(facts: Facts) -> Move | None:
    """What admits nothing since stable broke a limit admits again: by request, or by an edit."""
    if not facts.status.braked:
        return None
    if _follows(facts) is not OnStable.SUSPEND:
        return Release(watching.NOT_DECLARED)
    asked = requests.parse(facts.open_request)
    if asked is None or asked.verb is not Verb.RETRY or not facts.is_meant(asked, facts.stable):
        return None
    return Release(watching.BY_REQUEST, requested=True)


def stable_breaks(facts: Facts) -> Move | None:
    """Stable breaks a limit while nothing is tried: what is declared for that follows."""
    broken = _acts_on(facts)
    if broken is None:
        return None
    if _follows(facts) is OnStable.SUSPEND:
        return Brake(broken)
    back = _back_to(facts)
    if not back:
        return None
    if facts.situation.pods.get(back, Pods()).ready:
        return Undo(back, broken)
    return Wait(WaitReason.UNDOING, partial(watching.goes_back, goal=back, found=broken))


def goal(facts: Facts) -> str:
    """The revision that is gone back to for a limit that stable breaks; empty where none is."""
    broken = _acts_on(facts)
    return _back_to(facts) if broken and _follows(facts) is OnStable.ROLLBACK else ""


def is_close(facts: Facts) -> bool:
    """Whether stable is looked at often: something may follow of what it does."""
    observed = facts.observation
    return _follows(facts) is not OnStable.REPORT and observed is not None and bool(observed.window)


def why_not(facts: Facts) -> str:
    """Why a stable that breaks a limit is not rolled back; empty where it is, or need not be."""
    broken = _acts_on(facts)
    if broken is None or _follows(facts) is not OnStable.ROLLBACK or _back_to(facts):
        return ""
    return watching.ONCE if _was_returned_to(facts) else watching.NOBODY


def _follows(facts: Facts) -> OnStable:
    return facts.situation.spec.analysis.guardrails.on_stable


def _acts_on(facts: Facts) -> Finding | None:
    """The limit that stable has broken over a whole window; None while that decides nothing."""
    if _follows(facts) is OnStable.REPORT or not _is_watched(facts):
        return None
    literal = facts.situation.spec.analysis.guardrails.mode is GuardrailMode.LITERAL
    over = (check for check in facts.heard if check.stable_over)
    return next((one for one in over if literal or one.lately_seconds >= one.seconds), None)


def _is_watched(facts: Facts) -> bool:
    """Whether stable serves alone, no person is about to change that, and all its tasks are seen."""
    if path.under_way(facts.status) or (facts.canary and not facts.rejected):
        return False
    if facts.halted or facts.asks(Verb.RETRY) or former.goal(facts):
        return False
    observed = facts.observation
    return observed is not None and not observed.gap


def _back_to(facts: Facts) -> str:
    """The last good revision before stable; empty where none is left, or stable was gone back to."""
    good = [] if _was_returned_to(facts) else former.good(facts)
    return good[0] if good else ""


def _was_returned_to(facts: Facts) -> bool:
    promoted = [one for one in facts.status.verdicts if one.result is Result.PROMOTED]
    last = promoted[-1] if promoted else None
    if last is None or last.revision != facts.stable:
        return facts.record(facts.stable).returned
    return last.reason is Reason.RETURNED
