"""Evidence as numbers that may be looked at as often as one likes.

An e-value is a number whose mean is at most 1 where the hypothesis holds. One that grows with the
data stays below 1/alpha for ever with a chance of at least 1 - alpha (Ville 1939), whenever it is
looked at; weighted sums of e-values are e-values (Vovk and Wang, Annals of Statistics 2021).
All logarithms are natural.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

#: ln(rate ratio) from 1/16 to 32 in quarter octaves; events are weighed at these.
STEP: Final = math.log(2) / 4
GRID: Final = tuple(i * STEP for i in range(-16, 21))
#: rho - 1 at each of them.
EXCESS: Final = tuple(math.expm1(x) for x in GRID)
#: Four times as fine: over these the null is integrated.
FINE: Final = tuple(i * STEP / 4 for i in range(-64, 81))
#: Rate ratios that count as harm (places in the grid: 1.4, 2, 2.8, 4, 5.7, 8, 16 and 27 times), with their weights.
HARM: Final[Mapping[int, float]] = {
    18: 0.08,
    20: 0.18,
    22: 0.20,
    24: 0.20,
    26: 0.12,
    28: 0.10,
    32: 0.07,
    35: 0.05,
}
_LOG_HARM: Final = tuple((place, math.log(weight)) for place, weight in HARM.items())
#: Rank effects that count as harm, with their weights: 12 x the distance of the mean rank from 1/2.
TILTS: Final[Mapping[float, float]] = {0.6: 0.20, 1.2: 0.35, 2.4: 0.30, 3.6: 0.15}
#: Alternatives over a limit, in limits, with their weights.
ABOVE: Final[Mapping[float, float]] = {1.25: 0.3, 1.6: 0.3, 2.5: 0.2, 5.0: 0.1, 10.0: 0.1}
#: Alternatives within a limit.
BELOW: Final[Mapping[float, float]] = {0.1: 0.2, 0.25: 0.3, 0.5: 0.35, 0.75: 0.15}
#: Stakes on "the mean is above the limit", values cut at MOST_ABOVE limits, and on "below" it.
STAKES_ABOVE: Final = (0.05, 0.1, 0.2, 0.4)
MOST_ABOVE: Final = 6.0
STAKES_BELOW: Final = (0.01, 0.03, 0.06, 0.085)
MOST_BELOW: Final = 12.0
#: No e-value is told beyond e^60.
MOST_LOG: Final = 60.0
_SMALLEST_VARIANCE: Final = 1e-4
_MOST_RATE: Final = 0.97
_NEGLIGIBLE: Final = -45.0


def log_sum(terms: Sequence[float]) -> float:
    """ln of the sum of exp of the terms."""
    top = max(terms)
    return top + math.log(sum([math.exp(term - top) for term in terms]))


def part_of_try(number: int) -> float:
    """What the nth of any number of tries has of a weight or a chance, so that all together have it once; the whole where there is none yet."""
    return 1 / (number * (number + 1)) if number else 1.0


def _cubic(x: float) -> tuple[int, tuple[float, float, float, float]]:
    """The first of the four grid points around x, and their weights (Lagrange)."""
    first = min(max(math.floor((x - GRID[0]) / STEP + 1e-9) - 1, 0), len(GRID) - 4)
    nodes = GRID[first : first + 4]
    weights = tuple(
        math.prod((x - other) / (node - other) for other in nodes if other != node)
        for node in nodes
    )
    return first, (weights[0], weights[1], weights[2], weights[3])


#: Of each place in FINE its x, the first of the four grid points around it, and their weights.
_CUBIC: Final = tuple((x, first, *weights) for x in FINE for first, weights in (_cubic(x),))
#: ln of a Gamma's density of shape 1 and mean 1, in ln of the ratio, at each place in FINE.
_DENSITY: Final = tuple(x - math.exp(x) + 1 for x in FINE)

#: (place in FINE, ln of its weight), where it has any.
Null = tuple[tuple[int, float], ...]


@lru_cache(maxsize=64)
def innate(variance: float) -> Null:
    """How much more often other users fail by nature: a Gamma of mean 1, in ln of the ratio."""
    shape = 1 / max(variance, _SMALLEST_VARIANCE)
    raw = [(j, w) for j, density in enumerate(_DENSITY) if (w := shape * density) > _NEGLIGIBLE]
    total = log_sum([weight for _, weight in raw])
    return tuple((j, weight - total) for j, weight in raw)


def log_of_harm(canary_events: float, exposure: Sequence[float] | Mapping[int, float]) -> float:
    """ln of what the evidence of labels is at most: the mean likelihood of the ratios that count as harm.

    Args:
        exposure: as ``of_labels`` has it; only its places in HARM are asked for.
    """
    return log_sum([canary_events * GRID[g] - exposure[g] + log for g, log in _LOG_HARM])


def of_labels(canary_events: float, exposure: Sequence[float], null: Null) -> float:
    """Given that an event happened, whose was it? Evidence that it is the canary's too often.

    E = sum_g prior_g L(theta_g) / max(1, integral of L(rho) dF(rho)), with
    ln L(rho) = k ln rho - A(rho). At variance 0 it is the conditional test of Lindon and Malek
    (NeurIPS 2022, arXiv:2011.03567); beyond, the null is a mixture (Robbins 1970): a canary whose users fail
    more often by nature, as far as stable's users differ, is no news. The maximum keeps the number valid for
    a ratio of exactly 1 as well.

    Args:
        canary_events: k.
        exposure: A(rho) on GRID: over all events the sum of ln(1 + share (rho - 1)), where ``share`` is
            the canary's of the tasks that were routed with that of the event.
        null: of ``innate``.
    """
    harm = log_of_harm(canary_events, exposure)
    around = _CUBIC[
        null[0][0] : null[-1][0] + 1
    ]  # a Gamma has one peak: no place is left out between
    base = [
        canary_events * x
        - (a * exposure[i] + b * exposure[i + 1] + c * exposure[i + 2] + d * exposure[i + 3])
        + weight
        for (x, i, a, b, c, d), (_, weight) in zip(around, null, strict=True)
    ]
    return math.exp(min(harm - max(log_sum(base), 0.0), MOST_LOG))


def of_ranks(score: float, variance: float, tilt_variance: float) -> float:
    """Evidence that the canary's values rank higher, from the stratified rank sum of van Elteren (1960).

    sum_g prior_g exp(psi S - psi^2 V / 2) / max(1, N(S; 0, V + V^2 d) / N(S; 0, V)): the mixture of Howard et al.
    (Annals of Statistics 2021, arXiv:1810.08240), asymptotic, over the tilt that unlike users make by nature.

    Args:
        score: S, centred mid-ranks of the canary's values, summed over cohorts.
        variance: V, its variance where the labels are exchanged.
        tilt_variance: d.
    """
    harm = [psi * score - 0.5 * psi * psi * variance + math.log(p) for psi, p in TILTS.items()]
    wide = 1 + variance * tilt_variance
    base = -0.5 * math.log(wide) + 0.5 * score * score * tilt_variance / wide
    return math.exp(min(log_sum(harm) - max(base, 0.0), MOST_LOG))


def of_limit(events: float, tasks: float, limit: float, others: Mapping[float, float]) -> float:
    """A mixture of likelihood ratios of other rates against the limit (Wald 1945).

    With ABOVE it is evidence against every rate up to the limit, with BELOW against every rate from it on. An alternative above
    a limit beyond which there is none (97 %) is the limit itself: it tells nothing.
    """
    missed = tasks - events
    terms = [w + events * hit + missed * miss for w, hit, miss in _ratios(limit, *others.items())]
    return math.exp(min(log_sum(terms), MOST_LOG))


@lru_cache(maxsize=64)
def _ratios(limit: float, *others: tuple[float, float]) -> tuple[tuple[float, float, float], ...]:
    """Of each alternative ln of its weight, and what an event and a task without one add."""
    return tuple((math.log(weight), *_ratio(limit, factor)) for factor, weight in others)


def _ratio(limit: float, factor: float) -> tuple[float, float]:
    rate = min(factor * limit, _MOST_RATE)
    if factor > 1 and rate <= limit:
        return 0.0, 0.0
    return math.log(rate / limit), math.log((1 - rate) / (1 - limit))


def of_bets(logs: Sequence[float]) -> float:
    """The mean of the capitals of constant bettors (Waudby-Smith and Ramdas, JRSSB 2024, arXiv:2010.09686).

    Args:
        logs: for each stake the sum of ln(1 + stake (x - m) / m), or (m - x) / m, over the values.
    """
    return math.exp(min(log_sum(logs) - math.log(len(logs)), MOST_LOG))


def log_bets(above: float, below: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What one value adds to the logs of the bets on above and on below, in what each is bet against."""
    up, down = min(above, MOST_ABOVE) - 1, 1 - min(below, MOST_BELOW)
    return (
        tuple([math.log1p(stake * up) for stake in STAKES_ABOVE]),
        tuple([math.log1p(stake * down) for stake in STAKES_BELOW]),
    )


def tail(events: float, tasks: float, rate: float) -> float:
    """P(Bin(n, p) >= k) <= exp(-n KL(k/n, p)) (Chernoff); 1 where k/n is not above p."""
    if tasks <= 0 or events / tasks <= rate:
        return 1.0
    seen = min(events / tasks, 1.0)
    divergence = seen * math.log(seen / rate)
    if seen < 1:
        divergence += (1 - seen) * math.log((1 - seen) / (1 - rate))
    return math.exp(-tasks * divergence)


def half_width(error: float, intrinsic_time: float, alpha: float, best_at: float = 200.0) -> float:
    """How far one side of an asymptotic confidence sequence reaches.

    Waudby-Smith et al. (Annals of Statistics 2024, arXiv:2103.06476), tightest at ``best_at``.

    Args:
        error: standard error of the estimate.
        intrinsic_time: in effective tasks.
        alpha: chance that it is ever missed.
    """
    two = 2 * alpha
    rho2 = (-2 * math.log(two) + math.log(-2 * math.log(two) + 1)) / best_at
    scaled = max(intrinsic_time, 1e-9) * rho2
    return error * math.sqrt(2 * (1 + 1 / scaled) * math.log1p(math.sqrt(scaled + 1) / two))
