"""How unlike the users are: the variance between buckets of stable's users, never underestimated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from typing import Final

#: Standard errors that an estimate is widened by: few clusters must widen, not narrow.
WIDENED: Final = 0.5


@dataclass(frozen=True)
class Spread:
    """A variance between buckets: its estimate, and the information in that (1 / its own variance)."""

    value: float
    information: float


#: Before anything is known of an agent's users: relative to a rate, and of a mean rank.
OF_RATES: Final = Spread(1.0, 2.0)
OF_RANKS: Final = Spread(0.01, 4.0 / 0.01**2)
#: Excess kurtosis that is assumed of users' rates, and of their mean ranks.
KURTOSIS_OF_RATES: Final = 10.0
KURTOSIS_OF_RANKS: Final = 3.0


def of_rates(events: Sequence[int], tasks: Sequence[int]) -> Spread:
    """The variance of the buckets' rates relative to their mean, by moments.

    tau^2 = sum((k - e)^2 - u) / sum e^2 with e = n p and u = e (1 - n / N). The second term of its noise, kappa tau^4 / n_eff, is what a
    variance from a few skewed clusters lacks: the counterpart of the corrections of Bell and McCaffrey (2002) and Pustejovsky and
    Tipton (2018).
    """
    n, squares, cubes, fourths = _powers(tuple(tasks))
    happened = sum(events)
    if not (happened and n):  # nobody has told yet: that is no proof that users are alike
        return Spread(0.0, 1e-9)
    # Whole numbers up to the divisions, so that nothing is lost where large sums cancel.
    by_chance = happened * (n * n - squares)
    excess = n * n * sum(map(mul, events, events)) - 2 * happened * n * sum(map(mul, events, tasks))
    value = (excess + happened**2 * squares - by_chance) / (happened**2 * squares)
    around = squares * n * n - 2 * cubes * n + fourths
    noise = (2 * happened * around + n * n * (n * n - squares)) / (happened**3 * squares**2)
    noise += KURTOSIS_OF_RATES * max(value, 0.0) ** 2 * fourths / squares**2
    return Spread(value, 1 / max(noise, 1e-12))


def of_ranks(residuals: Sequence[float], chance: float, tasks: Sequence[int]) -> Spread:
    """The variance of the buckets' mean ranks.

    Args:
        residuals: per bucket the sum of its ranks, less the mean rank.
        chance: the sum of the squares that ranks alone would make.
        tasks: with a value, per bucket.
    """
    _, of_tasks, _, fourths = _powers(tuple(tasks))
    squares = max(of_tasks, 1e-9)
    value = (sum([r * r for r in residuals]) - chance) / squares
    fourth = fourths / squares**2
    noise = 2 * chance**2 * concentration(tasks) / squares**2
    noise += KURTOSIS_OF_RANKS * max(value, 0.0) ** 2 * fourth
    return Spread(value, 1 / max(noise, 1e-15))


def together(one: Spread, other: Spread) -> Spread:
    """Two estimates of one variance as one."""
    total = one.information + other.information
    value = (one.information * one.value + other.information * other.value) / total
    return Spread(max(value, 0.0), total)


def upper(seen: Spread, prior: Spread, widened: float = WIDENED) -> float:
    """The variance to reckon with: shrunk to what was known before, and widened by so many standard errors."""
    total = seen.information + prior.information
    value = (seen.information * seen.value + prior.information * prior.value) / total
    return max(value, 0.0) + widened / math.sqrt(total)


def concentration(tasks: Sequence[int]) -> float:
    """1 / the effective number of buckets: a bucket with most of the tasks counts as most of them."""
    total, squares, _, _ = _powers(tuple(tasks))
    return squares / (total * total) if total else 1.0


def sum_of_squares(tasks: Sequence[int]) -> int:
    """Of the tasks of each bucket."""
    return _powers(tuple(tasks))[1]


@lru_cache(maxsize=64)
def _powers(tasks: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The sums of the tasks of each bucket, and of their second, third and fourth powers: a look asks for them often."""
    second = list(map(mul, tasks, tasks))
    third, fourth = sum(map(mul, second, tasks)), sum(map(mul, second, second))
    return sum(tasks), sum(second), third, fourth
