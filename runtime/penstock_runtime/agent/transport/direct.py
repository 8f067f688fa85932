"""HTTP/1.1 over connections of our own: any number of exchanges at once.

An exchange costs the same however many others are under way. A request leaves in one piece, so
that it is known whether any of it may have arrived. An answer ends at its own end mark; what
follows it is never taken for the next one.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, SupportsIndex

import aiohappyeyeballs
import h11
import httpx2

from penstock_runtime.agent.transport import exchange
from penstock_runtime.agent.transport.exchange import ExchangeFailed, Fault

MAX_HEAD_BYTES: Final = 64 * 1024  # status line and headers of an answer, or its trailers
MAX_INTERIM_ANSWERS: Final = 8  # 1xx
_IDLE_SECONDS: Final = 4.0  # many servers close after 5
_IDLE_CONNECTIONS: Final = 100  # kept for each origin
_CHUNK_BYTES: Final = 64 * 1024

Origin = tuple[str, str, int]


class _Reader(asyncio.StreamReader):
    """Remembers whether anything came, or the end, while nothing was asked for."""

    idle = True
    spoiled = False

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.spoiled = self.spoiled or self.idle
        super().feed_data(data)

    def feed_eof(self) -> None:
        self.spoiled = True
        super().feed_eof()

    def set_exception(self, exc: BaseException) -> None:
        self.spoiled = True
        super().set_exception(exc)  # type: ignore[arg-type]  # as narrow as the base's


@dataclass
class _Line:
    """A connection, which carries one exchange at a time."""

    origin: Origin
    reader: _Reader
    writer: asyncio.StreamWriter
    state: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.CLIENT, MAX_HEAD_BYTES)
    )
    idle_since: float = 0.0

    async def written(self, request: httpx2.Request) -> bytes:
        """The request as it is to be sent, all of it at once."""
        try:
            written = [self.state.send(_head_of(request))]
            async for part in request.stream:  # type: ignore[union-attr]  # an async client's
                written += [self.state.send(h11.Data(data=part))]
            written.append(self.state.send(h11.EndOfMessage()))
        except h11.LocalProtocolError:
            raise ExchangeFailed(Fault.ILLEGAL) from None
        return b"".join(filter(None, written))

    async def send(self, written: bytes) -> None:
        """Send a request."""
        self.reader.idle = False
        exchange.about_to_send()
        # A server may answer and close before it has read everything: then its answer counts.
        with contextlib.suppress(ConnectionError):
            self.writer.write(written)
            await self.writer.drain()

    async def head(self) -> h11.Response:
        """The answer's status and headers."""
        for _ in range(MAX_INTERIM_ANSWERS):
            event = await self.event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                break
        raise ExchangeFailed(Fault.NOT_HTTP)

    async def event(self) -> Any:
        """The next part of the answer."""
        ended = False
        try:
            while (event := self.state.next_event()) is h11.NEED_DATA:
                data = await self.reader.read(_CHUNK_BYTES)
                ended = not data
                self.state.receive_data(data)
        except h11.RemoteProtocolError:
            raise ExchangeFailed(Fault.BROKE if ended else Fault.NOT_HTTP) from None
        except OSError:
            raise ExchangeFailed(Fault.BROKE) from None
        if isinstance(event, h11.ConnectionClosed):
            raise ExchangeFailed(Fault.BROKE)
        return event

    def rest(self, now: float) -> bool:
        """Make it ready for another exchange; whether it can be."""
        over = self.state.our_state is h11.DONE and self.state.their_state is h11.DONE
        if not over or self.state.trailing_data[0] or self.reader.spoiled:
            return False
        self.state.start_next_cycle()
        self.reader.idle, self.idle_since = True, now
        return True

    def close(self) -> None:
        """Close it at once."""
        self.writer.transport.abort()


def _head_of(request: httpx2.Request) -> h11.Request:
    return h11.Request(
        method=request.method, target=request.url.raw_path, headers=request.headers.raw
    )


