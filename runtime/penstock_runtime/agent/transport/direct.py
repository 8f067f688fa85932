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
from dataclasses import dataclass
from typing import Final, SupportsIndex

import aiohappyeyeballs
import httpx2

from penstock_runtime.agent.transport import exchange, message
from penstock_runtime.agent.transport.exchange import ExchangeFailed, Fault

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
    answer: message.Answer | None = None
    idle_since: float = 0.0

    async def send(self, method: str, written: bytes) -> message.Answer:
        """Send a request and read the head of its answer."""
        self.reader.idle = False
        exchange.about_to_send()
        self.answer = answer = message.Answer(method)
        # A server may answer and close before it has read everything: then its answer counts.
        with contextlib.suppress(ConnectionError):
            self.writer.write(written)
            await self.writer.drain()
        while not answer.status:
            await self.read(answer)
        return answer

    async def read(self, answer: message.Answer) -> None:
        """Read on in an answer."""
        if answer.wrong:
            raise ExchangeFailed(Fault.NOT_HTTP)
        try:
            if data := await self.reader.read(_CHUNK_BYTES):
                answer.feed(data)
            else:
                answer.end()
        except (message.Broken, OSError):
            raise ExchangeFailed(Fault.BROKE) from None

    def rest(self, now: float) -> bool:
        """Make it ready for another exchange; whether it can be."""
        if self.answer is None or not self.answer.clean or self.reader.spoiled:
            return False
        self.reader.idle, self.idle_since = True, now
        return True

    def close(self) -> None:
        """Close it at once."""
        self.writer.transport.abort()


class _Body(httpx2.AsyncByteStream):
    """The body of an answer; its connection is free again once it was read to its end."""

    def __init__(self, line: _Line, answer: message.Answer, free: Callable[[_Line], None]) -> None:
        self._line = line
        self._answer = answer
        self._free = free
        self._done = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer = self._answer
        while not self._done:
            if answer.body:
                part = b"".join(answer.body)
                answer.body.clear()
                yield part
            elif answer.over:
                self._done = True
                self._free(self._line)
            else:
                await self._line.read(answer)

    async def aclose(self) -> None:
        if not self._done:
            self._done = True
            self._line.close()


class Direct(httpx2.AsyncBaseTransport):
    """Exchanges over connections of its own. Whoever asks sets the deadline."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None) -> None:
        self._ssl = ssl_context or httpx2.create_ssl_context()
        self._ssl.set_alpn_protocols(["http/1.1"])
        self._idle: dict[Origin, list[_Line]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the head of its answer."""
        written = await _written(request)
        line = await self._addressed(request, fresh=exchange.is_fresh(request))
        try:
            await exchange.prepare()
            if line.reader.spoiled:  # its server did not wait so long
                line.close()
                line = await self._addressed(request, fresh=True)
            answer = await line.send(request.method, written)
        except BaseException:
            line.close()
            raise
        body = _Body(line, answer, self._free)
        reason = {"reason_phrase": answer.reason}
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=body, extensions=reason
        )

    async def aclose(self) -> None:
        """Close all connections that rest."""
        for lines in self._idle.values():
            for line in lines:
                line.close()
        self._idle.clear()

    async def _addressed(self, request: httpx2.Request, *, fresh: bool) -> _Line:
        """A connection for a request."""
        url = request.url
        origin = (url.scheme, url.raw_host.decode(), url.port or _port(url.scheme))
        line = None if fresh else self._rested(origin)
        return line or await self._connected(origin)

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


async def _written(request: httpx2.Request) -> bytes:
    """A request as it is sent, all of it at once."""
    body = b"".join([part async for part in request.stream])  # type: ignore[union-attr]  # an async client's
    try:
        return message.request(request.method, request.url.raw_path, request.headers.raw, body)
    except message.Illegal:
        raise ExchangeFailed(Fault.ILLEGAL) from None


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
