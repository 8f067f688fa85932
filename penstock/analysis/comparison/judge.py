"""What the sums prove: that the canary is worse, that its limits are kept, that the next share is harmless.

Numbers only: what follows from them is decided elsewhere. Formulae are those of ``evalues`` and ``spread``.

The chance that a canary that is as good as stable and keeps its limits is ever condemned here is at most
``alpha`` (0.02): over the whole rollout, all metrics, all slots, all looks. Three quarters of it are spent on
"worse than stable", where each metric has the part of its weight and each slot that of its own; one quarter on "over a limit, and
worse than stable" (absolute limits). Where stable itself breaks a limit, the second part is bounded by ATTRIBUTED alone.
The windows of the guardrails have no part in it: where this condemns, they only take users off.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, TypeVar

from penstock.analysis.comparison import draw, evalues, spread
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.draw import Excess
from penstock.analysis.comparison.spread import Spread
from penstock.analysis.comparison.sums import MARGINS, ONE, RATIOS, VALUES, RatioSince

#: Parts of alpha: worse than stable, over a limit.
RELATIVE_PART: Final = 0.75
LIMIT_PART: Final = 0.25
#: Weights of the slots, in their order, and of the metrics: each sums to 1. The last slot may begin anew, and its weight is that of all its evidence:
#: what is dropped at a restart was at least 0, so that the parts of the weight add up as those of slots that go on do.
SLOT_WEIGHTS: Final = (0.64, 0.12, 0.12, 0.06, 0.06)
RATIO_WEIGHTS: Final = (0.4, 0.2)
VALUE_WEIGHTS: Final = (0.2, 0.2)
#: What of alpha the question has whether the users who were drawn explain a metric's excess. Users who are slow, dear or escalated by nature are
#: common, and each of these metrics is another draw of the same users.
RATIO_DRAWS: Final = (1.0, 0.2)
VALUE_DRAWS: Final = (0.2, 0.2)
#: A limit condemns only by a metric that is also so many to one worse than stable.
ATTRIBUTED: Final = 60.0
#: From here on nothing is raised.
SUSPICIOUS: Final = 5.0
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
    nothing is known. ``part``: what of alpha this attempt has for its evidence. Whether other users would show as much is asked of
    the whole: a bucket has no more draws in a retry than before, and the evidence has paid for it. ``restarts``: how often the last slot
    was begun.
    """

    limits: tuple[float, float] = (0.05, 0.20)
    ignored: tuple[float, float] = (0.005, 0.02)
    alpha: float = 0.02
    limited: tuple[bool, bool] = (True, False)
    silent: frozenset[str] = frozenset()
    users: tuple[Spread, Spread] | None = None
    part: float = 1.0
    restarts: int = 0


_Found = TypeVar("_Found")
#: With nothing known of users from before.
ANY: Final = Bounds()


@dataclass(frozen=True)
class Strength:
    """How strongly one metric speaks.

    ``worse``: e-value that the canary is worse than stable; ``over``: that it is over its limit.
    ``bucket``: the worst bucket of users, where the excess may be that of the users who were drawn, so that it condemns nobody; None
    elsewhere. ``alone``: how strong the evidence is whoever was drawn.
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
        alpha = self.bounds.alpha * self.bounds.part
        return 1 / (RELATIVE_PART * alpha), 1 / (LIMIT_PART * alpha)

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
        """A metric that would be suspicious, if the excess were not that of a few users."""
        heard = [one for one in self.metrics if one.name not in self.bounds.silent]
        weights = dict(zip((*RATIOS, *VALUES), (*RATIO_WEIGHTS, *VALUE_WEIGHTS), strict=True))
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

    worse = weighed([_labelled(s, null) for s in slots], bounds)
    if whole.excess < bounds.ignored[at] * whole.weight:
        worse = min(worse, 1.0)
    limit = bounds.limits[at]
    over = weighed([_over(s.events, s.tasks, limit) for s in slots], bounds)
    if at:
        ripe = weighed([_over(*count, limit) for count in seen.ripe[at]], bounds)
        over = (1 - LATE_PART) * over + LATE_PART * ripe
    found, chance = Strength(RATIOS[at], worse, over, alone=worse), RATIO_DRAWS[at] * bounds.alpha
    return _held(found, chance, lambda: draw.of_ratio(seen, at))


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


def _held(metric: Strength, chance: float, excess: Callable[[], Excess]) -> Strength:
    """The same, where the excess may be that of the users who were drawn: it raises suspicion and condemns nobody.

    Args:
        chance: so rarely they may explain it at the most.
    """
    if metric.worse < SUSPICIOUS:
        return metric
    seen = excess()
    if not seen.is_of_users(chance):
        return metric
    return replace(metric, worse=SUSPICIOUS - 0.01, bucket=seen.worst)


# ------------------------------------------------------------------------------------------ values


def value(seen: Compared, at: int, bounds: Bounds) -> Strength:
    """What one kind of values says."""
    slots = [s.values[at] for s in seen.evidence.since]
    worse = 1.0
    if sum(seen.evidence.whole.canary) >= FEWEST_TASKS:
        tilt = tilt_variance(seen, at)
        ranked = [
            evalues.of_ranks(s.score / ONE, s.variance / ONE, tilt) if s.variance else 1.0
            for s in slots
        ]
        worse = weighed(ranked, bounds)
    over = 1.0
    if bounds.limited[at]:
        bets = [
            evalues.of_bets([log / ONE for log in s.above]) if any(s.above) else 1.0 for s in slots
        ]
        over = weighed(bets, bounds)
    found, chance = Strength(VALUES[at], worse, over, alone=worse), VALUE_DRAWS[at] * bounds.alpha
    return _held(found, chance, lambda: draw.of_value(seen, at))


def tilt_variance(seen: Compared, at: int) -> float:
    """The variance of the tilt of the ranks that unlike users make by nature."""
    return _once(seen, ("tilt", at), lambda: _tilt_variance(seen, at))


def ranks_spread(seen: Compared, at: int) -> spread.Spread:
    """How unlike the mean ranks of stable's users are."""
    whole = seen.evidence.whole
    of_values = whole.values[at]
    residuals = [r / ONE for r in of_values.residuals]
    return spread.of_ranks(residuals, of_values.chance / ONE, whole.stable)


def _tilt_variance(seen: Compared, at: int) -> float:
    whole = seen.evidence.whole
    ours, theirs = sum(whole.canary), sum(whole.stable)
    share = ours / max(ours + theirs, 1)
    of_canary, of_stable = map(spread.sum_of_squares, (whole.canary, whole.stable))
    extra = spread.upper(ranks_spread(seen, at), spread.OF_RANKS)
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


def weighed(each: Iterable[float], bounds: Bounds) -> float:
    """The weighted sum over the slots; of the last one as it was begun the last time."""
    *first, last = SLOT_WEIGHTS
    weights = (*first, last * evalues.part_of_try(bounds.restarts))
    return sum(w * e for w, e in zip(weights, each, strict=True))
