"""One HTTP request and its answer, on bare ASGI messages."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from penstock_dev.model import faults, wire

LARGEST_BODY_BYTES = 32 * 1024 * 1024
DEEPEST_NESTING = 200
ORGANIZATION_ID = "00000000-0000-4000-8000-000000000000"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

JSON_HEADERS = (("content-type", "application/json"),)
EVENT_HEADERS = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
)
HTML_HEADERS = (("content-type", "text/html"),)


@dataclass
class Exchange:
    """A request with what is needed to answer it; `limit_headers` go with every later answer."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str
    headers: dict[bytes, bytes]
    limit_headers: Headers = field(default=())

    def header(self, name: bytes) -> str:
        """A request header by its lower-case name, or an empty text."""
        return self.headers.get(name, b"").decode("latin-1")


async def read_body(exchange: Exchange) -> bytes:
    """The whole request body. Raises Rejected (413) above the limit of the API."""
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        event = await exchange.receive()
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > LARGEST_BODY_BYTES:
            raise faults.Rejected(413, faults.MESSAGES[413])
        chunks.append(chunk)
        more = event.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse_json(raw: bytes) -> Any:
    """The document of a request body. Raises Rejected (400) for what is not JSON in UTF-8, or nested without measure."""
    try:
        text = raw.decode()
        document = json.loads(text, parse_constant=_no_constant)
        if b"\\u" in raw:
            _whole_characters(text)
    except (ValueError, RecursionError) as error:
        raise faults.Rejected(400, f"The request body is not valid JSON: {error}") from error
    if raw.count(b"[") + raw.count(b"{") > DEEPEST_NESTING and _depth(document) > DEEPEST_NESTING:
        raise faults.Rejected(
            400, f"The request body is nested deeper than {DEEPEST_NESTING} levels"
        )
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"unexpected character: {name}")


_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")


def _whole_characters(text: str) -> None:
    """Raise ValueError where an escape is half of a surrogate pair. The text is valid JSON otherwise."""
    open_at: int | None = None  # the place after a high half, where its low one has to be
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1] or "0", 16)
        low = 0xDC00 <= code < 0xE000
        if open_at is not None and not (low and escape.start() == open_at):
            raise json.JSONDecodeError("no low surrogate in string", text, open_at - 6)
        if low and open_at is None:
            raise json.JSONDecodeError("unexpected low surrogate in string", text, escape.start())
        open_at = escape.end() if 0xD800 <= code < 0xDC00 else None
    if open_at is not None:
        raise json.JSONDecodeError("no low surrogate in string", text, open_at - 6)


def _depth(document: Any) -> int:
    depth = 0
    level = [document]
    while level:
        depth += 1
        level = [inner for value in level for inner in _inner(value)]
    return depth


def _inner(value: Any) -> Iterable[Any]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


async def respond(
    exchange: Exchange, status: int, document: dict[str, Any], headers: Headers = ()
) -> None:
    """Send a JSON document as the whole answer."""
    await send_whole(exchange, status, (*JSON_HEADERS, *headers), wire.encode(document))


async def fail(exchange: Exchange, fault: faults.Fault) -> None:
    """Send an error answer; a 502 comes as HTML, as from a proxy in front of the API."""
    if fault.status == 502:
        headers = (*HTML_HEADERS, *fault.headers)
        await send_whole(exchange, 502, headers, faults.HTML_BAD_GATEWAY)
    else:
        document = faults.body(fault, exchange.request_id)
        await respond(exchange, fault.status, document, fault.headers)


async def left(exchange: Exchange) -> None:
    """Wait until the client has gone."""
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


async def send_whole(exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
    """Send a body of known length as the whole answer."""
    await start(exchange, status, (*headers, ("content-length", str(len(body)))))
    await send_part(exchange, body, more=False)


async def start(exchange: Exchange, status: int, headers: Headers) -> None:
    """Send status and headers, with those every answer carries."""
    sent = [(name.encode(), value.encode()) for name, value in (*headers, *exchange.limit_headers)]
    sent.append((b"request-id", exchange.request_id.encode()))
    sent.append((b"anthropic-organization-id", ORGANIZATION_ID.encode()))
    await exchange.send({"type": "http.response.start", "status": status, "headers": sent})


async def send_part(exchange: Exchange, body: bytes, *, more: bool) -> None:
    """Send a part of the body."""
    await exchange.send({"type": "http.response.body", "body": body, "more_body": more})
