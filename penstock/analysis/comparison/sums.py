"""The sums that the comparison is made of: whole numbers that add, in memory as in status.

What is no whole number is kept in units of 1 / ONE, rounded once for each cohort: so sums of the
same rows are equal to the last digit, in whatever order they were added.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator
from operator import add, sub
from typing import Any, Final, NamedTuple, TypeVar

from penstock.analysis.comparison.evalues import GRID, STAKES_ABOVE, STAKES_BELOW
from penstock.traffic import BUCKETS

ONE: Final = 1 << 20
#: What is expected of each bucket is kept in 1 / PART: there are many of them.
PART: Final = 1 << 10
#: What is counted of a task's end: an event, or a value. In the order of RATIOS and VALUES.
RATIOS: Final = ("errorRate", "escalationRate")
VALUES: Final = ("latency", "cost")
#: Evidence since the start, the first, second and third raise, and the last return or later raise.
SLOTS: Final = 5
LATEST: Final = SLOTS - 1
#: Bins of 10 % by which the canary's values are made smaller to ask what is ruled out: +77, +61, +33 %.
MARGINS: Final = (6, 5, 3)

Counts = tuple[int, ...]
_NO_BUCKETS: Final = (0,) * BUCKETS


class RatioSince(NamedTuple):
    """Events of one kind since a moment.

    ``tasks`` and ``events`` are the canary's, ``labelled`` those of them in whose cohort both arms
    had tasks. ``exposure`` is A(rho), in 1 / ONE.
    """

    tasks: int = 0
    events: int = 0
    labelled: int = 0
    exposure: Counts = (0,) * len(GRID)


class ValueSince(NamedTuple):
    """Values of one kind since a moment, all in 1 / ONE.

    ``score`` and ``variance``: the canary's centred rank sum. ``above``, ``below``: logs of the
    bets on its mean, one for each stake.
    """

    score: int = 0
    variance: int = 0
    above: Counts = (0,) * len(STAKES_ABOVE)
    below: Counts = (0,) * len(STAKES_BELOW)


class Since(NamedTuple):
    """All that was seen since a moment."""

    ratios: tuple[RatioSince, RatioSince] = (RatioSince(), RatioSince())
    values: tuple[ValueSince, ValueSince] = (ValueSince(), ValueSince())


class RatioWhole(NamedTuple):
    """Events of one kind over the whole rollout.

    ``canary`` and ``stable`` by bucket; ``labelled`` those of both arms in whose cohort both had tasks, ``expected`` of
    them the canary's if it does no harm (1 / ONE). ``excess`` over ``weight`` is the difference of
    the rates inside of the cohorts (Mantel and Haenszel 1959), both in 1 / ONE. ``of_canary`` and ``of_stable``: what each bucket would
    have of the events of its cohorts if all tasks in them were alike (1 / PART).
    """

    labelled: int = 0
    expected: int = 0
    excess: int = 0
    weight: int = 0
    canary: Counts = _NO_BUCKETS
    stable: Counts = _NO_BUCKETS
    of_canary: Counts = _NO_BUCKETS
    of_stable: Counts = _NO_BUCKETS


class ValueWhole(NamedTuple):
    """Values of one kind over the whole rollout, in 1 / ONE.

    ``margins``: score and variance for each of MARGINS. ``residuals``: of stable's ranks, by bucket;
    ``chance`` the sum of squares that these would have if users were alike. ``canary``: its centred ranks, by bucket.
    """

    margins: Counts = (0,) * (2 * len(MARGINS))
    chance: int = 0
    residuals: Counts = _NO_BUCKETS
    canary: Counts = _NO_BUCKETS


class Whole(NamedTuple):
    """All that is asked of the whole rollout: tasks by bucket of each arm, and what became of them."""

    canary: Counts = _NO_BUCKETS
    stable: Counts = _NO_BUCKETS
    ratios: tuple[RatioWhole, RatioWhole] = (RatioWhole(), RatioWhole())
    values: tuple[ValueWhole, ValueWhole] = (ValueWhole(), ValueWhole())


class Evidence(NamedTuple):
    """Sums of disjoint tasks add: ``plus``. ``since`` has one for each slot."""

    since: tuple[Since, ...] = (Since(),) * SLOTS
    whole: Whole = Whole()


NONE: Final = Evidence()
_Nested = TypeVar("_Nested", bound=tuple[Any, ...])


def plus(one: _Nested, other: _Nested) -> _Nested:
    """The sums of the tasks of both; counts that the other one adds nothing to are kept as they are."""
    parts: list[Any] = []
    for a, b in zip(one, other, strict=True):
        if isinstance(a, int):
            parts.append(a + b)
        elif isinstance(a[-1], int):
            parts.append(tuple(map(add, a, b)) if any(b) else a)
        else:
            parts.append(plus(a, b))
    return _like(one, parts)


def moved(total: _Nested, before: _Nested, after: _Nested) -> _Nested:
    """The sums of which a part was one, once it is another; what is the same object in both is not looked into."""
    parts: list[Any] = []
    for whole, old, new in zip(total, before, after, strict=True):
        if old is new:
            parts.append(whole)
        elif isinstance(new, int):
            parts.append(whole + new - old)
        elif isinstance(new[-1], int):
            parts.append(whole if old == new else tuple(map(add, whole, map(sub, new, old))))
        else:
            parts.append(moved(whole, old, new))
    return _like(total, parts)


def _like(shape: _Nested, parts: Iterable[Any]) -> _Nested:
    """A tuple of the same kind."""
    return tuple.__new__(type(shape), parts)


# ---------------------------------------------------------------------------------- as status keeps them

_LAYOUT: Final = "2"
_LAYOUT_BEFORE: Final = "1"
#: As the definition of AgentRollout has it.
MOST_CHARACTERS: Final = 12_000
_ONE_BYTE: Final = 64


def encode(evidence: Evidence) -> str:
    """The sums as printable characters, 2,500 to 7,000 of ten to a hundred thousand tasks, 10,700 of a thousand million; empty where there are none."""
    if evidence == NONE:
        return ""
    raw = bytearray()
    for number in _flat(evidence):
        if 0 <= number < _ONE_BYTE:  # as nearly all are
            raw.append(number << 1)
        else:
            _put(raw, number)
    return _LAYOUT + base64.b85encode(zlib.compress(bytes(raw), 9)).decode()


def decode(text: str) -> Evidence:
    """The sums of ``encode``; none where they are of a layout that this version does not know."""
    layout, kept = text[:1], text[1:]
    if layout not in (_LAYOUT, _LAYOUT_BEFORE):
        return NONE
    try:
        numbers = _numbers(zlib.decompress(base64.b85decode(kept)))
        return _filled(NONE, numbers if layout == _LAYOUT else _filled_up(numbers))
    except (ValueError, binascii.Error, zlib.error, StopIteration, RuntimeError):
        return NONE


def _flat(nested: tuple[Any, ...]) -> list[int]:
    flat: list[int] = []
    for part in nested:
        if isinstance(part, int):
            flat.append(part)
        elif isinstance(part[-1], int) and isinstance(part[0], int):
            flat.extend(part)
        else:
            flat += _flat(part)
    return flat


def _filled(shape: _Nested, numbers: Iterator[int]) -> _Nested:
    parts = [next(numbers) if isinstance(part, int) else _filled(part, numbers) for part in shape]
    return _like(shape, parts)


def _filled_up(numbers: Iterator[int]) -> Iterator[int]:
    """The numbers of the layout before: it had nothing by bucket of what is expected, nor of the canary's ranks."""
    before = list(numbers)
    of_value = 2 * len(MARGINS) + 1 + BUCKETS
    of_ratio = 4 + 2 * BUCKETS
    ends = [len(before) - len(VALUES) * of_value - n * of_ratio for n in (2, 1, 0)]
    yield from before[: ends[0]]
    for at in ends[:-1]:
        yield from (*before[at : at + of_ratio], *_NO_BUCKETS, *_NO_BUCKETS)
    for at in range(ends[-1], len(before), of_value):
        yield from (*before[at : at + of_value], *_NO_BUCKETS)


def _put(raw: bytearray, number: int) -> None:
    """Seven bits to a byte, the lowest first; the sign is the lowest bit."""
    left = number << 1 if number >= 0 else (-number << 1) - 1
    while left >= 0x80:
        raw.append(left & 0x7F | 0x80)
        left >>= 7
    raw.append(left)


def _numbers(raw: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield (number >> 1) if not number & 1 else -((number + 1) >> 1)
            number = shift = 0
