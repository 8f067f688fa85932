"""What the sums prove: that the canary is worse, that its limits are kept, that the next share is harmless.

Numbers only: what follows from them is decided elsewhere. Formulae are those of ``evalues`` and ``spread``.

The chance that a canary that is as good as stable and keeps its limits is ever condemned here is at most
``alpha`` (0.02): over the whole rollout, all metrics, all slots, all looks. Three quarters of it are spent on
"worse than stable", where each metric has the part of its weight and each slot that of its own; one quarter on "over a limit, and
worse than stable" (absolute limits). Where stable itself breaks a limit, the second part is bounded by ATTRIBUTED alone.
The windows of the guardrails have no part in it: where this condemns, they only take users off.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nlargest
from typing import Final, TypeVar

from penstock.analysis.comparison import evalues, spread
from penstock.analysis.comparison.cohorts import Compared
from penstock.analysis.comparison.spread import Spread
from penstock.analysis.comparison.sums import (
    MARGINS,
    ONE,
    RATIOS,
    VALUES,
    RatioSince,
    RatioWhole,
    Whole,
)

#: Parts of alpha: worse than stable, over a limit.
RELATIVE_PART: Final = 0.75
LIMIT_PART: Final = 0.25
#: Weights of the slots, in their order, and of the metrics: each sums to 1.
SLOT_WEIGHTS: Final = (0.64, 0.12, 0.12, 0.06, 0.06)
RATIO_WEIGHTS: Final = (0.4, 0.2)
VALUE_WEIGHTS: Final = (0.2, 0.2)
#: A limit condemns only by a metric that is also so many to one worse than stable.
ATTRIBUTED: Final = 60.0
#: From here on nothing is raised.
SUSPICIOUS: Final = 5.0
#: The excess must be seen without the canary's worst bucket, as long as users may be that unlike.
WITHOUT_WORST: Final = 0.03
UNLIKE: Final = 0.25
#: Where users are known to be so unlike, fewer effective buckets of the canary's condemn nobody.
VERY_UNLIKE: Final = 1.0
FEWEST_BUCKETS: Final = 12.0
#: Values of fewer of the canary's tasks say nothing.
FEWEST_TASKS: Final = 10
#: On the second clock of late events goes this part of the evidence over a limit.
LATE_PART: Final = 0.4


@dataclass(frozen=True)
class Bounds:
    """What is too much.

    ``limits``: of the rates; those of the means are in the sums. ``ignored``: smaller differences of the rates are
    no harm. ``alpha``: see above. ``limited``: which of VALUES have a limit. ``silent``: metrics
    that are told and neither condemn nor hold. ``users``: how unlike they are, from before the canary, for each of RATIOS; None where
    nothing is known.
    """

    limits: tuple[float, float] = (0.05, 0.20)
    ignored: tuple[float, float] = (0.005, 0.02)
    alpha: float = 0.02
    limited: tuple[bool, bool] = (True, False)
    silent: frozenset[str] = frozenset()
    users: tuple[Spread, Spread] | None = None


_Found = TypeVar("_Found")
#: With nothing known of users from before.
ANY: Final = Bounds()


@dataclass(frozen=True)
class Strength:
    """How strongly one metric speaks.

    ``worse``: e-value that the canary is worse than stable; ``over``: that it is over its limit.
    ``bucket``: the bucket of users on which the excess hangs, so that it condemns nobody; None where it does
    not. ``alone``: how strong the evidence is with that bucket.
    """

    name: str
    worse: float
    over: float
    bucket: int | None = None
    alone: float = 1.0

    @property
    def attributed(self) -> float:
        """What may condemn by the limit: nothing that is not also worse than stable."""
        return self.over if self.worse >= ATTRIBUTED else min(self.over, 1.0)


@dataclass(frozen=True)
class Strengths:
    """All metrics together: to one that the canary is worse, and over a limit, and what condemns.

    ``limits``: of how many metrics ``over`` is the mean.
    """

    metrics: tuple[Strength, ...]
    worse: float
    over: float
    bounds: Bounds
    limits: int = 4

    @property
    def needed(self) -> tuple[float, float]:
        """From where on each of both condemns."""
        return 1 / (RELATIVE_PART * self.bounds.alpha), 1 / (LIMIT_PART * self.bounds.alpha)

    @property
    def condemns(self) -> bool:
        """Whether the canary is proven worse."""
        worse, over = self.needed
        return self.worse >= worse or self.over >= over

    def is_over(self, name: str) -> bool:
        """Whether a metric alone is over its limit by as much evidence, whoever is to blame.

        What is attributed in another way than by comparison needs no chance of its own: a canary within its limits
        has so much evidence against it as rarely as ``over`` would be enough.
        """
        one = next(metric for metric in self.metrics if metric.name == name)
        return one.over / self.limits >= self.needed[1]

    @property
    def suspicious(self) -> bool:
        """Whether it may well be: nothing is raised meanwhile."""
        return max(self.worse, self.over) >= SUSPICIOUS or self.by_few is not None

    @property
    def by_few(self) -> Strength | None:
        """A metric that would be suspicious, if the excess were not that of one bucket of users."""
        heard = [one for one in self.metrics if one.name not in self.bounds.silent]
        weights = dict(zip(RATIOS, RATIO_WEIGHTS, strict=True))
        few = (one for one in heard if one.bucket is not None)
        return next((one for one in few if weights[one.name] * one.alone >= SUSPICIOUS), None)

    @property
    def strongest(self) -> Strength:
        """The metric that speaks the loudest, of those that are heard."""
        heard = [metric for metric in self.metrics if metric.name not in self.bounds.silent]
        return max(heard or self.metrics, key=lambda metric: metric.worse)


def strengths(seen: Compared, bounds: Bounds) -> Strengths:
    """What speaks against the canary so far."""
    ratios = [ratio(seen, at, bounds) for at in range(len(RATIOS))]
    values = [value(seen, at, bounds) for at in range(len(VALUES))]
    metrics = (*ratios, *values)
    weights = zip((*RATIO_WEIGHTS, *VALUE_WEIGHTS), metrics, strict=True)
    worse = sum(weight * one.worse for weight, one in weights if one.name not in bounds.silent)
    limited = [*ratios, *(v for v, has in zip(values, bounds.limited, strict=True) if has)]
    over = sum(one.attributed for one in limited if one.name not in bounds.silent) / len(limited)
    return Strengths(metrics, worse, over, bounds, len(limited))


# ------------------------------------------------------------------------------------------ rates


def ratio(seen: Compared, at: int, bounds: Bounds) -> Strength:
    """What one kind of events says."""
    whole, slots = seen.evidence.whole.ratios[at], [s.ratios[at] for s in seen.evidence.since]

    @cache
    def null() -> evalues.Null:
        return evalues.innate(round(innate_variance(seen, at, bounds), 4))

    worse = weighed([_labelled(s, null) for s in slots])
    if whole.excess < bounds.ignored[at] * whole.weight:
        worse = min(worse, 1.0)
    bucket, alone = None, worse
    if worse >= SUSPICIOUS:
        bucket = hangs_on(seen, at, bounds)
        worse = worse if bucket is None else SUSPICIOUS - 0.01
    limit = bounds.limits[at]
    over = weighed([_over(s.events, s.tasks, limit) for s in slots])
    if at:
        ripe = weighed([_over(*count, limit) for count in seen.ripe[at]])
        over = (1 - LATE_PART) * over + LATE_PART * ripe
    return Strength(RATIOS[at], worse, over, bucket, alone)


def _labelled(seen: RatioSince, null: Callable[[], evalues.Null]) -> float:
    """Evidence of one slot. Below 1 it speaks for the canary, and 0 is as good and is had at once."""
    if not seen.exposure[-1]:
        return 1.0
    of_harm = {place: seen.exposure[place] / ONE for place in evalues.HARM}
    if evalues.log_of_harm(seen.labelled, of_harm) <= 0.0:
        return 0.0
    return evalues.of_labels(seen.labelled, [log / ONE for log in seen.exposure], null())


def _over(events: int, tasks: int, limit: float) -> float:
    return evalues.of_limit(events, tasks, limit, evalues.ABOVE) if tasks else 1.0


def users_spread(seen: Compared, at: int) -> spread.Spread:
    """How unlike stable's users are: a bad canary must not excuse itself."""
    whole = seen.evidence.whole
    return _once(
        seen, ("users", at), lambda: spread.of_rates(whole.ratios[at].stable, whole.stable)
    )


