"""Which kinds of sensitive data a call's arguments hold, by their shape and, where there is one, their check digits.

A person is asked where one is found, so that what is found for nothing costs a question, and what is
overlooked costs more: separators, wide digits and other dashes hide nothing. Every search is linear in the text.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from penstock.api.oversight import Sensitive

_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—−"), "-")
_CARD: Final = re.compile(r"(?<![0-9])[2-6](?:[ -]?[0-9]){12,}", re.ASCII)
_CARD_DIGITS: Final = range(13, 20)
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?=(?:[ -]?[A-Za-z0-9]){11})", re.ASCII
)
_IBAN_CHARACTERS: Final = range(15, 35)
_SHAPES: Final[Mapping[Sensitive, re.Pattern[str]]] = MappingProxyType(
    {
        Sensitive.SSN: re.compile(
            r"(?<![0-9])(?!000|666|9)[0-9]{3}[ -](?!00)[0-9]{2}[ -](?!0000)[0-9]{4}(?![0-9])",
            re.ASCII,
        ),
        Sensitive.EMAIL: re.compile(
            r"(?<=[A-Za-z0-9._%+-])@[A-Za-z0-9-]{1,63}\.[A-Za-z0-9]{2}", re.ASCII
        ),
        Sensitive.PHONE: re.compile(
            r"(?<![0-9A-Za-z])(?:\+[0-9](?:[ ()/.-]{0,3}[0-9]){6,14}"
            r"|\(?0[0-9]{1,4}\)?[ /-][0-9][0-9 -]{4,10}[0-9]"
            r"|\(?[2-9][0-9]{2}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4})(?![0-9])",
            re.ASCII,
        ),
        Sensitive.API_KEY: re.compile(
            r"\bsk-[A-Za-z0-9_-]{16}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20}|\bxox[abprs]-[A-Za-z0-9-]{10}"
            r"|\bAIza[A-Za-z0-9_-]{30}|\beyJ[A-Za-z0-9_-]{8,4096}\.eyJ|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----",
            re.ASCII,
        ),
    }
)


def found(given: Any, kinds: Collection[Sensitive]) -> tuple[Sensitive, ...]:
    """Those of the kinds that a JSON value holds, in keys as well, in the order of the kinds."""
    texts = [_plain(text) for text in _texts(given)]
    return tuple(kind for kind in kinds if any(_holds(kind, text) for text in texts))


def _holds(kind: Sensitive, text: str) -> bool:
    match kind:
        case Sensitive.CREDIT_CARD:
            return any(_is_card(text, at.start()) for at in _starts(_CARD, text))
        case Sensitive.IBAN:
            return any(_is_iban(text, at.start()) for at in _IBAN.finditer(text))
        case _:
            return _SHAPES[kind].search(text) is not None


def _starts(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Where numbers may begin: also behind another one of the same run."""
    at = pattern.search(text)
    while at:
        yield at
        space = re.compile("[ -]").search(text, at.start())
        at = pattern.search(text, space.end()) if space else None


def _is_card(text: str, start: int) -> bool:
    return any(
        len(digits) in _CARD_DIGITS and _fits_luhn(digits)
        for digits in _beginnings(text, start, str.isdigit, _CARD_DIGITS.stop)
    )


def _is_iban(text: str, start: int) -> bool:
    return any(
        len(letters) in _IBAN_CHARACTERS and _fits_mod97(letters)
        for letters in _beginnings(text, start, str.isalnum, _IBAN_CHARACTERS.stop)
    )


def _beginnings(text: str, start: int, fits: Callable[[str], bool], most: int) -> Iterator[str]:
    """What may be meant from a place on, without its separators: it ends where a group of characters does."""
    kept: list[str] = []
    for at in range(start, len(text)):
        if not fits(text[at]):
            if text[at] not in " -" or text[at - 1] in " -":
                return
            continue
        kept.append(text[at])
        if len(kept) >= most:
            return
        if at + 1 == len(text) or not fits(text[at + 1]):
            yield "".join(kept)


def _fits_luhn(digits: str) -> bool:
    numbers = [int(digit) for digit in reversed(digits)]
    doubled = [sum(divmod(2 * number, 10)) for number in numbers[1::2]]
    return (sum(numbers[::2]) + sum(doubled)) % 10 == 0


def _fits_mod97(letters: str) -> bool:
    """ISO 13616: what ends with country and check digits, read as a number, leaves 1."""
    turned = letters[4:] + letters[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97 == 1


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_DASHES)


def _texts(value: Any) -> Iterator[str]:
    """All texts and whole numbers of a JSON value."""
    match value:
        case bool() | None:
            return
        case str():
            yield value
        case int():
            yield str(value) if abs(value) < 10**40 else ""
        case float():
            yield f"{value:.0f}" if abs(value) < 10**40 else ""
        case Mapping():
            for key, inner in value.items():
                yield str(key)
                yield from _texts(inner)
        case list() | tuple():
            for inner in value:
                yield from _texts(inner)
