"""One connection: uvicorn's protocol for httptools, with a bound on everything a caller can send.

The parser keeps what it has not finished (a header line, a trailer) and the protocol what nobody
has read yet, both without a bound of their own. So bytes are fed in slices and counted here.
"""

import asyncio
import secrets
from typing import Any, Final

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from penstock_runtime.gateway import connections, metrics, problems
from penstock_runtime.gateway.bodies import MAX_BODY_BYTES
from penstock_runtime.gateway.connections import Door, Reading

PROBES: Final = frozenset({"/healthz", "/readyz"})  # answered on a spare connection too
LAST_REQUEST_SECONDS: Final = 1.0  # after the server has begun to stop
_SLICE_BYTES: Final = 1 << 10  # of heads: few requests fit into it
_BODY_SLICE_BYTES: Final = 16 << 10
_MAX_REQUEST_BYTES: Final = (
    connections.MAX_URL_BYTES + connections.MAX_HEADER_BYTES + MAX_BODY_BYTES
)


class _Flow(FlowControl):
    """Reads nothing more while something that was read is not looked at yet, whoever asks for it."""

    held = False

    def resume_reading(self) -> None:
        """Read on, unless it is held."""
        if not self.held:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """A connection that ends with an answer where a bound is reached."""

    def __init__(self, door: Door, **given: Any) -> None:
        super().__init__(**given)
        self.address = ""
        self.reading = Reading.FIRST
        self.since = self.loop.time()
        self.url = b""
        self._door = door
        self._is_spare = False
        self._head_bytes = 0  # of the header section, or since the last byte of a body
        self._line_bytes = 0  # of whole header lines
        self._request_bytes = 0  # of requests without an answer
        self._behind = b""  # what was sent and is not fed yet
        self._ignored_bytes = 0
        self._cycles: list[RequestResponseCycle] = []  # requests without an answer, oldest first
        self._leaving = False

    # ---------------------------------------------------------------------------- as the door sees it

    @property
    def answering(self) -> bool:
        """Whether a request is being answered."""
        return any(not cycle.response_complete for cycle in self._cycles)

    @property
    def unread_bytes(self) -> int:
        """How much of its answers waits for the caller to read."""
        return self.transport.get_write_buffer_size()

    def overdue(self) -> None:
        """End what takes too long; half a request is told why."""
        match self.reading:
            case Reading.HEAD:
                seconds = connections.HEADERS_SECONDS
                self._refuse("request-timeout", f"The headers did not end within {seconds:g} s.")
            case Reading.BODY if self.answering:
                seconds = connections.BODY_SECONDS
                self._refuse("request-timeout", f"The body did not end within {seconds:g} s.")
            case _:
                self.transport.close()
                self._enter(Reading.DEAF)

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    # --------------------------------------------------------------------------------- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if there is room; beyond it for probes only."""
        super().connection_made(transport)
        self.flow = self._flow = _Flow(transport)
        self.address = self.client[0] if self.client else ""
        self._is_spare = not self._door.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of the connection that nobody reads its answer."""
        for cycle in self._cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what the caller sends; what would be too much waits, unread."""
        self._unset_keepalive_if_required()
        self._behind += data
        self._feed_all()

    def _feed_all(self) -> None:
        """Feed the parser slice by slice, until enough requests wait for their answers."""
        data, at = self._behind, 0
        self._behind, was_held, self._flow.held = b"", self._flow.held, False
        while at < len(data) and len(self._cycles) < connections.MAX_PIPELINED:
            if self.reading is Reading.DEAF or self.transport.is_closing():
                self._ignore(len(data) - at)
                return
            size = _BODY_SLICE_BYTES if self.reading is Reading.BODY else _SLICE_BYTES
            self._feed(data[at : at + size])
            at += size
        if at < len(data):
            self._leave_behind(data[at:])
        elif was_held:
            self._flow.resume_reading()

    def _leave_behind(self, data: bytes) -> None:
        self._behind = data
        self._flow.pause_reading()
        self._flow.held = True
        if len(data) > connections.MAX_BEHIND_BYTES:
            metrics.REFUSED_CONNECTIONS.labels("pipelined").inc()
            self.transport.abort()

    def _ignore(self, number_bytes: int) -> None:
        self._ignored_bytes += number_bytes
        if self._ignored_bytes > connections.MAX_IGNORED_BYTES:
            self.transport.abort()

    def _feed(self, part: bytes) -> None:
        self._head_bytes += len(part)
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade as upgrade:
            # No other protocol is spoken here, so what follows is the next request.
            if rest := part[upgrade.args[0] :]:
                self._feed(rest)
        except httptools.HttpParserError:
            self._refuse("malformed-request", "What was sent is not a request in HTTP/1.1.")
        if self.reading in (Reading.HEAD, Reading.BODY):
            self._check(len(part))

    def _check(self, more_bytes: int) -> None:
        """Refuse a header line, trailer or chunk extension without end, and more than can be held."""
        if self._head_bytes - len(self.url) > connections.MAX_HEADER_BYTES:
            self._refuse_headers()
        if self.reading is Reading.BODY and not self.answering:
            return  # nobody keeps it
        self._request_bytes = min(self._request_bytes + more_bytes, _MAX_REQUEST_BYTES)
        if not self._door.hold(self, self._request_bytes):
            held = connections.MAX_REQUEST_BYTES >> 20
            self._refuse("gateway-busy", f"The requests under way have more than {held} MiB.")

    def _settle(self) -> None:
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        if not self._cycles:
            self._request_bytes = 0
            self._door.hold(self, 0)

    def _enter(self, reading: Reading) -> None:
        self.reading, self.since = reading, self.loop.time()

    def shutdown(self) -> None:
        """The server stops. A caller who sends just now on a kept connection still gets an answer, and hears
        with it that the connection ends; one who sends nothing loses the connection a moment later.
        """
        self._leaving = True
        if self.answering:
            super().shutdown()
        else:
            self.loop.call_later(LAST_REQUEST_SECONDS, super().shutdown)

    # -------------------------------------------------------------------------- what the parser finds

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.reading is Reading.DEAF:
            return
        super().on_message_begin()
        self._enter(Reading.HEAD)
        self._head_bytes = 0
        self._line_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the URL."""
        if self.reading is Reading.DEAF:
            return
        if len(self.url) + len(url) > connections.MAX_URL_BYTES:
            most = connections.MAX_URL_BYTES
            self._refuse("url-too-long", f"The URL may have at most {most:,} bytes.")
        else:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is never taken for one."""
        if self.reading is not Reading.HEAD:
            return
        self._line_bytes += len(name) + len(value) + len(b": \r\n")
        too_many = len(self.headers) >= connections.MAX_HEADERS
        if too_many or self._line_bytes > connections.MAX_HEADER_BYTES:
            self._refuse_headers()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are whole: from here on the request is being answered."""
        if self.reading is Reading.DEAF:
            return
        if self._is_spare and self.url.decode("latin-1") not in PROBES:
            self._refuse("gateway-busy", "The gateway has as many connections as it may hold.")
            return
        super().on_headers_complete()
        self.cycle.keep_alive = self.cycle.keep_alive and not self._leaving
        self._cycles.append(self.cycle)
        self._enter(Reading.BODY)
        self._head_bytes = 0
        self.url = b""

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self.reading is Reading.DEAF:
            return
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self.reading is Reading.DEAF:
            return
        super().on_message_complete()
        self._enter(Reading.NOTHING if self.answering else Reading.NEXT)

    def on_response_complete(self) -> None:
        """A request has its answer."""
        self._settle()
        if self.reading is Reading.NOTHING and not self._cycles:
            self._enter(Reading.NEXT)
        super().on_response_complete()
        if self._behind:
            self.loop.call_soon(self._feed_all)

    # ------------------------------------------------------------------------------------ a refusal

    def _hear_no_more(self) -> None:
        """Answer what is whole, then close; what still comes is thrown away."""
        self._enter(Reading.DEAF)
        if self._cycles:
            self._cycles[-1].keep_alive = False

    def _refuse_headers(self) -> None:
        most, lines = connections.MAX_HEADER_BYTES, connections.MAX_HEADERS
        detail = f"Header lines or trailers may have at most {most:,} bytes, in {lines} lines."
        self._refuse("headers-too-large", detail)

    def _refuse(self, slug: str, detail: str) -> None:
        """Say why, and end the connection when the caller has had time to read it."""
        if self.reading is Reading.DEAF:
            return
        metrics.REFUSED_CONNECTIONS.labels(slug).inc()
        in_head, waiting = self.reading is not Reading.BODY, len(self._cycles)
        self._hear_no_more()
        if in_head and waiting:
            return  # they are answered first, and then it is closed
        if waiting > 1 or not (in_head or self._is_unanswered()):
            self.transport.close()  # an answer within another one would be read as a part of it
            return
        for cycle in self._cycles:
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
        self.transport.write(self._answer(problems.Problem(slug, detail, _headers(slug))))
        self.transport.write_eof()

    def _is_unanswered(self) -> bool:
        return bool(self._cycles) and not self._cycles[-1].response_started

    def _answer(self, problem: problems.Problem) -> bytes:
        body = problem.body("", secrets.token_hex(16))
        headers = {
            b"content-type": problems.MEDIA_TYPE.encode(),
            b"content-length": str(len(body)).encode(),
            b"connection": b"close",
            **{name.lower().encode(): value.encode() for name, value in problem.headers.items()},
        }
        lines = [*self.server_state.default_headers, *headers.items()]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
        return STATUS_LINE[problem.kind.status] + head + b"\r\n" + body


def _headers(slug: str) -> dict[str, str]:
    busy = slug == "gateway-busy"
    return {"Retry-After": str(connections.RETRY_AFTER_SECONDS)} if busy else {}