def innate_variance(seen: Compared, at: int, bounds: Bounds = ANY) -> float:
    """The variance of the ratio of the arms' rates that unlike users make by nature."""
    whole = seen.evidence.whole
    before = bounds.users[at] if bounds.users else spread.OF_RATES

    def found() -> float:
        between = spread.upper(users_spread(seen, at), before)
        return between * (spread.concentration(whole.canary) + spread.concentration(whole.stable))

    return _once(seen, ("innate", at, before), found)


def _once(seen: Compared, asked: tuple[object, ...], work_out: Callable[[], _Found]) -> _Found:
    """What is concluded from the same numbers, worked out once."""
    if asked not in seen.known:
        seen.known[asked] = work_out()
    found: _Found = seen.known[asked]
    return found


def hangs_on(seen: Compared, at: int, bounds: Bounds = ANY) -> int | None:
    """The bucket of users without which the excess is not seen, or may be all that it is.

    Where stable, too, has few users, how unlike they are cannot be known of them: then the excess must be seen without
    the two worst buckets. Few users may also be as they were on stable before they came. Else a canary of one bucket has
    no other and is not asked.
    """
    whole = seen.evidence.whole
    events, tasks = whole.ratios[at], whole.canary
    few, few_on_stable = (
        1 / spread.concentration(arm) < FEWEST_BUCKETS for arm in (tasks, whole.stable)
    )
    both_few = few and few_on_stable
    worst = _worst_buckets(events, tasks)
    if both_few and _as_before(events, whole):
        return worst[0]
    if sum(n > 0 for n in tasks) < 2 and not both_few:
        return None
    between = users_spread(seen, at)
    before = bounds.users[at] if bounds.users else spread.OF_RATES
    known = spread.together(between, before) if bounds.users else between
    if few and known.at_least > VERY_UNLIKE:
        return worst[0]
    unlike = both_few or spread.upper(between, before) > UNLIKE
    without = worst if both_few else worst[:1]
    return worst[0] if unlike and _is_gone_without(without, events, tasks) else None


