"""Whether an expression fits a short text as a whole, without back-tracking: for names of tools.

Workers ask an engine of linear time, which the operator does not have; the standard library's needs
time without bound for expressions that people may write. Here each place of the text is visited
once for each part of the expression.
"""

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

#: Where a part may end that begins at a place of a text.
_Part = Callable[[str, int], frozenset[int]]

_REPEATS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_TOKEN: Final = re.compile(
    r"(?P<open>\((?:\?:|\?P?<[A-Za-z_]\w*>)?(?!\?))|(?P<close>\))|(?P<choice>\|)"
    r"|(?P<repeat>(?:[*+?]|\{(?P<least>\d{1,9})(?P<range>,(?P<most>\d{0,9}))?\})\??)"  # or lazy
    r"|(?P<place>\^|\$)|(?P<one>\[\^?(?:\\.|[^\]\\])+\]|\\[^bBpPukx0-9]|[^\\()\[{])",
    re.ASCII,
)
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
#: What makes a class one of sets, such as ``[[:alpha:]]``: the workers' engine reads it so, and this one warns of it.
_OF_SETS: Final = re.compile(r"\[.*(?:\[|--|&&|~~|\|\|)", re.DOTALL)
_NOWHERE: Final[frozenset[int]] = frozenset()


def fits(pattern: str, text: str) -> bool | None:
    """Whether all of a text fits; None where the expression has something that is not known here."""
    try:
        return len(text) in _parsed(pattern)(text, 0)
    except (ValueError, re.error, RecursionError):
        return None


@dataclass
class _Reading:
    pattern: str
    at: int = 0

    def next(self) -> re.Match[str]:
        found = _TOKEN.match(self.pattern, self.at)
        if found is None:
            raise ValueError(f"nothing known begins at {self.at}")
        self.at = found.end()
        return found

    @property
    def ended(self) -> bool:
        return self.at == len(self.pattern)


def _parsed(pattern: str) -> _Part:
    reading = _Reading(pattern)
    whole = _choices(reading, inner=False)
    if not reading.ended:
        raise ValueError("unbalanced parenthesis")
    return whole


def _choices(reading: _Reading, *, inner: bool) -> _Part:
    """What stands up to the end of a group, or of all."""
    choices: list[list[_Part]] = [[]]
    while not reading.ended:
        found = reading.next()
        match found.lastgroup:
            case "open":
                choices[-1].append(_choices(reading, inner=True))
            case "close" if inner:
                return _any(map(_sequence, choices))
            case "choice":
                choices.append([])
            case "place":
                choices[-1].append(_place(found[0]))
            case "one":
                choices[-1].append(_one(found[0]))
            case "repeat" if choices[-1]:
                choices[-1].append(_repeat(choices[-1].pop(), *_bounds(found)))
            case _:
                raise ValueError(f"{found[0]} has no place here")
    if inner:
        raise ValueError("unterminated group")
    return _any(map(_sequence, choices))


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    if found["least"] is None:
        return _REPEATS[found[0][0]]
    least = int(found["least"])
    if found["range"] is None:
        return least, least
    return least, int(found["most"]) if found["most"] else None


def _one(written: str) -> _Part:
    """A part that is one character."""
    if _OF_SETS.match(_ESCAPED.sub("", written)):
        raise ValueError(f"{written} is a class of sets")
    single = re.compile(written)

    def ends(text: str, at: int) -> frozenset[int]:
        return frozenset({at + 1}) if single.fullmatch(text, at, at + 1) else _NOWHERE

    return ends


def _place(written: str) -> _Part:
    def ends(text: str, at: int) -> frozenset[int]:
        return frozenset({at}) if at == (0 if written == "^" else len(text)) else _NOWHERE

    return ends


def _sequence(parts: list[_Part]) -> _Part:
    @functools.cache
    def ends(text: str, at: int) -> frozenset[int]:
        places = frozenset({at})
        for part in parts:
            places = _from(part, text, places)
        return places

    return ends


def _any(choices: Iterable[_Part]) -> _Part:
    kept = [*choices]

    @functools.cache
    def ends(text: str, at: int) -> frozenset[int]:
        return _NOWHERE.union(*(choice(text, at) for choice in kept))

    return ends


def _repeat(part: _Part, least: int, most: int | None) -> _Part:
    @functools.cache
    def ends(text: str, at: int) -> frozenset[int]:
        places, times = frozenset({at}), 0
        while times < least:
            following = _from(part, text, places)
            if following == places:
                break
            places, times = following, times + 1
        found = places
        while places and (most is None or times < most):
            places, times = _from(part, text, places) - found, times + 1
            found |= places
        return found

    return ends


def _from(part: _Part, text: str, places: Iterable[int]) -> frozenset[int]:
    return _NOWHERE.union(*(part(text, at) for at in places))
