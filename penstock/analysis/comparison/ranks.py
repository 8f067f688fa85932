"""Values of the canary beside stable's, by rank in bins 10 % apart."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

BIN: Final = math.log(1.1)
Bins = dict[int, int]


def bin_of(value: int) -> int:
    """The bin of a positive value: each is 10 % wider than the one before."""
    return int(math.log(value) / BIN)


@lru_cache(maxsize=16)
def bins_for(tolerance_percent: int) -> int:
    """How many bins a tolerance is, rounded up."""
    return math.ceil(math.log1p(tolerance_percent / 100) / BIN - 1e-9)


class Score(NamedTuple):
    """What one cohort says of values: the canary's centred rank sum S, and its variance V where labels are exchanged.

    ``square``: the variance of one rank; ``rank`` of each bin.
    """

    total: float
    variance: float
    square: float
    rank: Mapping[int, float]


def score(canary: Mapping[int, int], stable: Mapping[int, int], move: int) -> Score:
    """Mid-ranks of the pooled values, of van Elteren's test (1960).

    Args:
        canary: count by bin, and those of stable, which are not empty.
        move: by how many bins the canary's are made smaller.
    """
    ours: dict[int, int] = {}
    both = dict(stable)
    for place, count in canary.items():
        moved = place - move if place > move else 0
        ours[moved] = ours.get(moved, 0) + count
        both[moved] = both.get(moved, 0) + count
    n_ours, n_stable = sum(ours.values()), sum(stable.values())
    n = n_ours + n_stable
    rank: dict[int, float] = {}
    below, square = 0, 0.0
    for place in sorted(both):
        count = both[place]
        here = rank[place] = (below + count / 2) / n - 0.5
        square += count * here**2 / n
        below += count
    variance = n_ours * n_stable * square / (n - 1) if n_ours else 0.0
    total = sum([count * rank[place] for place, count in ours.items()]) if variance else 0.0
    return Score(total, variance, square, rank)


def residuals(stable: Mapping[tuple[int, int], int], seen: Score) -> tuple[dict[int, float], float]:
    """Per bucket of stable the sum of its ranks less their mean; and their squares where users are alike.

    Args:
        stable: count by (bucket, bin).
    """
    n = sum(stable.values())
    mean = sum(count * seen.rank[place] for (_, place), count in stable.items()) / n
    found: dict[int, float] = {}
    per_bucket: dict[int, int] = {}
    for (bucket, place), count in stable.items():
        found[bucket] = found.get(bucket, 0.0) + count * (seen.rank[place] - mean)
        per_bucket[bucket] = per_bucket.get(bucket, 0) + count
    return found, sum(count * seen.square * (1 - count / n) for count in per_bucket.values())


def of_canary(canary: Mapping[tuple[int, int], int], seen: Score, move: int) -> dict[int, float]:
    """Per bucket of the canary the sum of its centred ranks, with its values made as much smaller as for the score.

    Args:
        canary: count by (bucket, bin).
        move: as ``score`` had it.
    """
    found: dict[int, float] = {}
    for (bucket, place), count in canary.items():
        found[bucket] = found.get(bucket, 0.0) + count * seen.rank[max(place - move, 0)]
    return found
