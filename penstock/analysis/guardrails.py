"""The absolute limits on a canary: over a sliding window, credible, and attributable to it.

Numbers only: what they are called, and what follows from them, is said and decided elsewhere.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from penstock.analysis import late, rates
from penstock.analysis.evidence import TICK_MS, Observation, Stratum, arm_total, coarser
from penstock.analysis.expected import Expected
from penstock.analysis.metrics import (
    COST,
    NO_SUMS,
    NOTHING,
    Kind,
    Metric,
    Sums,
    Tally,
    total_of,
)
from penstock.analysis.rules import Rule, rules_of
from penstock.api.analysis import GuardrailMode, Guardrails
from penstock.traffic import Arm

#: Standard deviations by which the canary must be worse than stable in the same strata.
ATTRIBUTABLE_Z: Final = 3.0
#: ... and when stable is over its limit too: below this it is nobody's fault.
SHARED_Z: Final = 4.0
FEWEST_STABLE: Final = 20
#: What only takes users off for a while is judged over so short a time, too.
SOON_SECONDS: Final = 60
STABLE_SHARE: Final = 10
#: Where the canary has more tasks than so many to one of stable's, a stratum is thin.
THIN: Final = 4
#: Ticks to a stratum, finest first; where stable has too few tasks beside the canary's in fine
#: strata, coarser ones are compared, at last the whole window.
TICKS_TO_A_STRATUM: Final = (1, 6, 12, 1_000_000_000)


class CheckVerdict(StrEnum):
    """What a check says of the canary.

    SUSPECT: over the limit, on too few tasks to be sure. UNCLEAR: over the limit but not clearly
    worse than stable, or stable itself is over it. Neither condemns, and nothing is raised.
    UNCOMPARED: over the limit while stable has too few tasks now to tell whose fault that is.
    """

    PASSING = "Passing"
    SUSPECT = "Suspect"
    BREACHED = "Breached"
    SHARED = "Shared"
    UNCLEAR = "Unclear"
    UNCOMPARED = "Uncompared"
    NO_DATA = "NoData"


_GRAVE: Final = (CheckVerdict.BREACHED, CheckVerdict.SHARED, CheckVerdict.UNCOMPARED)


@dataclass(frozen=True)
class Finding:
    """What one guardrail says, and the numbers that it saw.

    ``limit`` is as declared, in percent or in the metric's unit; ``seconds`` the length of the
    window. ``stable_over``: stable is credibly over the limit by itself, at the longest in its last
    ``lately_seconds``, where it had ``lately``; ``stable_above``: its own figure is above the limit,
    in the window or lately, credible or not. ``missing``: about how many more tasks at the same
    rate would be sure, where that is not so far. ``by_before``: the verdict may rest on what stable
    was before, which is asked where stable has too few tasks now. ``expected``: of a cost, that of
    which the limit is a percentage. ``of_age``: of the tasks, those are counted of which a failure would be
    known by now. ``chosen``: the canary's tasks are those of users of rings.
    """

    metric: Metric
    limit: int
    verdict: CheckVerdict
    canary: Sums
    stable: Sums
    seconds: int
    stable_over: bool
    lately_seconds: int = 0
    lately: Sums = NO_SUMS
    stable_above: bool = False
    missing: int = 0
    by_before: bool = False
    expected: Expected | None = None
    of_age: bool = False
    chosen: bool = False

    @property
    def name(self) -> str:
        """The check's name in status."""
        return self.metric.name


@dataclass(frozen=True)
class _Window:
    """The window as the rules look at it.

    ``lately`` is stable in its last seconds (the keys) and in all of it: an incident that has
    just begun is thin among stable's many calm tasks, while a young canary has few others.
    ``strata`` are all of them, ``shared`` those in which both arms had tasks. ``unrivalled`` is
    the canary under those route versions under which stable had no task at all: nothing
    compares with that. ``before`` is stable while it had enough of the users to be a measure.
    ``alone``: there is no stable revision, so nobody else can be to blame.
    """

    seconds: int
    canary: Tally
    stable: Tally
    lately: Mapping[int, Tally]
    strata: Sequence[Stratum]
    before: Tally
    alone: bool = False

    @property
    def unrivalled(self) -> Tally:
        """The canary where stable had no task."""
        rivalled = {s.begin_version for s in self.strata if s.arm(Arm.STABLE).tasks}
        alone = (s.arm(Arm.CANARY) for s in self.strata if s.begin_version not in rivalled)
        return total_of(alone)

    @property
    def shared(self) -> Sequence[Stratum]:
        """The strata in which both arms had tasks."""
        return [s for s in self.strata if len(s.arms) == len(Arm)]

    def stable_above(self, rule: Rule) -> Mapping[int, Tally]:
        """Of these times those in which stable's own figure is above the limit, credibly or not."""
        return {span: tally for span, tally in self.lately.items() if rule.over_point(tally)}


