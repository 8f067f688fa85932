"""Whose users were they? What the users who were drawn for the canary explain is not its fault.

A hash puts buckets of users on the canary: under "no harm" any as many others might have been it. So an excess is its own only where

- hardly a draw of as many buckets, from all that were seen, has so much of it: the randomisation test of Fisher (1935), its unit
  what was randomised, the bucket and no task. It asks neither how unlike users are nor in which shape. Few buckets have few
  draws: two of five are the two worst in one of ten; or where
- the same users did not have it on stable before they came. Whoever fails by nature fails on both sides.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from penstock.analysis.comparison import evalues
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.sums import ONE, PART

#: lambda, in 1 / the standard deviation of a bucket's excess: from where it is sought, up to where, by which factor.
_FIRST, _LAST, _STEP = 0.05, 50.0, math.sqrt(2)
#: e to more than this is not worked out.
_MOST: Final = 300.0
#: The variance of a centred rank is at most so much.
_OF_A_RANK: Final = 1 / 12


class Excess(NamedTuple):
    """What was seen above what is expected under "no harm", in events or in ranks, damped by how many tasks a bucket has.

    ``canary``: of each bucket that it has. ``stable``: of each that it never had, over as much of the time as it had its own, and ``noise``: by
    how much more its square varies where so few tasks tell, as they do of the canary's.
    ``unlike_before``: at most how often the canary's users would differ so much from what they were on stable.
    ``worst``: the canary's bucket with the largest excess, which is damped by nothing.
    """

    canary: Mapping[int, float]
    stable: Sequence[float]
    noise: Sequence[float]
    unlike_before: float
    worst: int | None = None

    def is_of_users(self, alpha: float) -> bool:
        """Whether both chances explain it; each has half of alpha."""
        half = alpha / 2
        if self.unlike_before <= half:
            return False
        return drawn(tuple(self.canary.values()), self.stable, self.noise, enough=half) > half


def of_ratio(seen: Compared, at: int) -> Excess:
    """The excess of one kind of events."""
    whole = seen.evidence.whole
    events = whole.ratios[at]
    sides = ((events.canary, events.of_canary), (events.stable, events.of_stable))
    ours, theirs = ([k - due / PART for k, due in zip(*side, strict=True)] for side in sides)
    varies = [due / PART for due in events.of_stable]
    return _excess(seen, ours, theirs, varies, _events_before(seen, at))


def of_value(seen: Compared, at: int) -> Excess:
    """The excess of one kind of values, in ranks; of cohorts with open tasks what is known by now."""
    ours, theirs = _ranks(seen, at)
    stable = seen.evidence.whole.stable
    above = sum(ours) / max(sum(stable), 1)
    centred = [rank - n * above for rank, n in zip(theirs, stable, strict=True)]
    varies = [n * _OF_A_RANK for n in stable]
    return _excess(seen, ours, centred, varies, _ranks_before(seen, ours, theirs))


def _ranks(seen: Compared, at: int) -> tuple[list[float], list[float]]:
    """By bucket the canary's centred ranks, and stable's less their mean."""
    values = seen.evidence.whole.values[at]
    found = [rank / ONE for rank in values.canary], [rank / ONE for rank in values.residuals]
    for cohort in seen.unsettled:
        for ranks, known in zip(found, cohort.by_bucket(at), strict=True):
            for bucket, rank in known.items():
                ranks[bucket] += rank
    return found


def _excess(
    seen: Compared,
    ours: Sequence[float],
    theirs: Sequence[float],
    varies: Sequence[float],
    unlike_before: float,
) -> Excess:
    """Buckets have come to the canary sooner or later: those that never came count for as long as these in the mean.

    An excess x of n tasks counts x / (1 + n / n_mean): of few tasks the excess, of many their rate. One user with most of the
    tasks would else be all of each draw that has him, and a draw of five of a hundred has him in one of twenty.

    What stable's buckets had in all of their time is known better than what they would have had in the canary's: of p of the tasks p of the excess has
    p² of the variance, and so many tasks have p of it.

    Args:
        varies: the variance of each of stable's excesses, by its tasks alone.
    """
    whole = seen.evidence.whole
    mine = [bucket for bucket, n in enumerate(whole.canary) if n]
    others = [b for b, n in enumerate(whole.stable) if n and not whole.canary[b]]
    tasks, before = sum(whole.canary), sum(whole.stable[bucket] for bucket in mine)
    part = tasks / max(tasks + before, 1)
    given = tasks + part * sum(whole.stable[bucket] for bucket in others)
    mean = given / max(len(mine) + len(others), 1)
    damped = {b: 1 + part * whole.stable[b] / mean for b in others}
    return Excess(
        {bucket: ours[bucket] / (1 + whole.canary[bucket] / mean) for bucket in mine},
        tuple(part * theirs[b] / damped[b] for b in others),
        tuple(part * (1 - part) * varies[b] / damped[b] ** 2 for b in others),
        unlike_before,
        max(mine, key=lambda bucket: ours[bucket], default=None),
    )


# ------------------------------------------------------------------------------------------ a draw


def drawn(
    ours: Sequence[float],
    others: Sequence[float],
    noise: Sequence[float] = (),
    *,
    enough: float = 0.0,
) -> float:
    """At most how often the sum of as many numbers, drawn from all without putting back, is that of ``ours``.

    ``noise``: variances of what is added to each of the others, as if it were normal; none where they are as exact as ours.
    ``enough``: the search ends with the first bound that is at most this.

    Chernoff's bound, P <= inf e^(-lambda T) e_m(e^(lambda x)) / C(n, m), where e_m is the elementary symmetric polynomial: the
    moments of the draw themselves, which those of one with putting back bound (Hoeffding 1963). Exact where ours are the m largest.
    """
    n, m = len(ours) + len(others), len(ours)
    if not ours or not others:
        return 1.0
    if any(noise):
        return _least_bound(ours, others, noise, enough)
    if min(ours) > max(others):
        return 1 / math.comb(n, m)
    if m > n - m:  # the others are as rarely so low
        return _least_bound([-x for x in others], [-x for x in ours], [0.0] * m, enough)
    return _least_bound(ours, others, [0.0] * (n - m), enough)


def _least_bound(
    ours: Sequence[float], others: Sequence[float], noise: Sequence[float], enough: float
) -> float:
    """Bounds fall and then rise with lambda."""
    each, m = (*ours, *others), len(ours)
    variances = (*[0.0] * m, *noise)
    mean, level = sum(each) / len(each), sum(ours) / m
    deviation = math.sqrt(sum([(x - mean) ** 2 for x in each]) / len(each))
    if level <= mean or not deviation:
        return 1.0
    draws, least, scale = math.log(math.comb(len(each), m)), 0.0, _FIRST
    while scale < _LAST and math.exp(least) > enough:
        by = scale / deviation
        logs = [by * (x - level) + by * by * v / 2 for x, v in zip(each, variances, strict=True)]
        bound = _log_sum(logs, m) - draws
        if bound > least:
            break
        least, scale = bound, scale * _STEP
    return math.exp(least)


def _log_sum(logs: Sequence[float], m: int) -> float:
    """ln of the sum, over all draws of m, of the product of what is drawn; infinite where that is too large a number."""
    if max(logs) > _MOST:
        return math.inf
    sums = [1.0] + [0.0] * m
    for weight in map(math.exp, logs):
        sums = [1.0, *[new + weight * old for old, new in pairwise(sums)]]
    return math.log(sums[m]) if 0 < sums[m] < math.inf else math.inf


# ------------------------------------------------------------------------------------------ before


def _events_before(seen: Compared, at: int) -> float:
    """Given all events of a bucket, each was the canary's with its part of what was expected there, the hour included.

    The bucket that changed the most is left out: a user may change by himself.
    """
    whole = seen.evidence.whole
    events = whole.ratios[at]
    each: list[tuple[float, int, int]] = []
    for bucket in _both(seen):
        due, before = events.of_canary[bucket], events.of_stable[bucket]
        ours = events.canary[bucket]
        happened = ours + events.stable[bucket]
        if due and before:
            each.append((ours - happened * due / (due + before), ours, happened))
    others = sorted(each)[:-1]
    ours, happened = sum(one[1] for one in others), sum(one[2] for one in others)
    expected = ours - sum(one[0] for one in others)
    return evalues.tail(ours, happened, expected / happened) if happened else 1.0


def _ranks_before(seen: Compared, ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The same of ranks, by the tail of a normal distribution."""
    whole = seen.evidence.whole
    each: list[tuple[float, float]] = []
    for bucket in _both(seen):
        n, before = whole.canary[bucket], whole.stable[bucket]
        each.append((ours[bucket] - n * theirs[bucket] / before, n * (1 + n / before) * _OF_A_RANK))
    others = sorted(each)[:-1]
    change, variance = sum(one[0] for one in others), sum(one[1] for one in others)
    return math.exp(-change * change / variance / 2) if change > 0 else 1.0


def _both(seen: Compared) -> list[int]:
    """The canary's buckets that were on stable, too."""
    whole = seen.evidence.whole
    return [bucket for bucket, n in enumerate(whole.canary) if n and whole.stable[bucket]]
