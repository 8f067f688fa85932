"""Values of the canary beside stable's, by rank in bins 10 % apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

BIN: Final = math.log(1.1)
Bins = dict[int, int]


def bin_of(value: int) -> int:
    """The bin of a positive value: each is 10 % wider than the one before."""
    return int(math.log(value) / BIN)


@lru_cache(maxsize=16)
def bins_for(tolerance_percent: int) -> int:
    """How many bins a tolerance is, rounded up."""
    return math.ceil(math.log1p(tolerance_percent / 100) / BIN - 1e-9)


@dataclass(frozen=True)
class Scores:
    """What one cohort says of values.

    ``moved``: for each number of bins by which the canary's were made smaller, its centred rank sum S and the
    variance V of that where labels are exchanged. ``residuals``: per bucket of stable the sum of its
    ranks less their mean, for the first number of bins; ``chance`` their squares where users are alike.
    """

    moved: tuple[tuple[float, float], ...]
    residuals: Mapping[int, float]
    chance: float


def scores(
    canary: Mapping[int, int], stable: Mapping[tuple[int, int], int], moves: Sequence[int]
) -> Scores | None:
    """Mid-ranks of the pooled values, of van Elteren's test (1960); None where an arm has no value.

    Args:
        canary: count by bin.
        stable: count by (bucket, bin).
        moves: by how many bins the canary's are made smaller.
    """
    if not canary or not stable:
        return None
    theirs: dict[int, int] = {}
    for (_, place), count in stable.items():
        theirs[place] = theirs.get(place, 0) + count
    ranked = [_ranked(canary, theirs, move) for move in moves]
    moved = tuple((score, variance) for score, variance, _, _ in ranked)
    _, _, square, rank = ranked[0]
    return Scores(moved, *_residuals(stable, theirs, rank, square))


def _ranked(
    canary: Mapping[int, int], theirs: Mapping[int, int], move: int
) -> tuple[float, float, float, dict[int, float]]:
    """S, V, the variance of a rank, and the centred rank of each bin."""
    ours: dict[int, int] = {}
    for place, count in canary.items():
        moved = max(place - move, 0)
        ours[moved] = ours.get(moved, 0) + count
    n_ours, n_theirs = sum(ours.values()), sum(theirs.values())
    n = n_ours + n_theirs
    rank: dict[int, float] = {}
    below, square = 0, 0.0
    for place in sorted(ours.keys() | theirs.keys()):
        count = ours.get(place, 0) + theirs.get(place, 0)
        rank[place] = (below + count / 2) / n - 0.5
        square += count * rank[place] ** 2 / n
        below += count
    score = sum(count * rank[place] for place, count in ours.items())
    variance = n_ours * n_theirs * square / (n - 1)
    return (score, variance, square, rank) if variance else (0.0, 0.0, square, rank)


def _residuals(
    stable: Mapping[tuple[int, int], int],
    theirs: Mapping[int, int],
    rank: Mapping[int, float],
    square: float,
) -> tuple[dict[int, float], float]:
    n = sum(theirs.values())
    mean = sum(count * rank[place] for place, count in theirs.items()) / n
    residuals: dict[int, float] = {}
    per_bucket: dict[int, int] = {}
    for (bucket, place), count in stable.items():
        residuals[bucket] = residuals.get(bucket, 0.0) + count * (rank[place] - mean)
        per_bucket[bucket] = per_bucket.get(bucket, 0) + count
    chance = sum(count * square * (1 - count / n) for count in per_bucket.values())
    return residuals, chance
