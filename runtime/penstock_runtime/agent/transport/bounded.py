"""Answers that can be read within bounds, whatever a server sends."""

import contextlib
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final

import httpx2

from penstock_runtime.agent.transport.exchange import ExchangeFailed, Fault

MAX_ERROR_BYTES: Final = 64 * 1024  # of the body of an answer that is no success; then it is cut
_PIECE_BYTES: Final = 64 * 1024
_ONE_LAYER: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # as zlib's window says them


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
    while not decoder.eof and (piece := decoder.decompress(left, _PIECE_BYTES)):
        yield piece
        left = decoder.unconsumed_tail
