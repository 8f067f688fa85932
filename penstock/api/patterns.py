"""Which regular expressions of a schema a worker can use, and how large they get.

A worker checks inputs with an engine without back-tracking, in linear time, and gives each
expression a bounded size. What that engine has no word for, and what gets larger than the bound
when its repeats are written out, is told when a revision is cut and not by a worker that cannot
start. Written for the ECMA dialect that JSON Schema names, as far as the engine has it.
"""

import re
from dataclasses import dataclass, field
from typing import Final

#: Bytes that a compiled expression may have by the weights below; a worker refuses 1 MiB.
MAX_WEIGHT: Final = 1020 << 10
MAX_GROUPS_DEEP: Final = 100

# Sizes in bytes as the engine has them, measured by the longest repeat that it takes.
_CHARACTER: Final = 32
_OPTIONAL: Final = 40
_LOOP: Final = 72
_CHOICE: Final = 72
_GROUP: Final = 64
_NOTHING: Final = 48
_CLASS: Final = 64
_RANGE: Final = 8  # of a class, in ASCII
_RANGE_BEYOND: Final = 160
_WIDE: Final = 1101  # any character but some, as UTF-8
_CLASSES: Final = {"d": 73, "w": 97, "s": 745, "D": 1002, "W": 1110, "S": 2128}
_CATEGORY: Final = 43_700
_ASSERTION: Final = 8

_PUNCTUATION: Final = "!\"#$%&'()*+,-./:;=?@[\\]^_`{|}~"
_CONTROLS: Final = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_REPEATS: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_CODE: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")
_CONTROL: Final = re.compile(r"c[A-Za-z]")
_PROPERTY_ESCAPE: Final = re.compile(r"\\[pP](?:[LMNPSZC]|\{\^?[A-Za-z_]+(?:=[A-Za-z_]+)?\})")
_REPEAT: Final = re.compile(r"([0-9]{1,9})(,([0-9]{1,9})?)?\}")
_OPENING: Final = re.compile(r"(?:\?(?::|P?<([A-Za-z_][A-Za-z0-9_]*)>|[ims]+:))?")
_FLAGS: Final = re.compile(r"\?[ims]+\)")
_CASELESS: Final = re.compile(r"\(\?[ms]*i")
_NEGATION: Final = re.compile(r"\^")
_END: Final = re.compile(r"\]")
_DASH: Final = re.compile(r"-(?!\])")
_SET_OPERATION: Final = re.compile(r"&&|--|~~")
_AROUND: Final = re.compile(r"\?<?[=!]")


class Unfit(ValueError):
    """A worker cannot use this expression; the message says why."""


@dataclass
class _Group:
    """An open group: the weight so far, and of that the last thing, which may be repeated."""

    weight: int = _GROUP
    last: int | None = None

    def add(self, weight: int) -> None:
        self.weight += weight
        self.last = weight

    def end_choice(self) -> None:
        if self.last is None:
            self.weight += _NOTHING
        self.last = None

    def repeat(self, least: int, most: int | None) -> None:
        if self.last is None:
            raise Unfit("nothing to repeat")
        if most is None or most == 1:
            repeated = max(1, least) * self.last + _LOOP
        else:
            repeated = least * self.last + (most - least) * (self.last + _OPTIONAL)
        self.weight += repeated - self.last
        self.last = repeated


