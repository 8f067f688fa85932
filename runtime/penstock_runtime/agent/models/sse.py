"""Server-sent events, read within bounds: a stream that never ends or never breaks is given up."""

import json
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any, Final, NoReturn

MAX_LINE_BYTES: Final = 4 * 1024 * 1024
MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
MAX_STREAM_BYTES: Final = 64 * 1024 * 1024  # events, their names and comments together


class Unreadable(ValueError):
    """An answer that is none. Its words are ours."""


async def events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[dict[str, Any], None]:
    """The data of each event as JSON, as it is on the wire; events without data are passed over.

    Raises:
        Unreadable: data is no JSON object, or a bound is reached.
    """
    data: list[bytes] = []
    size = 0
    async for line in _lines(chunks):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
            size += len(line)
            if size > MAX_EVENT_BYTES:
                raise Unreadable(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        elif not line and data:
            yield document(b"\n".join(data))
            data, size = [], 0


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines of a stream; each of CR, LF and CRLF ends one. The last, open one is dropped."""
    left = bytearray()
    total, after_cr = 0, False
    async for chunk in chunks:
        total += len(chunk)
        if total > MAX_STREAM_BYTES:
            raise Unreadable(f"the answer is longer than {MAX_STREAM_BYTES} bytes")
        # Only what is new is looked through: a long line is not searched again with each chunk.
        new = chunk[1:] if after_cr and chunk[:1] == b"\n" else chunk
        after_cr = chunk[-1:] == b"\r"
        *whole, last = new.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            left += line
            yield bytes(left)
            left.clear()
        left += last
        if len(left) > MAX_LINE_BYTES:
            raise Unreadable(f"a line is longer than {MAX_LINE_BYTES} bytes")


def document(data: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Unreadable: it is none, or holds a number that JSON has no word for.
    """
    try:
        found = loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Unreadable("an event is no JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("an event is no JSON object")
    return found


def loads(text: str) -> Any:
    """A JSON value; NaN and infinity, which are none, raise ValueError."""
    return json.loads(text, parse_constant=_no_number)


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)