def judge(
    limits: Guardrails,
    observation: Observation,
    before: Tally = NOTHING,
    expected: Expected | None = None,
    *,
    alone: bool = False,
) -> tuple[Finding, ...]:
    """Each guardrail over the window; the stable revision alone is judged when it has no rival.

    Args:
        before: stable while it had enough of the users to be a measure.
        expected: what a task is expected to cost; None: that is not judged.
        alone: there is no stable revision; limits alone judge the canary.
    """
    seen = replace(_window(observation, limits.window_seconds, before), alone=alone)
    if limits.mode is GuardrailMode.LITERAL and observation.ended:
        ended = {arm: observation.ended_in_window(arm) for arm in Arm}
        seen = replace(seen, canary=ended[Arm.CANARY], stable=ended[Arm.STABLE])
    rules = rules_of(limits, expected)
    findings = tuple(_judge(rule, limits, seen) for rule in rules)
    if limits.mode is GuardrailMode.LITERAL:
        return findings
    ours = seen.canary + arm_total(observation.older, Arm.CANARY)
    return tuple(
        _with_late(rule, found, limits, observation, seen)
        if _may_be_graver(rule, found, ours, observation)
        else found
        for rule, found in zip(rules, findings, strict=True)
    )


def sooner(
    findings: Sequence[Finding],
    limits: Guardrails,
    observation: Observation,
    before: Tally = NOTHING,
) -> tuple[Finding, ...]:
    """The findings, or what the last minute says by itself: in a window that was calm an incident is thin.

    For what takes users off and condemns nobody. The arguments are those of ``judge``.
    """
    newest_ms = observation.now_ms - 1000 * SOON_SECONDS
    soon = tuple(s for s in observation.window if s.tick * TICK_MS >= newest_ms)
    ours = arm_total(soon, Arm.CANARY)
    by_metric = {found.metric: found.expected for found in findings}
    rules = rules_of(limits, by_metric.get(COST))
    asked = list(zip(rules, findings, strict=True))
    if not any(_may_be_graver_soon(rule, found, ours) for rule, found in asked):
        return tuple(findings)
    short = _window(replace(observation, window=soon), SOON_SECONDS, before)
    well = observation.in_window(Arm.STABLE) - short.stable
    return tuple(
        _soon(rule, found, _judge(rule, limits, short), short, well)
        if _may_be_graver_soon(rule, found, ours)
        else found
        for rule, found in asked
    )


def _may_be_graver_soon(rule: Rule, found: Finding, ours: Tally) -> bool:
    """Whether the last minute can say more: only of a canary, or of stable, that is over the limit."""
    return found.verdict not in _GRAVE and (found.stable_over or rule.over(ours))


def _soon(rule: Rule, found: Finding, short: Finding, seen: _Window, well: Tally) -> Finding:
    """What the last minute says where that is graver.

    Stable that was well and is over its limit now is an incident, whatever the canary's few tasks say so far, unless
    they are clearly better. One that has been over its limit for longer is none: a canary may be what mends it.
    """
    if short.verdict in _GRAVE:
        return short
    begins = rule.trials(well) >= FEWEST_STABLE and not rule.over_point(well)
    if found.stable_over and begins and rule.z(seen.shared) >= -ATTRIBUTABLE_Z:
        return replace(found, verdict=CheckVerdict.SHARED)
    return found


