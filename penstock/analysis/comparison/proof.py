"""What must be proven before more users are given to the canary.

Two questions. Would the next share add more harm than it may? And does the canary break one of its limits by so much
that it must never have everybody? The second is asked before more than half of the users, and again of the tasks since the last raise
before the end; no waiting replaces it. By Ville's inequality a canary at such a size gets past it
with a chance of at most LETS_PAST. Before the end that holds for all users, also for those who never had the canary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from penstock.analysis.comparison import evalues, judge, unseen
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.sums import LATEST, ONE, RATIOS, SLOTS, VALUES
from penstock.analysis.comparison.unseen import Unseen
from penstock.analysis.comparison.yardsticks import SIZES

#: Chance that a canary that breaks a limit by its size gets past a proof.
LETS_PAST: Final = 0.025
#: What is ruled out of the next share, at any time, with 1 - this.
UNCERTAIN: Final = 0.05
#: Before more than half of the users the next share may add so much less.
LAST_PART: Final = 0.85
#: By time alone, before more than half of the users, the estimate may be half of it.
LAST_LIKELY: Final = 0.5
HALF: Final = 0.5
#: Sizes of the rates, in limits: 8 of 5 %, 25 of 20 %.
RATE_SIZES: Final = (1.6, 1.25)


@dataclass(frozen=True)
class Unproven:
    """A limit that is not yet proven to be kept.

    ``size``: what is to be ruled out, a rate or a mean in limits. ``seen``: the rate so far, open tasks counted as events;
    None for a mean. ``missing``: about how many more tasks of the canary would prove it, as it goes on; None where
    it would not prove it at all. ``tasks``: those there are. ``unseen``: where more tasks of the users who had the canary do not prove it, and would
    if they were all users, the part of all tasks that the others make.
    """

    name: str
    size: float
    tasks: int
    missing: int | None
    seen: float | None = None
    unseen: float | None = None


@dataclass(frozen=True)
class Gap:
    """What is not ruled out of the next share.

    ``adds``: harmful events per task of all users that it could add at most, and ``may`` how many it may; None for a value,
    which could be higher by ``percent``.
    """

    name: str
    share: float
    adds: float | None = None
    may: float | None = None
    percent: int | None = None


@dataclass(frozen=True)
class Outlook:
    """The next share: ``gaps`` say what is not ruled out; ``likely``: the estimate says that it does no harm."""

    gaps: tuple[Gap, ...]
    likely: bool


def unproven(seen: Compared, bounds: Bounds, *, final: int = 0) -> tuple[Unproven, ...]:
    """The limits that are not proven to be kept.

    Args:
        final: the how many-th proof before promotion it is: of the tasks since the last raise, not of all, and for all users, also for
            those who never had the canary. Half of the chance is then for tasks that mislead, and half for users. 0: the proof before
            more than half of the users.
    """
    asked = _since_the_last_raise(seen, final) if final else _since_the_start(seen, bounds.restarts)
    found = [_rate(seen, at, bounds, asked) for at in range(len(RATIOS))]
    found += [_mean(seen, at, asked) for at in range(len(VALUES)) if bounds.limited[at]]
    return tuple(one for one in found if one is not None and one.name not in bounds.silent)


class _Asked(NamedTuple):
    """Which tasks are to prove it, with which weights, and how often they may mislead; ``for_all``: of all users."""

    slots: Sequence[int] = (0,)
    weights: Sequence[float] = (1.0,)
    chance: float = LETS_PAST
    for_all: bool = False


_ALL_TASKS: Final = _Asked()


def _since_the_start(seen: Compared, restarts: int) -> _Asked:
    """After an incident half of the weight is on what came since, however often that was begun."""
    if not seen.since[LATEST]:
        return _ALL_TASKS
    return _Asked((0, LATEST), (0.5, 0.5 * evalues.part_of_try(restarts)))


def _since_the_last_raise(seen: Compared, final: int) -> _Asked:
    """No task from before the last raise: those who fail may have come with it.

    A canary that comes back to its last share proves it anew, from no task. So that it does not get past by trying, all of its
    proofs together have the chance once.
    """
    newest = max(range(SLOTS), key=lambda slot: seen.since[slot])
    return _Asked((newest,), chance=LETS_PAST * evalues.part_of_try(final), for_all=True)


def _rate(seen: Compared, at: int, bounds: Bounds, asked: _Asked) -> Unproven | None:
    limit, others = bounds.limits[at], unseen.NOBODY
    if asked.for_all:
        others = unseen.of_ratio(seen, at, bounds, limit * RATE_SIZES[at], LETS_PAST / 2)
    counts = [seen.at_most[at][slot] for slot in asked.slots]
    return _of_counts(at, counts, limit, asked, others)


def unproven_rates(
    counts: Sequence[tuple[int, int]], limits: Sequence[float]
) -> tuple[Unproven, ...]:
    """The same of the rates, where no other version has tasks and nothing but these counts is kept.

    Args:
        counts: events and tasks of the canary since it began, for each of RATIOS.
        limits: as rates, for each of RATIOS.
    """
    found = [_of_counts(at, [counts[at]], limits[at]) for at in range(len(RATIOS))]
    return tuple(one for one in found if one is not None)


def _of_counts(
    at: int, counts: Sequence[tuple[int, int]], limit: float,
    asked: _Asked = _ALL_TASKS, others: Unseen = unseen.NOBODY,
) -> Unproven | None:  # fmt: skip
    size = limit * RATE_SIZES[at]
    if size >= 1:
        return None  # no rate is as high

    def evidence(times: float, at_least: float) -> float:
        return sum(
            weight * evalues.of_limit(events * times, tasks * times, size * at_least, evalues.BELOW)
            for weight, (events, tasks) in zip(asked.weights, counts, strict=True)
        )

    events, tasks = counts[0]
    one = Unproven(RATIOS[at], size, tasks, None, events / tasks if tasks else 0.0)
    return _found(one, evidence, asked.chance, others)


def _mean(seen: Compared, at: int, asked: _Asked) -> Unproven | None:
    """Bets on a mean below m gain at most ln(1 + stake (1 - r)) from a task whose mean is r m."""
    others = unseen.of_value(seen, at, LETS_PAST / 2) if asked.for_all else unseen.NOBODY
    since = [seen.evidence.since[slot] for slot in asked.slots]
    bets = [([log / ONE for log in s.values[at].below], s.ratios[0].tasks) for s in since]

    def evidence(times: float, at_least: float) -> float:
        gains = [math.log1p(stake * (1 - at_least)) for stake in evalues.STAKES_BELOW]
        return sum(
            weight
            * evalues.of_bets(
                [(log - n * gain) * times for log, gain in zip(logs, gains, strict=True)]
            )
            for weight, (logs, n) in zip(asked.weights, bets, strict=True)
        )

    return _found(Unproven(VALUES[at], SIZES[at], bets[0][1], None), evidence, asked.chance, others)


def _found(
    one: Unproven, evidence: Callable[[float, float], float], chance: float, others: Unseen
) -> Unproven | None:
    """What is missing of a proof; None where nothing is.

    Args:
        evidence: of so many times as many tasks, if those who had the canary have so much of all users' rate at the least.
        chance: that tasks mislead, half of it where others never had the canary.
    """
    enough = (2 if others.part else 1) / chance

    def missing(at_least: float) -> int | None:
        return _missing(lambda times: evidence(times, at_least), one.tasks, enough)

    more = missing(others.at_least) if others.at_least > 0 else None
    if more == 0:
        return None
    by_users = more is None and others.part and missing(1.0) is not None
    return replace(one, missing=more, unseen=others.part if by_users else None)


def _missing(evidence: Callable[[float], float], tasks: int, enough: float) -> int | None:
    """About how many more tasks like those so far prove it: 0 where they do; None: not even 1,000 times as many."""
    times = 1.0
    if evidence(1.0) >= enough:
        return 0
    while times < 1000:
        times *= 1.1
        if evidence(times) >= enough:
            return max(1, math.ceil(tasks * (times - 1)))
    return None


# ------------------------------------------------------------------------------------- next share


def outlook(
    seen: Compared, bounds: Bounds, may_add: Sequence[float], share: float, step: int
) -> Outlook:
    """Whether the next share is harmless.

    Args:
        may_add: events per task of all users, for each of RATIOS.
        share: the next one, 0 to 1.
        step: how many raises there were.
    """
    last = share > HALF
    gaps, likely = [], True
    for at, may in enumerate(may_add):
        if RATIOS[at] in bounds.silent:
            continue
        allowed = may * (LAST_PART if last else 1.0)
        most, estimate, tasks = _difference(seen, at, bounds)
        likely &= share * estimate <= may * (LAST_LIKELY if last else 1.0)
        if not tasks or share * most > allowed:
            gaps.append(Gap(RATIOS[at], share, share * most, allowed))
    for at, name in enumerate(VALUES):
        if name in bounds.silent or not has_values(seen, at):
            continue
        score = seen.evidence.whole.values[at].margins[2 * min(step, 2)]
        likely &= score <= 0
        if not judge.is_ruled_out(seen, at, step, UNCERTAIN):
            gaps.append(Gap(name, share, percent=judge.margin_percent(step)))
    return Outlook(tuple(gaps), likely)


def has_values(seen: Compared, at: int) -> bool:
    """Whether both arms have values; a cost that nobody knows is not waited for."""
    return seen.evidence.since[0].values[at].variance > 0


def _unended(seen: Compared, at: int) -> float:
    """By how much more of the canary's tasks than of stable's are open or have had an event, after a minute or more.

    Where events come late, those of a bad canary are open tasks long before the first one is known.
    """
    ours, n_ours, theirs, n_theirs = seen.unended[at]
    return ours / n_ours - theirs / n_theirs if n_ours and n_theirs else 0.0


def _difference(seen: Compared, at: int, bounds: Bounds) -> tuple[float, float, int]:
    """The difference of the rates: at most, as estimated less what unlike users alone may do, and of how many tasks.

    The variance has the binomial part of both arms and the part of unlike users.
    """
    whole = seen.evidence.whole
    of_ratio = whole.ratios[at]
    ours, theirs = sum(of_ratio.canary), sum(of_ratio.stable)
    n_ours, n_theirs = sum(whole.canary), sum(whole.stable)
    difference = of_ratio.excess / max(of_ratio.weight, 1)
    if at:  # what is late: tasks that are still open count as events
        upper, of = seen.at_most[at][0]
        ours, n_ours = max(ours, upper), max(n_ours, of)
        difference = max(difference, ours / max(n_ours, 1) - theirs / max(n_theirs, 1))
        difference = max(difference, _unended(seen, at))
    p, q = min((ours + 1) / (n_ours + 2), 1.0), min((theirs + 1) / (n_theirs + 2), 1.0)
    chance = p * (1 - p) / max(n_ours, 0.5) + q * (1 - q) / max(n_theirs, 0.5)
    innate = judge.innate_variance(seen, at, bounds)
    variance = chance + q * q * innate
    time = of_ratio.weight / ONE * chance / variance
    most = difference + evalues.half_width(math.sqrt(variance), time, UNCERTAIN)
    return most, difference - min(p, q) * math.sqrt(innate), n_ours
