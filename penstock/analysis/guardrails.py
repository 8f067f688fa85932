"""The absolute limits on a candidate: over a sliding window, credible, and attributable to it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from penstock.analysis import binomial
from penstock.analysis.evidence import TICK_MS, Observation, Stratum, Tally, total_of
from penstock.api.rollout import GuardrailMode, Guardrails, Reason
from penstock.traffic import Arm

#: A rate is credibly over its limit when chance alone does this at most once in a thousand.
TAIL: Final = 0.001
#: ... and is suspect when chance does it at most once in twenty: enough to wait for more tasks.
SUSPECT_TAIL: Final = 0.05
FEWEST_EVENTS: Final = 3
FEWEST_SUSPECT_EVENTS: Final = 2
#: A mean is credibly over its limit when the lower end of its one-sided 99.9 % interval is.
FEWEST_TIMED: Final = 20
LOWER_BOUND_DEVIATIONS: Final = 3.09
#: ... and is suspect when the lower end of its one-sided 95 % interval is.
SUSPECT_DEVIATIONS: Final = 1.645
#: Latencies are counted up to this many times the limit, so that one stuck task is no mean.
WINSOR_LIMITS: Final = 6
#: Standard deviations by which the candidate must be worse than stable in the same strata.
ATTRIBUTABLE_Z: Final = 3.0
#: ... and when stable is over its limit too: below this it is nobody's fault.
SHARED_Z: Final = 4.0
FEWEST_STABLE: Final = 20
STABLE_SHARE: Final = 10
#: Where the candidate has more tasks than so many to one of stable's, a stratum is thin.
THIN: Final = 4
#: Ticks to a stratum, finest first; where stable has too few tasks beside the candidate's in fine
#: strata, coarser ones are compared, at last the whole window.
TICKS_TO_A_STRATUM: Final = (1, 6, 12, 1_000_000_000)


_NO_TASK: Final = Tally()


class CheckVerdict(StrEnum):
    """What a check says of the candidate.

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


@dataclass(frozen=True)
class Check:
    """One guardrail judged: the numbers it saw, what it says, and that in words.

    ``stable_over``: stable is credibly over the limit by itself. ``missing``: about how many more
    tasks at the same rate would be sure, where that is not so far. ``line`` is a phrase such as
    "error rate 31.0 % on the candidate (13/42) and ... in the last 300 s, limit 5 %".
    """

    name: str
    reason: Reason
    candidate: Tally
    stable: Tally
    verdict: CheckVerdict
    stable_over: bool
    limit_text: str
    candidate_text: str
    stable_text: str
    line: str
    title: str = ""
    missing: int = 0


@dataclass(frozen=True)
class _Rule:
    """One limit: how an arm is measured against it, and how two arms are compared."""

    name: str
    title: str
    reason: Reason
    limit_text: str
    late: bool  # its events may come long after the task was routed
    trials: Callable[[Tally], int]
    events: Callable[[Tally], int]
    over: Callable[[Tally], bool]
    suspect: Callable[[Tally], bool]
    over_point: Callable[[Tally], bool]
    z: Callable[[Sequence[Stratum]], float]
    show: Callable[[Tally], str]


@dataclass(frozen=True)
class _Window:
    """The window as the rules look at it.

    ``lately`` is stable in its last seconds (the keys) and in all of it: an incident that has
    just begun is thin among stable's many calm tasks, while a young candidate has few others.
    ``strata`` are all of them, ``shared`` those in which both arms had tasks. ``unrivalled`` is
    the candidate under those route versions under which stable had no task at all: nothing
    compares with that. ``before`` is stable while it had enough of the users to be a measure.
    """

    seconds: int
    candidate: Tally
    stable: Tally
    lately: Mapping[int, Tally]
    strata: Sequence[Stratum]
    unrivalled: Tally
    before: Tally

    @property
    def shared(self) -> Sequence[Stratum]:
        """The strata in which both arms had tasks."""
        return [s for s in self.strata if len(s.arms) == len(Arm)]

    def stable_over(self, rule: "_Rule") -> int:
        """The longest of these times in which stable is credibly over the limit; 0 for none."""
        return max((span for span, tally in self.lately.items() if rule.over(tally)), default=0)