def _may_be_graver(rule: Rule, found: Finding, ours: Tally, observation: Observation) -> bool:
    """Whether late ends can say more than the window: only what may be over its limit says that."""
    milder = found.verdict in (CheckVerdict.PASSING, CheckVerdict.NO_DATA, CheckVerdict.SUSPECT)
    if not (rule.metric.late and milder):
        return False
    if rule.metric.kind is Kind.MEAN:
        return rule.over(ours)
    failures = rule.metric.sums(ours).total
    if failures < rates.FEWEST_SUSPECT_EVENTS:
        return False
    delays, now_ms = observation.delays, observation.now_ms
    strata = (*observation.older, *observation.window)
    fewest = late.of_age(strata, Arm.CANARY, rule.metric, delays, now_ms)
    return failures > rule.bound * fewest


def _with_late(
    rule: Rule, found: Finding, limits: Guardrails, observation: Observation, seen: _Window
) -> Finding:
    """What ends later than the window is long, or late in it, must not pass unseen.

    It condemns as the window does. What it only suspects holds where failures come late indeed: of
    those that come at once the window says all there is to say.
    """
    strata = _exposed(rule, observation)
    ours = arm_total(strata, Arm.CANARY)
    if not (rule.over(ours) or rule.suspect(ours)):
        return found
    everything = replace(observation, window=tuple(strata))
    seconds = math.ceil((observation.now_ms - strata[0].tick * TICK_MS) / 1000)
    long = _window(everything, seconds, seen.before)
    long = replace(long, lately={**seen.lately, seconds: long.stable}, alone=seen.alone)
    graver = _judge(rule, limits, long)
    late_ones = observation.delays.are_late(rule.metric, limits.window_seconds)
    graver = replace(graver, stable_over=found.stable_over, of_age=late_ones)
    if graver.verdict in (CheckVerdict.BREACHED, CheckVerdict.UNCOMPARED):
        return graver
    says_more = graver.verdict is not CheckVerdict.PASSING
    if late_ones and says_more and found.verdict is not CheckVerdict.SUSPECT:
        incident = graver.verdict is CheckVerdict.SHARED  # of before: nothing is suspended for it
        return replace(graver, verdict=CheckVerdict.UNCLEAR) if incident else graver
    return replace(found, by_before=found.by_before or graver.by_before)


def _exposed(rule: Rule, observation: Observation) -> Sequence[Stratum]:
    """All strata that are kept, with the tasks of which the metric can know by now."""
    strata = observation.older + observation.window
    if rule.metric.kind is Kind.MEAN:
        return strata
    return late.matured(strata, rule.metric, observation.delays, observation.now_ms)


