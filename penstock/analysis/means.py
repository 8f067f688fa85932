"""Means: whether a mean value is over its limit, and whether one arm's exceeds the other's."""

import math
from collections.abc import Iterable
from typing import Final

from penstock.analysis.metrics import Sums

#: A mean is credibly over its limit when the lower end of its one-sided 99.9 % interval is.
LOWER_BOUND_DEVIATIONS: Final = 3.09
#: ... and is suspect when the lower end of its one-sided 95 % interval is.
SUSPECT_DEVIATIONS: Final = 1.645
FEWEST_VALUES: Final = 20


def over(sums: Sums, limit: float) -> bool:
    """Whether the mean is credibly above the limit."""
    return _over(sums, limit, LOWER_BOUND_DEVIATIONS)


def suspect(sums: Sums, limit: float) -> bool:
    """Whether the mean may well be above the limit."""
    return _over(sums, limit, SUSPECT_DEVIATIONS)


def _over(sums: Sums, limit: float, deviations: float) -> bool:
    """Whether the mean less so many of its standard deviations is above the limit."""
    if sums.n < FEWEST_VALUES:
        return False
    margin = deviations * math.sqrt(sums.variance / sums.n)
    return sums.mean - margin > limit


def over_point(sums: Sums, limit: float) -> bool:
    """Whether the mean itself is above the limit."""
    return sums.total > limit * sums.n


def failed(sums: Sums) -> int:
    """The tasks that can be to blame for the mean: each of them."""
    return sums.n


def z(pairs: Iterable[tuple[Sums, Sums]]) -> float:
    """Standard deviations by which the first mean exceeds the second inside the strata.

    The spread within an arm is taken over all of its values; of no spread at all the sign is left.
    """
    strata = list(pairs)
    ours_spread = _together(ours for ours, _ in strata).variance
    theirs_spread = _together(theirs for _, theirs in strata).variance
    difference = noise = 0.0
    for ours, theirs in strata:
        if not (ours.n and theirs.n):
            continue
        weight = ours.n * theirs.n / (ours.n + theirs.n)
        difference += weight * (ours.mean - theirs.mean)
        noise += weight**2 * (ours_spread / ours.n + theirs_spread / theirs.n)
    if noise > 0.0:
        return difference / math.sqrt(noise)
    return math.copysign(math.inf, difference) if difference else 0.0


def _together(arm: Iterable[Sums]) -> Sums:
    return Sums(*map(sum, zip(*arm, strict=True)))