def judge(
    limits: Guardrails, observation: Observation, before: Tally = _NO_TASK
) -> tuple[Check, ...]:
    """Each guardrail over the window; the stable revision alone is judged when it has no rival.

    Args:
        before: stable while it had enough of the users to be a measure.

    Sources: exact tail and bounds as above; the stratified score test is Mantel and Haenszel's
    (1959), over strata of the same tick and the same route version at the session's begin.
    """
    seen = _window(observation, limits.window_seconds, before)
    if limits.mode is GuardrailMode.LITERAL and observation.ended:
        ended = {arm: observation.ended_in_window(arm) for arm in Arm}
        seen = replace(seen, candidate=ended[Arm.CANDIDATE], stable=ended[Arm.STABLE])
    rules = _rules(limits)
    checks = tuple(_judge(rule, limits, seen) for rule in rules)
    if not observation.older or limits.mode is GuardrailMode.LITERAL:
        return checks
    ours = seen.candidate + _sum(observation.older, Arm.CANDIDATE)
    suspects = [
        _may_be_graver(rule, check, ours) for rule, check in zip(rules, checks, strict=True)
    ]
    if not any(suspects):
        return checks
    oldest_ms = observation.older[0].tick * TICK_MS
    everything = replace(observation, window=observation.older + observation.window)
    long = _window(everything, math.ceil((observation.now_ms - oldest_ms) / 1000), before)
    return tuple(
        _graver(check, _judge(rule, limits, long)) if suspect else check
        for rule, check, suspect in zip(rules, checks, suspects, strict=True)
    )


def _may_be_graver(rule: _Rule, check: Check, ours: Tally) -> bool:
    """Whether late ends can say more than the window: only what is over its limit says that."""
    milder = check.verdict in (CheckVerdict.PASSING, CheckVerdict.NO_DATA, CheckVerdict.SUSPECT)
    return rule.late and milder and rule.over(ours)


def _graver(check: Check, late: Check) -> Check:
    """What ends later than the window is long must not pass unseen: it can still condemn."""
    if late.verdict in (CheckVerdict.BREACHED, CheckVerdict.UNCOMPARED):
        return replace(late, stable_over=check.stable_over)
    return check


def _sum(strata: Iterable[Stratum], arm: Arm) -> Tally:
    return total_of(stratum.arms[arm] for stratum in strata if arm in stratum.arms)