def _window(observation: Observation, seconds: int, before: Tally) -> _Window:
    stable, now_ms = observation.in_window(Arm.STABLE), observation.now_ms
    lately = {
        span: arm_total(
            (s for s in observation.window if s.tick * TICK_MS >= now_ms - span * 1000), Arm.STABLE
        )
        for span in (2 * TICK_MS // 1000, seconds // 10)
    }
    return _Window(
        seconds=seconds,
        canary=observation.in_window(Arm.CANARY),
        stable=stable,
        lately={**lately, seconds: stable},
        strata=observation.window,
        before=before,
    )


def _judge(rule: Rule, limits: Guardrails, seen: _Window) -> Finding:
    above = seen.stable_above(rule)
    span = max((span for span, tally in above.items() if rule.over(tally)), default=0)
    if math.isinf(rule.bound):
        verdict, stable_over = CheckVerdict.NO_DATA, False
    elif limits.mode is GuardrailMode.LITERAL:
        verdict = _literal(rule, limits, seen.canary)
        enough = rule.trials(seen.stable) >= limits.min_tasks
        stable_over = enough and rule.over_point(seen.stable)
    else:
        stable_over = span > 0
        verdict = _credible(rule, seen, stable_over=stable_over)
    sums = rule.metric.sums
    return Finding(
        metric=rule.metric,
        limit=rule.limit,
        verdict=verdict,
        canary=sums(seen.canary),
        stable=sums(seen.stable),
        seconds=seen.seconds,
        stable_over=stable_over,
        lately_seconds=span,
        lately=sums(seen.lately[span]) if span else NO_SUMS,
        stable_above=bool(above),
        missing=rule.missing(seen.canary) if verdict is CheckVerdict.SUSPECT else 0,
        by_before=verdict in (CheckVerdict.UNCLEAR, CheckVerdict.UNCOMPARED),
        expected=rule.expected,
    )


def _literal(rule: Rule, limits: Guardrails, canary: Tally) -> CheckVerdict:
    if canary.tasks == 0:
        return CheckVerdict.NO_DATA
    if rule.trials(canary) >= limits.min_tasks and rule.over_point(canary):
        return CheckVerdict.BREACHED
    return CheckVerdict.PASSING


def _credible(rule: Rule, seen: _Window, *, stable_over: bool) -> CheckVerdict:
    if seen.canary.tasks == 0:
        return CheckVerdict.NO_DATA
    over = rule.over(seen.canary)
    if not (over or stable_over):
        return CheckVerdict.SUSPECT if rule.suspect(seen.canary) else CheckVerdict.PASSING
    if seen.alone:
        return CheckVerdict.BREACHED
    z = rule.z(seen.shared)
    if not over:
        return CheckVerdict.PASSING if z < -ATTRIBUTABLE_Z else CheckVerdict.UNCLEAR
    if stable_over:
        return CheckVerdict.SHARED if z < SHARED_Z else CheckVerdict.BREACHED
    return _attributed(rule, seen)


def _attributed(rule: Rule, seen: _Window) -> CheckVerdict:
    """Whose fault it is that the canary is over the limit while stable is not.

    Stable's tasks beside those of the canary that failed tell, in the finest strata that have
    enough of them, and not by the thin ones alone: one task of stable that went well beside ten of
    which most failed is luck at the begin of an outage. Where stable's tasks are too few, its own
    rate of before still exonerates a version that is no worse.
    """
    for ticks in TICKS_TO_A_STRATUM:
        strata = coarser(seen.strata, ticks)
        touched = [s for s in strata if rule.failed(s.arm(Arm.CANARY))]
        stable = _comparable_stable(rule, touched)
        ours = sum(rule.trials(s.arm(Arm.CANARY)) for s in touched)
        enough = max(FEWEST_STABLE, ours / STABLE_SHARE)
        worse = stable >= FEWEST_STABLE and rule.z(strata) > ATTRIBUTABLE_Z
        if worse and ticks == 1 and rule.z(_solid(rule, strata)) <= ATTRIBUTABLE_Z:
            continue
        if worse and (ticks == 1 or stable >= enough):
            return CheckVerdict.BREACHED
        if stable >= enough:
            alone = seen.unrivalled  # of so many tasks stable would have had some, had it a share
            if rule.trials(alone) < FEWEST_STABLE or not rule.over(alone):
                return CheckVerdict.UNCLEAR
            break
    return CheckVerdict.UNCLEAR if _as_stable_was(rule, seen) else CheckVerdict.UNCOMPARED


def _solid(rule: Rule, strata: Sequence[Stratum]) -> Sequence[Stratum]:
    """The strata that are not thin."""
    return [
        stratum
        for stratum in strata
        if rule.trials(stratum.arm(Arm.CANARY)) <= THIN * rule.trials(stratum.arm(Arm.STABLE))
    ]


def _as_stable_was(rule: Rule, seen: _Window) -> bool:
    """Whether stable was credibly over the limit as well, and the canary is not clearly worse.

    Two failures among few tasks that are chance must not excuse what the canary does for good.
    """
    if rule.trials(seen.before) < FEWEST_STABLE or not rule.over(seen.before):
        return False
    arms = {Arm.CANARY: seen.canary, Arm.STABLE: seen.before}
    return rule.z([Stratum(0, 0, arms)]) <= ATTRIBUTABLE_Z


def stable_is_well(limits: Guardrails, stable: Tally, expected: Expected | None = None) -> bool:
    """Whether stable alone, with so many tasks, is neither over a limit nor suspected of it."""
    return not any(rule.over(stable) or rule.suspect(stable) for rule in rules_of(limits, expected))


def _comparable_stable(rule: Rule, strata: Sequence[Stratum]) -> int:
    """Stable's tasks in the strata in which the canary had some: all that can exonerate it."""
    return sum(
        rule.trials(stratum.arm(Arm.STABLE))
        for stratum in strata
        if rule.trials(stratum.arm(Arm.CANARY)) > 0
    )
