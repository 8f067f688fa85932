"""Users who never had the canary: how much worse all users may fare than those who had it.

Tasks tell of the users who had it. Of the others nothing is known but how unlike users are: buckets whose rates are
Gamma-distributed with a relative variance of tau^2 have parts of all events of which the seen ones' is Beta(s W, s (1 - W)), where W is
their part of all tasks and s = 1 / (W (1 - W) tau^2 (c_seen + c_unseen)), with c the concentration of each side; of n equal
buckets s is n / tau^2. That their part of the events is at most x has then a chance of at most e^(-s KL(W, x)): Chernoff's bound of two
Gammas, at its best lambda.
"""

import math
from typing import Final, NamedTuple

from penstock.analysis.comparison import judge, spread
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.judge import Bounds

#: A shift of ln(value) moves the mean rank of log-normal values, whose logs deviate by 1, by 1 / (2 sqrt(pi)) of itself.
_OF_LOGS: Final = 4 * math.pi
#: Standard errors that the spread is widened by: what is let past here reaches everybody.
_WIDENED: Final = 2.0
_HALVINGS: Final = 40


class Unseen(NamedTuple):
    """What the tasks of the users who had the canary leave open.

    ``part``: of all tasks, those of users who never had it. ``at_least``: the mean or rate of those who had it, in that
    of all users; it is lower with a chance of at most what was asked.
    """

    part: float = 0.0
    at_least: float = 1.0


NOBODY: Final = Unseen()


def of_ratio(seen: Compared, at: int, bounds: Bounds, size: float, chance: float) -> Unseen:
    """Of one kind of events, if all users have a rate of ``size``: the larger spread of both arms counts.

    Nobody fails in more than all of his tasks, so that the others have at least size - part of the events.
    """
    before = bounds.users[at] if bounds.users else spread.OF_RATES
    whole = seen.evidence.whole
    ours = spread.of_rates(whole.ratios[at].canary, whole.canary)
    each = (ours, judge.users_spread(seen, at))
    between = max(spread.upper(one, before, _WIDENED) for one in each)
    return _unseen(seen, between, chance, at_most=1 / size)


def of_value(seen: Compared, at: int, chance: float) -> Unseen:
    """Of one kind of values: how unlike their means are is concluded from stable's ranks."""
    ranks = spread.upper(judge.ranks_spread(seen, at), spread.OF_RANKS, _WIDENED)
    return _unseen(seen, math.expm1(_OF_LOGS * ranks), chance)


def _unseen(seen: Compared, between: float, chance: float, at_most: float = math.inf) -> Unseen:
    """``at_most``: how much worse than all users the unseen ones may be at all."""
    whole = seen.evidence.whole
    both = list(zip(whole.canary, whole.stable, strict=True))
    had, never = [n + m for n, m in both if n], [m for n, m in both if not n]
    others = sum(never)
    if not others or not had:
        return NOBODY
    part = others / (sum(had) + others)
    unlike = between * (spread.concentration(had) + spread.concentration(never))
    size = 1 / (part * (1 - part) * unlike)
    events = max(_least(1 - part, math.log(1 / chance) / size), 1 - part * at_most)
    return Unseen(part, events / (1 - part))


def _least(expected: float, divergence: float) -> float:
    """The x below ``expected`` with KL(expected, x) = ``divergence``."""
    low, high = 0.0, expected
    for _ in range(_HALVINGS):
        x = (low + high) / 2
        low, high = (low, x) if _divergence(expected, x) < divergence else (x, high)
    return low


def _divergence(p: float, q: float) -> float:
    """KL(p, q) of two chances."""
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
