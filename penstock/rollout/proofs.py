"""What the comparison asks before more users are given to the canary."""

from datetime import timedelta
from functools import partial
from typing import Final

from penstock.analysis.comparison.proof import Unproven, unproven_rates
from penstock.analysis.metrics import ERROR_RATE, ESCALATION_RATE, NOTHING
from penstock.api.comparison import OnNoEvidence
from penstock.api.reasons import WaitReason
from penstock.rollout import path
from penstock.rollout.comparing import Comparing, comparing, measuring
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Move, Wait
from penstock.rollout.words import compared
from penstock.traffic import Arm

#: In the order of what is proven of a canary's rates.
_RATES: Final = (ERROR_RATE, ESCALATION_RATE)
#: Beyond, a canary must be proven to keep its limits.
HALF_PERCENT = 50


def not_proven(facts: Facts) -> Move | None:
    """Nothing is raised while something speaks against it, or the next share is not proven harmless.

    More than half of the users, and then everybody, are given only to a canary that is proven to keep
    its limits: no waiting replaces that, a person's word does.
    """
    if not facts.stable:
        return _not_proven_alone(facts)
    known = comparing(facts)
    if known is None:
        return _not_compared(facts)
    percent = _next_percent(facts)
    held = suspected(facts) or _breaks_limits(facts, known, percent)
    if held or facts.in_final_hold:
        return held
    return _not_harmless(facts, known, percent)


def suspected(facts: Facts) -> Move | None:
    """Nothing is raised by itself while the evidence is suspicious, whoever was there in this step."""
    known = comparing(facts)
    strengths = known.strengths if known else None
    if strengths is None or not strengths.suspicious:
        return None
    person = strengths.condemns or strengths.by_few is not None
    reason = WaitReason.ANALYSIS_UNCLEAR if person else WaitReason.AWAITING_EVIDENCE
    return Wait(reason, partial(compared.suspected, strengths=strengths))


def not_proven_for(facts: Facts, percent: int) -> Move | None:
    """Why a share that its step has already is not given yet; None where it is to half of the users at most."""
    if percent <= HALF_PERCENT:
        return None
    if known := measuring(facts):
        return _awaits(known.unproven(last_raise=False))
    return _not_compared(facts) if facts.stable else _not_proven_alone(facts)


def _not_proven_alone(facts: Facts) -> Move | None:
    """Without a stable revision nothing can be compared; that limits are kept can be proven all the same."""
    known = measuring(facts)
    if known:
        return _breaks_limits(facts, known, _next_percent(facts))
    if facts.observation is None or facts.situation.spec.analysis.comparison is not None:
        return _not_compared(facts)
    return _awaits(_rates_alone(facts)) if _is_late(facts, _next_percent(facts)) else None


def _rates_alone(facts: Facts) -> tuple[Unproven, ...]:
    """The limits on rates that its own tasks do not prove to be kept, where no comparison is declared."""
    observed, analysis = facts.observation, facts.situation.spec.analysis
    total = observed.in_total(Arm.CANARY) if observed else NOTHING
    sums = [metric.sums(total) for metric in _RATES]
    limits = [metric.declared(analysis.guardrails) / 100 for metric in _RATES]
    missing = unproven_rates([(one.total, one.n) for one in sums], limits)
    return tuple(one for one in missing if one.name not in analysis.dry_run)


def asked_next(facts: Facts) -> bool:
    """Whether what comes next is given on proof alone, however long it waits."""
    analysis = facts.situation.spec.analysis
    if analysis.comparison is None:
        return False
    never = analysis.on_no_evidence is OnNoEvidence.HOLD
    return never or _is_late(facts, _next_percent(facts))


def first_percent(facts: Facts, percent: int) -> int:
    """What of the first step's share is given at once: half of the users, where more of them wait for proof."""
    compares = facts.situation.spec.analysis.comparison is not None
    return first_share(percent, proves=compares or not facts.stable)


def first_share(percent: int, *, proves: bool) -> int:
    """The same of a declared share; ``proves``: more than half of the users are given on proof."""
    return min(percent, HALF_PERCENT) if proves else percent


def _breaks_limits(facts: Facts, known: Comparing, percent: int) -> Move | None:
    """What may break a limit is given neither more than half of the users nor everybody."""
    if not _is_late(facts, percent):
        return None
    return _awaits(known.unproven(last_raise=path.promotes_next(facts.strategy, facts.status)))


def _is_late(facts: Facts, percent: int) -> bool:
    """Whether the next raise is to more than half of the users, or to everybody."""
    return facts.in_final_hold or percent > HALF_PERCENT


def _awaits(missing: tuple[Unproven, ...]) -> Move | None:
    if not missing:
        return None
    # Of users who never had it more tasks of the others do not tell: a person decides.
    person = any(one.unseen is not None for one in missing)
    reason = WaitReason.ANALYSIS_UNCLEAR if person else WaitReason.AWAITING_EVIDENCE
    return Wait(reason, partial(compared.not_proven, missing=missing))


def _not_compared(facts: Facts) -> Move | None:
    """A comparison that has just been declared has nothing yet."""
    if facts.situation.spec.analysis.comparison is None or facts.observation is None:
        return None
    return Wait(WaitReason.AWAITING_EVIDENCE, compared.nothing)


def _next_percent(facts: Facts) -> int:
    index = facts.next_index
    if index is not None:
        return max(facts.strategy.steps[index].percent, facts.percent)
    return path.final_percent(facts.strategy, facts.status)


def _not_harmless(facts: Facts, known: Comparing, percent: int) -> Move | None:
    ahead = known.outlook(percent)
    if not ahead.gaps:
        return None
    waits = facts.situation.spec.analysis.on_no_evidence is OnNoEvidence.ADVANCE
    left = facts.step.longest_wait_seconds - facts.seconds_in_step()
    if waits and ahead.likely and left <= 0:
        return None
    until = facts.now + timedelta(seconds=left) if waits and ahead.likely else None
    said = partial(compared.not_harmless, gaps=ahead.gaps, percent=percent, until=until)
    return Wait(WaitReason.AWAITING_EVIDENCE, said, until)
