"""How things are written for the API server's readers, and how its answers are read.

An applied object is read as YAML, whatever it looks like. That reader refuses escaped surrogate
pairs, raw control characters and a plain key of more than 1,024 characters, and it folds the line
breaks of Unicode. Everything else that is JSON it reads as JSON.

An answer may hold what anybody put into a schema, as deep as the API server allows: thousands of
levels, at which Python ends whatever reads it. What stands deeper than anything that is accepted
is therefore cut off, before one object can end the list of all.
"""

import json
import re
from typing import Any, Final

from pydantic import TypeAdapter

#: What an object is applied as; the client library leaves a body of that type as it is.
PATCH_TYPE: Final = "application/apply-patch+yaml; charset=utf-8"
#: The longest note of an Event, in bytes of UTF-8.
NOTE_BYTES: Final = 1024
#: The longest key that is written without the mark of a long one; the reader takes 1,024.
_PLAIN_KEY: Final = 128
_CUT: Final = "…"
#: What the reader refuses or folds as it stands; as an escape it takes each of them.
_UNREADABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
#: Halves of a surrogate pair, which no encoding of Unicode has a place for.
_HALVES: Final = re.compile("[\ud800-\udfff]")

#: How deep an answer is read that is deeper than the parser's own bound of 200. A schema that is
#: accepted ends at level 39 of a record, in a list at 41.
LEVELS: Final = 64
_ANSWER: Final[TypeAdapter[Any]] = TypeAdapter(Any)
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{}]', re.DOTALL)


def parsed(raw: bytes) -> Any:
    """An answer as JSON; one that is too deep without what stands deeper than ``LEVELS``.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return _ANSWER.validate_json(raw)
    except ValueError:
        return json.loads(_cut_off(raw))


def shallow(raw: bytes) -> bytes:
    """A text of JSON that any reader can read, with null in place of what stands too deep."""
    try:
        _ANSWER.validate_json(raw)
    except ValueError:
        return _cut_off(raw)
    return raw


def _cut_off(raw: bytes) -> bytes:
    kept, begin, depth = [], 0, 0
    for token in _TOKEN.finditer(raw):
        if token[0] in (b"{", b"["):
            depth += 1
            if depth == LEVELS + 1:
                kept += [raw[begin : token.start()], b"null"]
        elif token[0] in (b"}", b"]"):
            if depth == LEVELS + 1:
                begin = token.end()
            depth -= 1
    return b"".join([*kept, raw[begin:]])


def patch(obj: Any) -> bytes:
    """An object as the body of a server-side apply."""
    return _written(obj).encode()


def _written(value: Any) -> str:
    match value:
        case dict():
            return (
                "{" + ",".join(f"{_key(key)}:{_written(part)}" for key, part in value.items()) + "}"
            )
        case list() | tuple():
            return "[" + ",".join(map(_written, value)) + "]"
        case str():
            return _text(value)
        case _:
            return json.dumps(value)


def _key(key: str) -> str:
    text = _text(key)
    return text if len(text) <= _PLAIN_KEY else f"? {text}"


def _text(text: str) -> str:
    quoted = json.dumps(_HALVES.sub("\ufffd", text), ensure_ascii=False)
    return _UNREADABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def cut_bytes(text: str, longest: int) -> str:
    """A text of at most so many bytes of UTF-8, cut between two characters; a cut one says so."""
    whole = _HALVES.sub("\ufffd", text)
    if len(whole.encode()) <= longest:
        return whole
    room = longest - len(_CUT.encode())
    return whole.encode()[:room].decode(errors="ignore") + _CUT