def _window(observation: Observation, seconds: int, before: Tally) -> _Window:
    stable, now_ms = observation.in_window(Arm.STABLE), observation.now_ms
    lately = {
        span: _sum(
            (s for s in observation.window if s.tick * TICK_MS >= now_ms - span * 1000), Arm.STABLE
        )
        for span in (2 * TICK_MS // 1000, seconds // 10)
    }
    return _Window(
        seconds=seconds,
        candidate=observation.in_window(Arm.CANDIDATE),
        stable=stable,
        lately={**lately, seconds: stable},
        strata=observation.window,
        unrivalled=_unrivalled(observation.window),
        before=before,
    )


def _unrivalled(window: Sequence[Stratum]) -> Tally:
    rivalled = {s.begin_version for s in window if s.arm(Arm.STABLE).tasks}
    alone = (s.arm(Arm.CANDIDATE) for s in window if s.begin_version not in rivalled)
    return total_of(alone)


def _judge(rule: _Rule, limits: Guardrails, seen: _Window) -> Check:
    span = seen.stable_over(rule)
    if limits.mode is GuardrailMode.LITERAL:
        verdict = _literal(rule, limits, seen.candidate)
        enough = rule.trials(seen.stable) >= limits.min_tasks
        stable_over = enough and rule.over_point(seen.stable)
    else:
        stable_over = span > 0
        verdict = _credible(rule, seen, stable_over=stable_over)
    return Check(
        rule.name,
        rule.reason,
        seen.candidate,
        seen.stable,
        verdict,
        stable_over,
        rule.limit_text,
        rule.show(seen.candidate),
        rule.show(seen.stable),
        _line(rule, seen, verdict, span),
        rule.title,
        _missing(rule, seen.candidate) if verdict is CheckVerdict.SUSPECT else 0,
    )


def _missing(rule: _Rule, candidate: Tally) -> int:
    """About how many more tasks at the candidate's present rates would be sure; 0: nobody knows."""
    for times in range(11, 101):
        if rule.over(candidate.times(times / 10)):
            return max(1, round(rule.trials(candidate) * (times / 10 - 1)))
    return 0


def _line(rule: _Rule, seen: _Window, verdict: CheckVerdict, span: int) -> str:
    lately = ""
    if verdict is CheckVerdict.SHARED and span < seen.seconds:
        lately = f", there {rule.show(seen.lately[span])} in the last {span} s,"
    return (
        f"{rule.title} {_on(rule.show(seen.candidate), 'the candidate')} and "
        f"{_on(rule.show(seen.stable), 'stable')}{lately} "
        f"in the last {seen.seconds} s, limit {rule.limit_text}"
    )


def _literal(rule: _Rule, limits: Guardrails, candidate: Tally) -> CheckVerdict:
    if candidate.tasks == 0:
        return CheckVerdict.NO_DATA
    if rule.trials(candidate) >= limits.min_tasks and rule.over_point(candidate):
        return CheckVerdict.BREACHED
    return CheckVerdict.PASSING


def _credible(rule: _Rule, seen: _Window, *, stable_over: bool) -> CheckVerdict:
    if seen.candidate.tasks == 0:
        return CheckVerdict.NO_DATA
    over = rule.over(seen.candidate)
    if not (over or stable_over):
        return CheckVerdict.SUSPECT if rule.suspect(seen.candidate) else CheckVerdict.PASSING
    z = rule.z(seen.shared)
    if not over:
        return CheckVerdict.PASSING if z < -ATTRIBUTABLE_Z else CheckVerdict.UNCLEAR
    if stable_over:
        return CheckVerdict.SHARED if z < SHARED_Z else CheckVerdict.BREACHED
    return _attributed(rule, seen)


def _attributed(rule: _Rule, seen: _Window) -> CheckVerdict:
    """Whose fault it is that the candidate is over the limit while stable is not.

    Stable's tasks beside those of the candidate that failed tell, in the finest strata that have
    enough of them, and not by the thin ones alone: one task of stable that went well beside ten of
    which most failed is luck at the begin of an outage. Where stable's tasks are too few, its own
    rate of before still exonerates a version that is no worse.
    """
    for ticks in TICKS_TO_A_STRATUM:
        strata = coarser(seen.strata, ticks)
        touched = [s for s in strata if rule.events(s.arm(Arm.CANDIDATE))]
        stable = comparable_stable(touched, rule.trials)
        ours = sum(rule.trials(s.arm(Arm.CANDIDATE)) for s in touched)
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


def _solid(rule: _Rule, strata: Sequence[Stratum]) -> Sequence[Stratum]:
    """The strata that are not thin."""
    return [
        stratum
        for stratum in strata
        if rule.trials(stratum.arm(Arm.CANDIDATE)) <= THIN * rule.trials(stratum.arm(Arm.STABLE))
    ]


def _as_stable_was(rule: _Rule, seen: _Window) -> bool:
    """Whether stable was over the limit as well, and the candidate is not clearly worse."""
    if rule.trials(seen.before) < FEWEST_STABLE or not rule.over_point(seen.before):
        return False
    arms = {Arm.CANDIDATE: seen.candidate, Arm.STABLE: seen.before}
    return rule.z([Stratum(0, 0, arms)]) <= ATTRIBUTABLE_Z


def coarser(window: Sequence[Stratum], ticks: int) -> Sequence[Stratum]:
    """The window in strata of so many ticks; sessions of different route versions stay apart."""
    if ticks == 1:
        return window
    merged: dict[tuple[int, int], dict[Arm, Tally]] = {}
    for stratum in window:
        arms = merged.setdefault((stratum.tick // ticks, stratum.begin_version), {})
        for arm, tally in stratum.arms.items():
            arms[arm] = arms[arm] + tally if arm in arms else tally
    return [Stratum(*place, arms) for place, arms in merged.items()]


def stable_is_well(limits: Guardrails, stable: Tally) -> bool:
    """Whether stable alone, with so many tasks, is neither over a limit nor suspected of it."""
    return not any(rule.over(stable) or rule.suspect(stable) for rule in _rules(limits))


def comparable_stable(window: Sequence[Stratum], trials: Callable[[Tally], int]) -> int:
    """Stable's tasks in the strata in which the candidate had some: all that can exonerate it."""
    return sum(
        trials(stratum.arm(Arm.STABLE))
        for stratum in window
        if trials(stratum.arm(Arm.CANDIDATE)) > 0
    )


# ------------------------------------------------------------------------------------ rates


def rate_over(events: int, tasks: int, limit: float) -> bool:
    """Whether so many events among so many tasks are credibly more than the limit allows."""
    return events >= FEWEST_EVENTS and _rarely(events, tasks, limit, TAIL)


def rate_suspect(events: int, tasks: int, limit: float) -> bool:
    """Whether so many events are more than the limit lets expect, credible or not."""
    return events >= FEWEST_SUSPECT_EVENTS and _rarely(events, tasks, limit, SUSPECT_TAIL)


def _rarely(events: int, tasks: int, limit: float, chance: float) -> bool:
    """Whether a rate that is at its limit yields as many events with at most this chance."""
    return events > limit * tasks and binomial.tail(events, tasks, limit) <= chance


def rate_z(window: Sequence[Stratum], events: Callable[[Tally], int]) -> float:
    """Standard deviations by which the candidate's rate exceeds stable's inside the strata."""
    excess = variance = 0.0
    for stratum in window:
        ours, theirs = stratum.arm(Arm.CANDIDATE), stratum.arm(Arm.STABLE)
        tasks = ours.tasks + theirs.tasks
        if not (ours.tasks and theirs.tasks):
            continue
        rate = (events(ours) + events(theirs)) / tasks
        excess += events(ours) - rate * ours.tasks
        variance += ours.tasks * theirs.tasks / tasks * rate * (1.0 - rate)
    return excess / math.sqrt(variance) if variance > 0.0 else 0.0


def _rate(
    name: str, title: str, reason: Reason, limit_percent: int, events: Callable[[Tally], int]
) -> _Rule:
    limit = limit_percent / 100
    return _Rule(
        name,
        title,
        reason,
        f"{limit_percent} %",
        late=True,
        trials=lambda tally: tally.tasks,
        events=events,
        over=lambda tally: rate_over(events(tally), tally.tasks, limit),
        suspect=lambda tally: rate_suspect(events(tally), tally.tasks, limit),
        over_point=lambda tally: events(tally) > limit * tally.tasks,
        z=lambda window: rate_z(window, events),
        show=lambda tally: _show_rate(events(tally), tally.tasks),
    )


def _show_rate(events: int, tasks: int) -> str:
    return f"{100 * events / tasks:.1f} % ({events}/{tasks})" if tasks else "no task"


# ------------------------------------------------------------------------------------ means


def mean_over(
    tally: Tally, limit_seconds: float, deviations: float = LOWER_BOUND_DEVIATIONS
) -> bool:
    """Whether the mean latency less so many of its standard deviations is above the limit."""
    if tally.timed < FEWEST_TIMED:
        return False
    margin = deviations * math.sqrt(_variance(tally) / tally.timed)
    return tally.latency_sum / tally.timed - margin > limit_seconds


def mean_z(window: Sequence[Stratum]) -> float:
    """Standard deviations by which the candidate's mean latency exceeds stable's in the strata."""
    variances = {arm: _variance(total_of(s.arm(arm) for s in window)) for arm in Arm}
    difference = noise = 0.0
    for stratum in window:
        ours, theirs = stratum.arm(Arm.CANDIDATE), stratum.arm(Arm.STABLE)
        if not (ours.timed and theirs.timed):
            continue
        weight = ours.timed * theirs.timed / (ours.timed + theirs.timed)
        difference += weight * (ours.latency_sum / ours.timed - theirs.latency_sum / theirs.timed)
        noise += weight**2 * (
            variances[Arm.CANDIDATE] / ours.timed + variances[Arm.STABLE] / theirs.timed
        )
    if noise > 0.0:
        return difference / math.sqrt(noise)
    return math.copysign(math.inf, difference) if difference else 0.0


def _variance(tally: Tally) -> float:
    if not tally.timed:
        return 0.0
    mean = tally.latency_sum / tally.timed
    return max(tally.latency_squares / tally.timed - mean * mean, 0.0)


def _latency(limit_seconds: int) -> _Rule:
    return _Rule(
        "latencyMean",
        "mean latency",
        Reason.LATENCY,
        f"{limit_seconds} s",
        late=False,  # an open task counts as slow in time
        trials=lambda tally: tally.timed,
        events=lambda tally: tally.timed,
        over=lambda tally: mean_over(tally, limit_seconds),
        suspect=lambda tally: mean_over(tally, limit_seconds, SUSPECT_DEVIATIONS),
        over_point=lambda tally: tally.latency_sum > limit_seconds * tally.timed,
        z=mean_z,
        show=_show_mean,
    )


def _show_mean(tally: Tally) -> str:
    if not tally.timed:
        return "no task"
    return f"{tally.latency_sum / tally.timed:.1f} s (n={tally.timed})"


# ------------------------------------------------------------------------------------ all of them


def _rules(limits: Guardrails) -> tuple[_Rule, ...]:
    return (
        _rate(
            "errorRate",
            "error rate",
            Reason.ERROR_RATE,
            limits.error_rate_percent,
            lambda tally: tally.errors,
        ),
        _latency(limits.latency_mean_seconds),
        _rate(
            "escalationRate",
            "escalation rate",
            Reason.ESCALATION_RATE,
            limits.escalation_rate_percent,
            lambda tally: tally.escalations,
        ),
    )


def _on(shown: str, who: str) -> str:
    """With "31.0 % (13/42)" of the candidate: "31.0 % on the candidate (13/42)"."""
    value, _, counts = shown.partition(" (")
    return f"{value} on {who} ({counts}" if counts else f"{value} on {who}"