class _Body(httpx2.AsyncByteStream):
    """The body of an answer; its connection is free again once it was read to its end."""

    def __init__(self, line: _Line, free: Callable[[_Line], None]) -> None:
        self._line = line
        self._free = free
        self._over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._over:
            event = await self._line.event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                self._over = True
                self._free(self._line)

    async def aclose(self) -> None:
        if not self._over:
            self._over = True
            self._line.close()


class Direct(httpx2.AsyncBaseTransport):
    """Exchanges over connections of its own. Whoever asks sets the deadline."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl = ssl_context or httpx2.create_ssl_context()
        self._ssl.set_alpn_protocols(["http/1.1"])
        self._idle: dict[Origin, list[_Line]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the head of its answer."""
        line, written = await self._addressed(request, fresh=exchange.is_fresh(request))
        try:
            await exchange.prepare()
            if line.reader.spoiled:  # its server did not wait so long
                line.close()
                line, written = await self._addressed(request, fresh=True)
            await line.send(written)
            head = await line.head()
        except BaseException:
            line.close()
            raise
        body = _Body(line, self._free)
        reason = {"reason_phrase": bytes(head.reason)}
        return httpx2.Response(
            head.status_code, headers=head.headers.raw_items(), stream=body, extensions=reason
        )

    async def aclose(self) -> None:
        """Close all connections that rest."""
        for lines in self._idle.values():
            for line in lines:
                line.close()
        self._idle.clear()

    async def _addressed(self, request: httpx2.Request, *, fresh: bool) -> tuple[_Line, bytes]:
        """A connection for a request, and what is to be sent over it."""
        url = request.url
        origin = (url.scheme, url.raw_host.decode(), url.port or _port(url.scheme))
        line = None if fresh else self._rested(origin)
        line = line or await self._connected(origin)
        try:
            return line, await line.written(request)
        except BaseException:
            line.close()
            raise

    def _rested(self, origin: Origin) -> _Line | None:
        lines = self._idle.get(origin, [])
        while lines:
            line = lines.pop()
            if not line.reader.spoiled and _now() - line.idle_since < _IDLE_SECONDS:
                return line
            line.close()
        return None

    def _free(self, line: _Line) -> None:
        lines = self._idle.setdefault(line.origin, [])
        while lines and _now() - lines[0].idle_since >= _IDLE_SECONDS:
            lines.pop(0).close()
        if len(lines) < _IDLE_CONNECTIONS and line.rest(_now()):
            lines.append(line)
        else:
            line.close()

    async def _connected(self, origin: Origin) -> _Line:
        try:
            async with asyncio.timeout(exchange.CONNECT_SECONDS) as bound:
                return await _connect(origin, self._ssl)
        except TimeoutError:
            raise ExchangeFailed(Fault.LATE if bound.expired() else Fault.NO_CONNECTION) from None
        except ssl.SSLError:
            raise ExchangeFailed(Fault.TLS) from None
        except (socket.gaierror, ValueError):
            raise ExchangeFailed(Fault.NO_ADDRESS) from None
        except OSError:
            raise ExchangeFailed(Fault.NO_CONNECTION) from None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


async def _connect(origin: Origin, context: ssl.SSLContext) -> _Line:
    scheme, host, port = origin
    name = host.strip("[]")
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    # uvloop tries one address after the other, and each may be silent for as long as a call waits
    connected = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=0.25)
    secured = scheme == "https"
    reader = _Reader(limit=_CHUNK_BYTES)
    try:
        transport, protocol = await loop.create_connection(
            lambda: asyncio.StreamReaderProtocol(reader),
            sock=connected,
            ssl=context if secured else None,
            server_hostname=name if secured else None,
        )
    except BaseException:
        connected.close()
        raise
    return _Line(origin, reader, asyncio.StreamWriter(transport, protocol, reader, loop))
