"""Over a limit, where the users who were drawn may be why: their excess condemns nobody, and they are not left to it.

Taken off, the same users are on stable, which tells whose it is. That is a crossover and no further look of the
comparison: it spends nothing of its chance.
"""

from dataclasses import replace

from penstock.analysis.comparison import crossing
from penstock.analysis.comparison.crossing import Crossing
from penstock.analysis.comparison.judge import SUSPICIOUS, Strength, Strengths
from penstock.analysis.comparison.sums import RATIOS, VALUES
from penstock.analysis.guardrails import CheckVerdict, Finding
from penstock.rollout.comparing import comparing, metric_name, windows_only_suspend
from penstock.rollout.facts import COMPARABLE_PERCENT, Facts


def breach(facts: Facts) -> Finding | None:
    """The first broken limit whose metric the comparison holds for its users; None where anything else condemns."""
    breaches = [check for check in facts.heard if check.verdict is CheckVerdict.BREACHED]
    known = comparing(facts)
    if not breaches or known is None or not windows_only_suspend(facts):
        return None
    if any(check.chosen for check in breaches) or known.strengths.condemns:
        return None
    return next((check for check in breaches if held(facts, check)), None)


def held(facts: Facts, check: Finding) -> Strength | None:
    """What the comparison says of the metric of a limit, where it is held for its users."""
    one = _strength(facts, check)
    if one is None or check.chosen or not windows_only_suspend(facts):
        return None
    return one if one.bucket is not None else None


def are_suspected(facts: Facts, check: Finding) -> bool:
    """Whether the comparison finds latency or cost suspicious as well, as far as it could compare them at all.

    Who is slow or dear by nature is so on both sides: stable, well with all users, is no measure of him. Of events the
    same users tell, see ``fail_on_stable``.
    """
    known, one = comparing(facts), _strength(facts, check)
    if known is None or one is None or one.name in RATIOS:
        return True
    compared = known.seen.evidence.since[0].values[VALUES.index(one.name)].variance
    return not compared or one.worse >= SUSPICIOUS


def _strength(facts: Facts, check: Finding) -> Strength | None:
    known, name = comparing(facts), metric_name(check.metric)
    return (
        next((one for one in known.strengths.metrics if one.name == name), None) if known else None
    )


def awaited(facts: Facts) -> bool:
    """Whether a canary that is off stays so until its users were seen on stable, two windows at the longest."""
    known, since = comparing(facts), facts.suspension.since
    if known is None or not since or not windows_only_suspend(facts):
        return False
    if facts.seconds_since(since) >= 2 * facts.situation.spec.analysis.guardrails.window_seconds:
        return False
    back = min(facts.status.held_percent or 0, COMPARABLE_PERCENT)
    metrics = {one.name: one for one in known.strengths.metrics}
    return any(
        metrics[name].bucket is not None and crossing.of_events(known.seen, at, back).rate is None
        for at, name in enumerate(RATIOS)
    )


def same_users(facts: Facts, check: Finding) -> Crossing | None:
    """The canary's users on both sides; None of latency and cost, of which only ranks are known by user."""
    known, name = comparing(facts), metric_name(check.metric)
    if known is None or name not in RATIOS:
        return None
    return crossing.of_events(known.seen, RATIOS.index(name), facts.percent)


def fail_on_stable(facts: Facts, check: Finding) -> bool:
    """Whether stable is known to do no better with the canary's users than the canary did in the window."""
    if check.chosen or not windows_only_suspend(facts):
        return False
    same = same_users(facts, check)
    return same is not None and same.is_theirs(check.canary.total, check.canary.n)


def counts(strengths: Strengths, one: Strength) -> bool:
    """Whether a metric would be suspicious, if its excess were not that of a few users."""
    return replace(strengths, metrics=(one,)).by_few is not None
