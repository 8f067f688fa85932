"""HTTP/1.1 to models and tools: any number of exchanges at once, and what came of each one.

An exchange costs the same however many others are under way. A request leaves in one piece, so
that it is known whether any of it may have arrived. An answer ends at its own end mark; what
follows it is never taken for the next one. What goes wrong is told by class, in words of our own:
the words of a library can hold what was to be sent.
"""

import asyncio
import contextlib
import socket
import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, SupportsIndex

import h11
import httpx2

CONNECT_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 64 * 1024  # status line and headers of an answer, or its trailers
MAX_INTERIM_ANSWERS: Final = 8  # 1xx
MAX_ERROR_BYTES: Final = 64 * 1024  # of the body of an answer that is no success; then it is cut
_IDLE_SECONDS: Final = 4.0  # many servers close after 5
_IDLE_CONNECTIONS: Final = 100  # kept for each origin
_CHUNK_BYTES: Final = 64 * 1024
_ONE_LAYER: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # as zlib's window says them
_FRESH: Final = "fresh"

Origin = tuple[str, str, int]


class Fault(StrEnum):
    """Why an exchange brought no answer."""

    NO_ADDRESS = "its host name cannot be resolved"
    NO_CONNECTION = "no connection can be made"
    LATE = "no connection could be made within 10 s"
    TLS = "no TLS connection can be made: its certificate or its protocol is not accepted"
    ILLEGAL = "the request cannot be written as HTTP"
    PROXY = "the proxy cannot be used"
    BROKE = "the connection broke"
    NOT_HTTP = "what came back is not HTTP within its bounds"
    ENCODED = "the answer is encoded in a way that was not asked for"


class ExchangeFailed(httpx2.TransportError):
    """An exchange without a whole answer.

    Args:
        fault: why.
        status: of the answer, where it began.
    """

    def __init__(self, fault: Fault, status: int = 0) -> None:
        super().__init__(fault.value)
        self.fault = fault
        self.status = status


@dataclass
class Progress:
    """How far an exchange has come. ``sent``: a part of the request may have arrived.

    ``before_sending`` is awaited once, before the first byte; what it raises stops the exchange.
    """

    sent: bool = False
    before_sending: Callable[[], Awaitable[None]] | None = None

    async def prepare(self) -> None:
        """Do what comes before sending, unless that was done."""
        before, self.before_sending = self.before_sending, None
        if before is not None:
            await before()


_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextlib.contextmanager
def watched(progress: Progress) -> Iterator[Progress]:
    """Have exchanges of this task written down in ``progress``."""
    token = _progress.set(progress)
    try:
        yield progress
    finally:
        _progress.reset(token)


async def prepare() -> None:
    """Let whoever watches do what comes before sending. It may take longer than a server waits."""
    if (progress := _progress.get()) is not None:
        await progress.prepare()


def about_to_send() -> None:
    """Tell whoever watches that the next byte may arrive."""
    if (progress := _progress.get()) is not None:
        progress.sent = True


def fresh() -> dict[str, Any]:
    """The extension of a request that must not ride on a connection used before."""
    return {_FRESH: True}


def is_fresh(request: httpx2.Request) -> bool:
    """Whether a request must not ride on a connection used before."""
    return bool(request.extensions.get(_FRESH))


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
        about_to_send()
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
        line, written = await self._addressed(request, fresh=is_fresh(request))
        try:
            await prepare()
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
            async with asyncio.timeout(CONNECT_SECONDS) as bound:
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
    loop = asyncio.get_running_loop()
    reader = _Reader(limit=_CHUNK_BYTES)
    transport, protocol = await loop.create_connection(
        lambda: asyncio.StreamReaderProtocol(reader),
        host.strip("[]"),
        port,
        ssl=context if scheme == "https" else None,
        happy_eyeballs_delay=0.25,
    )
    return _Line(origin, reader, asyncio.StreamWriter(transport, protocol, reader, loop))


# ------------------------------------------------------------------------- what an answer may be


class Bounded(httpx2.AsyncBaseTransport):
    """Answers that can be read within bounds, whatever the server sends.

    A body comes out decoded, one layer and a piece at a time; that of an answer which is no
    success is cut at ``MAX_ERROR_BYTES``. Cookies are left out.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; see ``Direct``."""
        request.headers["Accept-Encoding"] = "identity"
        answer = await self._inner.handle_async_request(request)
        # One client serves all tasks: what an answer asks it to remember would go out with others'.
        answer.headers.pop("set-cookie", None)
        encoding = answer.headers.pop("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", *_ONE_LAYER):
            await answer.aclose()
            raise ExchangeFailed(Fault.ENCODED, answer.status_code)
        if encoding in _ONE_LAYER:
            answer.headers.pop("content-length", None)
        window = _ONE_LAYER.get(encoding)
        most = None if answer.is_success else MAX_ERROR_BYTES
        stream = _Readable(answer.stream, window, most, answer.status_code)
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers.raw,
            stream=stream,
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _Readable(httpx2.AsyncByteStream):
    """A body as it is to be read."""

    def __init__(self, inner: Any, window: int | None, most_bytes: int | None, status: int) -> None:
        self._inner = inner
        self._window = window
        self._most_bytes = most_bytes
        self._status = status

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async with contextlib.aclosing(self._decoded()) as parts:
            async for part in parts:
                kept = part if self._most_bytes is None else part[: self._most_bytes - read]
                read += len(part)
                yield kept
                if self._most_bytes is not None and read >= self._most_bytes:
                    return

    async def _decoded(self) -> AsyncGenerator[bytes, None]:
        decoder = None if self._window is None else zlib.decompressobj(self._window)
        async for part in self._inner:
            try:
                for piece in _pieces(decoder, part):
                    yield piece
            except zlib.error:
                raise ExchangeFailed(Fault.ENCODED, self._status) from None
        if decoder is not None and not decoder.eof:
            raise ExchangeFailed(Fault.ENCODED, self._status)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _pieces(decoder: Any, part: bytes) -> Iterator[bytes]:
    """What a part of a body says, in pieces of bounded size."""
    if decoder is None:
        yield part
        return
    left = part
    while not decoder.eof and (piece := decoder.decompress(left, _CHUNK_BYTES)):
        yield piece
        left = decoder.unconsumed_tail
