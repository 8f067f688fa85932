"""Mounted credentials, checked when they are read: what cannot be sent is never given to a client.

A value is never part of a message; its Secret's key is.
"""

import json
import re
from pathlib import Path
from typing import Final

from penstock_runtime import redaction

MAX_NAME_CHARACTERS: Final = 256
MAX_VALUE_CHARACTERS: Final = 16 * 1024
MAX_HEADERS: Final = 64
MAX_HEADER_CHARACTERS: Final = 32 * 1024  # names and values of one tool together

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
#: What belongs to the connection or frames the message: the client alone writes it, and a Secret that holds such
#: a key is used without it. Revisions that serve have some.
_NOT_OURS: Final = frozenset(
    (
        *("connection", "content-length", "expect", "keep-alive", "proxy-authenticate"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding"),
        "upgrade",
    )
)
#: Headers whose values are secrets, whatever they look like.
_SECRET_NAME: Final = re.compile(
    r"auth|cookie|credential|key|pass|secret|session|signature|token", re.IGNORECASE
)
#: Headers whose values are no secrets, and stand in many an answer.
_PUBLIC_NAME: Final = re.compile(
    r"accept(-.*)?|cache-control|content-.*|date|from|host|origin|pragma|prefer|range|referer"
    r"|user-agent|(.*-)?(api-version|environment|region|version)",
    re.IGNORECASE,
)
_WORD: Final = r"(?:[A-Z]?[a-z]{1,15}|[A-Z]{1,15})"  # its bounds: so long is no random text
_WORDS: Final = rf"{_WORD}(?:[ ,;._/-]{{1,2}}{_WORD})*"
_NUMBERS: Final = r"v?\d{1,4}(?:[._-]\d{1,4}){1,3}"  # a version, a date
_LABEL: Final = r"[a-z][a-z0-9-]{0,30}"
_HOST: Final = rf"(?:{_LABEL}|(?:{_LABEL}\.)+[a-z]{{2,15}}|\d{{1,3}}(?:\.\d{{1,3}}){{3}})"
_PORT: Final = r"(?::\d{1,5})?"
_MEDIA_TYPE: Final = (
    r"(?:application|audio|font|image|message|model|multipart|text|video)/[a-z0-9.+-]{1,60}"
    rf"(?:; ?{_WORD}=[\w.-]{{1,15}})*"
)
#: Values that are no secrets under any name that does not say so.
_PLAIN: Final = re.compile(
    "|".join(
        (
            _WORDS,
            rf"{_NUMBERS}(?:[.+-]?{_WORD}\d{{0,3}})?",
            r"\d{4}-\d\d-\d\dT[\d:.]{5,15}(?:Z|[+-]\d\d:?\d\d)?",
            _MEDIA_TYPE,
            rf"https?://{_HOST}{_PORT}(?:/(?:{_WORD}(?:[._-]{_WORD})*|v\d{{1,3}}))*/?",
            rf"(?:{_LABEL}\.)+[a-z]{{2,15}}{_PORT}",
        )
    )
)
_RANDOM: Final = re.compile(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}")


class Unfit(Exception):
    """A mounted credential cannot be used.

    Args:
        why: what is wrong, without a word of the value.
        key: of the Secret; empty where the Secret as a whole is meant.
    """

    def __init__(self, why: str, key: str = "") -> None:
        super().__init__(f"its key {key} {why}" if key else why)
        self.why = why
        self.key = key


def key(path: Path) -> str:
    """The API key in a mounted file.

    Raises:
        Unfit: there is none that can be sent.
    """
    value = _value(path)
    if not value:
        raise Unfit("is empty")
    _learn(value)
    return value


def headers(folder: Path) -> dict[str, str]:
    """The headers in a folder with one file for each, as Secrets are mounted.

    Raises:
        Unfit: there is none, or one that cannot be sent.
    """
    files = _files(folder)
    if not files:  # the Secret was deleted while the worker runs
        raise Unfit("holds no header")
    if len(files) > MAX_HEADERS:
        raise Unfit(f"holds more than {MAX_HEADERS} headers")
    found = {file.name: _header(file) for file in files if file.name.lower() not in _NOT_OURS}
    if sum(len(name) + len(value) for name, value in found.items()) > MAX_HEADER_CHARACTERS:
        raise Unfit(f"holds headers of more than {MAX_HEADER_CHARACTERS} characters")
    return found


def holds_any(folder: Path) -> bool:
    """Whether a Secret with any key is mounted there."""
    return bool(_files(folder))


def _files(folder: Path) -> list[Path]:
    """One for each key; a mounted Secret keeps its versions in folders that begin with two dots."""
    try:
        return sorted(file for file in folder.iterdir() if not file.name.startswith(".."))
    except OSError:
        return []


def _header(file: Path) -> str:
    name = file.name
    if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME_CHARACTERS:
        raise Unfit("is no name of a header", _shown(name))
    try:
        value = _value(file)
    except Unfit as unfit:
        raise Unfit(unfit.why, name) from None
    if may_be_secret(name, value):
        _learn(value)
    return value


def may_be_secret(name: str, value: str) -> bool:
    """Whether the value of a header, or of a member, is to be kept from everybody.

    What its name or its form shows to be no secret is not: it would be cut out of answers in which
    it means something else.
    """
    if _SECRET_NAME.search(name):
        return True
    if _PUBLIC_NAME.fullmatch(name):
        return False
    return not _PLAIN.fullmatch(value) or _RANDOM.search(value) is not None


def _learn(value: str) -> None:
    """Make a credential known; of a JSON document, which its server reads, its secret members too."""
    redaction.learn(value)
    try:
        left = [("", json.loads(value))]
    except (ValueError, RecursionError):
        return
    while left:
        match left.pop():
            case (name, str() as text) if may_be_secret(name, text):
                redaction.learn(text)
            case (_, dict() as members):
                left += members.items()
            case (name, list() as items):
                left += [(name, item) for item in items]


def _value(path: Path) -> str:
    """The text of a file without the white space around it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise Unfit("is missing") from None
    except OSError:
        raise Unfit("cannot be read") from None
    if len(raw) > MAX_VALUE_CHARACTERS:
        raise Unfit(f"is longer than {MAX_VALUE_CHARACTERS} bytes")
    value = raw.decode("utf-8", "replace").strip()
    if not _VALUE.fullmatch(value):
        _learn(value)
        raise Unfit(_what_is_wrong(value))
    return value


def _what_is_wrong(value: str) -> str:
    if "\n" in value or "\r" in value:
        return "holds a line break inside, which no header may have"
    return (
        "holds a character that no header may have: only visible ASCII, space and tab can be sent"
    )


def _shown(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:MAX_NAME_CHARACTERS]