@dataclass
class _Reading:
    text: str
    at: int = 0
    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    names: set[str] = field(default_factory=set)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What stands here, when it is of this form; reading goes on behind it."""
        if found := pattern.match(self.text, self.at):
            self.at = found.end()
        return found

    def next(self, missing: str) -> str:
        if self.at >= len(self.text):
            raise Unfit(missing)
        self.at += 1
        return self.text[self.at - 1]


def complaint(pattern: str) -> str | None:
    """Why a worker cannot use an expression, as the end of a sentence; None when it can."""
    try:
        weight = weigh(pattern)
    except Unfit as error:
        return str(error)
    if weight > MAX_WEIGHT:
        return "its repeats written out are too large; write fewer, or say the length by maxLength"
    return None


def weigh(pattern: str) -> int:
    """Bytes that an expression has when it is compiled, or somewhat more.

    Raises:
        Unfit: it is not an expression, or one that the engine has no word for.
    """
    reading = _Reading(pattern)
    while reading.at < len(pattern):
        _read_one(reading)
    if len(reading.groups) > 1:
        raise Unfit("missing ), unterminated subpattern")
    caseless = 4 if _CASELESS.search(pattern) else 1
    return reading.groups[0].weight * caseless


def _read_one(reading: _Reading) -> None:
    group = reading.groups[-1]
    if reading.take(_PROPERTY_ESCAPE):
        group.add(_CATEGORY)
        return
    character = reading.next("")
    if character in _REPEATS:
        group.repeat(*_REPEATS[character])
        return
    match character:
        case "(":
            _open(reading)
        case ")":
            _close(reading)
        case "{":
            _counted(reading)
        case "|":
            group.end_choice()
            group.weight += _CHOICE
        case _:
            group.add(_single(reading, character))


def _single(reading: _Reading, character: str) -> int:
    """Weight of what matches one character, or a place between two."""
    match character:
        case "[":
            return _class(reading)
        case "\\":
            return _escape(reading)
        case "^" | "$":
            return _ASSERTION
        case ".":
            return _CLASSES["D"]
    return _CHARACTER * len(character.encode(errors="replace"))


def _open(reading: _Reading) -> None:
    if reading.take(_FLAGS):
        reading.groups[-1].last = None
        return
    if reading.take(_AROUND):
        raise Unfit(
            "look-around such as (?! has no place in an expression of linear time; say it with a "
            "second pattern under allOf or not"
        )
    found = reading.take(_OPENING)
    if found is None or reading.text.startswith("?", reading.at):
        raise Unfit("a group that begins like this is not known; write ( or (?:")
    if found[1] in reading.names:
        raise Unfit(f"two groups are named {found[1]}")
    reading.names |= {found[1]} if found[1] else set()
    reading.groups.append(_Group())
    if len(reading.groups) > MAX_GROUPS_DEEP:
        raise Unfit(f"groups are nested more than {MAX_GROUPS_DEEP} levels deep")


def _close(reading: _Reading) -> None:
    if len(reading.groups) == 1:
        raise Unfit("unbalanced parenthesis")
    closed = reading.groups.pop()
    closed.end_choice()
    reading.groups[-1].add(closed.weight)


def _counted(reading: _Reading) -> None:
    found = reading.take(_REPEAT)
    if found is None:
        raise Unfit("{ must begin a number of repeats such as {2} or {1,3}; else write \\{")
    least = int(found[1])
    most = int(found[3]) if found[3] else None if found[2] else least
    if most is not None and most < least:
        raise Unfit(f"{{{found[0]} repeats at least more often than at most")
    reading.groups[-1].repeat(least, most)


def _escape(reading: _Reading) -> int:
    """Weight of what a backslash begins, outside a class."""
    if (coded := _coded(reading)) is not None:
        return _CHARACTER * len(coded.encode(errors="replace"))
    character = reading.next("a backslash at the end")
    if character in _CLASSES:
        return _CLASSES[character]
    if character in "bB":
        return _ASSERTION
    if character in _PUNCTUATION or character in "<>" or character in _CONTROLS:
        return _CHARACTER
    if character.isdigit() or character == "k":
        raise Unfit(
            f"\\{character} would refer back, which an expression of linear time cannot; "
            "write what it stands for"
        )
    raise Unfit(f"\\{character} is not known")


def _coded(reading: _Reading) -> str | None:
    """The character whose number stands here."""
    if found := reading.take(_CODE):
        code = int(found[1] or found[2] or found[3], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise Unfit(f"\\{found[0]} is no character")
        return chr(code)
    found = reading.take(_CONTROL)
    return chr(ord(found[0][1]) & 31) if found else None


def _class(reading: _Reading) -> int:
    """Weight of a class of characters; the reading stands behind its opening bracket."""
    weight = _WIDE if reading.take(_NEGATION) else _CLASS
    if reading.text.startswith("]", reading.at):
        raise Unfit("a class of nothing; for the character ] write \\]")
    while not reading.take(_END):
        if reading.take(_SET_OPERATION):
            raise Unfit(
                "&&, -- and ~~ in a class do not mean the same to all; write one of the two"
            )
        first, size = _member(reading)
        if reading.take(_DASH):
            last, _ = _member(reading)
            size = _span(first, last)
        weight += size
    return weight


def _member(reading: _Reading) -> tuple[str, int]:
    """A character of a class and its weight; no character where it stands for several."""
    if reading.take(_PROPERTY_ESCAPE):
        return "", _CATEGORY
    character = reading.next("unterminated character set")
    if character != "\\":
        return character, _weight_of(character)
    if (coded := _coded(reading)) is not None:
        return coded, _weight_of(coded)
    character = reading.next("unterminated character set")
    if character in _CLASSES:
        return "", _CLASSES[character]
    if character in _CONTROLS or character in _PUNCTUATION:
        return _CONTROLS.get(character, character), _RANGE
    raise Unfit(f"\\{character} in a class is not known")


def _span(first: str, last: str) -> int:
    if not first or not last:
        raise Unfit("a range in a class must lead from one character to another; for - write \\-")
    if first > last:
        raise Unfit(f"the range {first}-{last} in a class leads backwards")
    return _RANGE if last < "\x80" else _WIDE


def _weight_of(character: str) -> int:
    return _RANGE if character < "\x80" else _RANGE_BEYOND