def _as_before(events: RatioWhole, whole: Whole) -> bool:
    """Whether those of the canary's users who were on stable before fail there as often, and the others are no excess."""
    both = [b for b, n in enumerate(whole.canary) if n and whole.stable[b]]
    ours, happened, expected = 0, 0, 0.0
    for bucket in both:
        mine, all_of_it = events.canary[bucket], events.canary[bucket] + events.stable[bucket]
        tasks = whole.canary[bucket] + whole.stable[bucket]
        ours, happened = ours + mine, happened + all_of_it
        expected += all_of_it * whole.canary[bucket] / tasks
    if not happened or evalues.tail(ours, happened, expected / happened) <= WITHOUT_WORST:
        return False
    return _is_gone_without(both, events, whole.canary)


def _worst_buckets(events: RatioWhole, tasks: Sequence[int]) -> list[int]:
    """The two with the largest excess, the worst first."""
    rate = sum(events.canary) / max(sum(tasks), 1)
    there = [bucket for bucket, n in enumerate(tasks) if n]
    return nlargest(2, there, key=lambda b: events.canary[b] - tasks[b] * rate)


def _is_gone_without(worst: Sequence[int], events: RatioWhole, tasks: Sequence[int]) -> bool:
    """Whether what is left of the events, and of the canary's share of the tasks, could be chance."""
    total, all_events = max(sum(tasks), 1), sum(events.canary)
    part = sum(tasks[bucket] for bucket in worst) / total
    share = events.expected / ONE / max(events.labelled, 1)
    left = share * (1 - part) / max(1 - share * part, 1e-9)
    left = min(max(left, 1e-6), 1 - 1e-6)
    others = sum(events.canary[bucket] for bucket in worst)
    chance = evalues.tail(all_events - others, max(events.labelled - others, 0), left)
    return chance > WITHOUT_WORST


# ------------------------------------------------------------------------------------------ values


def value(seen: Compared, at: int, bounds: Bounds) -> Strength:
    """What one kind of values says."""
    slots = [s.values[at] for s in seen.evidence.since]
    worse = 1.0
    if sum(seen.evidence.whole.canary) >= FEWEST_TASKS:
        tilt = tilt_variance(seen, at)
        worse = weighed(
            evalues.of_ranks(s.score / ONE, s.variance / ONE, tilt) if s.variance else 1.0
            for s in slots
        )
    over = 1.0
    if bounds.limited[at]:
        over = weighed(
            evalues.of_bets([log / ONE for log in s.above]) if any(s.above) else 1.0 for s in slots
        )
    return Strength(VALUES[at], worse, over)


def tilt_variance(seen: Compared, at: int) -> float:
    """The variance of the tilt of the ranks that unlike users make by nature."""
    return _once(seen, ("tilt", at), lambda: _tilt_variance(seen, at))


def _tilt_variance(seen: Compared, at: int) -> float:
    whole = seen.evidence.whole
    of_values = whole.values[at]
    residuals = [r / ONE for r in of_values.residuals]
    between = spread.of_ranks(residuals, of_values.chance / ONE, whole.stable)
    ours, theirs = sum(whole.canary), sum(whole.stable)
    share = ours / max(ours + theirs, 1)
    of_canary, of_stable = map(spread.sum_of_squares, (whole.canary, whole.stable))
    extra = spread.upper(between, spread.OF_RANKS)
    extra *= (1 - share) ** 2 * of_canary + share**2 * of_stable
    return extra / max(seen.evidence.since[0].values[at].variance / ONE, 1e-9) ** 2


def is_ruled_out(seen: Compared, at: int, step: int, alpha: float) -> bool:
    """Whether values higher by the margin of a step are ruled out."""
    margin = 2 * min(step, len(MARGINS) - 1)
    score, variance = seen.evidence.whole.values[at].margins[margin : margin + 2]
    tilt = tilt_variance(seen, at)
    return evalues.of_ranks(-score / ONE, variance / ONE, tilt) >= 1 / alpha


def margin_percent(step: int) -> int:
    """By how much higher values are to be ruled out at a step, in percent."""
    return round(100 * (1.1 ** MARGINS[min(step, len(MARGINS) - 1)] - 1))


def weighed(each: Iterable[float]) -> float:
    """The weighted sum over the slots."""
    return sum(w * e for w, e in zip(SLOT_WEIGHTS, each, strict=True))
