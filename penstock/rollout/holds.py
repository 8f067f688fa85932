"""What holds any raise, also one that brings a canary back."""

from datetime import timedelta
from functools import partial

from penstock.api.reasons import WaitReason
from penstock.rollout import former
from penstock.rollout.facts import UNAVAILABLE_SECONDS, Facts
from penstock.rollout.moves import Anew, Move, Wait
from penstock.rollout.requests import Verb
from penstock.rollout.words import waits


def lacks_rows(facts: Facts) -> bool:
    """Whether rows were lost that would be in the numbers."""
    return facts.observation is not None and facts.observation.gap


def undo_awaits_pods(facts: Facts) -> Wait | None:
    """Nothing is raised any more that is about to be left."""
    goal = former.goal(facts)
    return Wait(WaitReason.UNDOING, partial(waits.undo_awaits_pods, goal=goal)) if goal else None


def agent_suspended(facts: Facts) -> Move | None:
    """While nothing is admitted, nothing is raised; a person may replace a stable that broke a limit."""
    if not facts.halted:
        return None
    if not facts.situation.agent_suspended and facts.asks(Verb.PROMOTE_FULL):
        return None
    return Wait(WaitReason.AGENT_SUSPENDED, waits.agent_suspended)


def not_ready(facts: Facts) -> Move | None:
    """Nothing is raised onto pods that cannot serve."""
    if facts.can_serve:
        return None
    if facts.situation.store_error:  # without Redis no pod is ready: that is not the pods' fault
        return Wait(WaitReason.STORE_UNAVAILABLE, waits.store_unavailable)
    left = UNAVAILABLE_SECONDS - facts.seconds_unready()
    until = facts.now + timedelta(seconds=left) if facts.exposed and facts.stable else None
    return Wait(WaitReason.CANARY_NOT_READY, waits.not_ready, until)


def measurement_missing(facts: Facts) -> Move | None:
    """Nothing is raised blindly."""
    if facts.observation is not None:
        return None
    if facts.situation.store_error:
        return Wait(WaitReason.STORE_UNAVAILABLE, waits.store_unavailable)
    return Wait(WaitReason.MEASUREMENT_MISSING, waits.measurement_missing)


def rows_lost(facts: Facts) -> Move | None:
    """Nothing is raised on numbers that lack rows, until those would be out of the window.

    What was seen in the step before is no evidence of it any more: the step begins anew.
    """
    observed = facts.observation
    if observed is None or not lacks_rows(facts):
        return None
    begun_ms = int(facts.status.analysis.step_from.partition("-")[0] or 0)
    if facts.exposed and begun_ms < observed.gap_ms <= observed.now_ms:
        return Anew(WaitReason.ROWS_LOST)
    return Wait(WaitReason.ROWS_LOST, waits.rows_lost)


def paused(facts: Facts) -> Move | None:
    """The operator raises nothing by itself."""
    return Wait(WaitReason.PAUSED, waits.paused) if facts.situation.spec.paused else None
