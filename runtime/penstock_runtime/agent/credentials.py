"""Mounted credentials, checked when they are read: what cannot be sent is never given to a client.

A value is never part of a message; its Secret's key is.
"""

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
#: Headers whose values are no secret, and stand in many an answer.
_PUBLIC: Final = frozenset(("accept", "accept-language", "content-type", "user-agent"))


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
    redaction.learn(value)
    return value


def headers(folder: Path) -> dict[str, str]:
    """The headers in a folder with one file for each, as Secrets are mounted.

    Raises:
        Unfit: there is none, or one that cannot be sent.
    """
    # A mounted Secret keeps its versions in folders that begin with two dots.
    try:
        files = sorted(file for file in folder.iterdir() if not file.name.startswith(".."))
    except OSError:
        raise Unfit("holds no header") from None
    if not files:  # the Secret was deleted while the worker runs
        raise Unfit("holds no header")
    if len(files) > MAX_HEADERS:
        raise Unfit(f"holds more than {MAX_HEADERS} headers")
    found = {file.name: _header(file) for file in files if file.name.lower() not in _NOT_OURS}
    if sum(len(name) + len(value) for name, value in found.items()) > MAX_HEADER_CHARACTERS:
        raise Unfit(f"holds headers of more than {MAX_HEADER_CHARACTERS} characters")
    return found


def _header(file: Path) -> str:
    name = file.name
    if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME_CHARACTERS:
        raise Unfit("is no name of a header", _shown(name))
    try:
        value = _value(file)
    except Unfit as unfit:
        raise Unfit(unfit.why, name) from None
    if name.lower() not in _PUBLIC:
        redaction.learn(value)
    return value


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
        redaction.learn(value)
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
