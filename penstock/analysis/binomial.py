"""The exact upper tail of the binomial distribution."""

import math
from functools import lru_cache
from itertools import chain
from typing import Final

_MAX_TERMS: Final = 5000
_PRECISION: Final = 1e-14
_TINY: Final = 1e-300


@lru_cache(maxsize=4096)
def tail(events: int, trials: int, rate: float) -> float:
    """The chance of at least ``events`` events in ``trials`` trials, each with chance ``rate``.

    P(X >= k) = I_p(k, n - k + 1), the regularised incomplete beta function
    (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.24).
    """
    if events <= 0:
        return 1.0
    if events > trials:
        return 0.0
    return incomplete_beta(events, trials - events + 1, rate)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for a, b > 0.

    The continued fraction DLMF 8.17.22 converges fast below x = (a + 1) / (a + b + 2); above it
    I_x(a, b) = 1 - I_{1-x}(b, a) (DLMF 8.17.4) is used.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return math.exp(log_front) / a / _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) of DLMF 8.17.22, by the modified Lentz method (DLMF 3.10)."""
    value, c, d = 1.0, 1.0, 0.0
    for term in chain.from_iterable(_coefficients(m, a, b, x) for m in range(_MAX_TERMS)):
        d = 1.0 / _away_from_zero(1.0 + term * d)
        c = _away_from_zero(1.0 + term / c)
        value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return value


def _coefficients(m: int, a: float, b: float, x: float) -> tuple[float, float]:
    """d_{2m+1} and d_{2m+2} of DLMF 8.17.23."""
    odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    n = m + 1
    even = n * (b - n) * x / ((a + 2 * n - 1) * (a + 2 * n))
    return odd, even


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
