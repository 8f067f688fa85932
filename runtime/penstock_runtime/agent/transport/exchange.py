"""An exchange over HTTP: how far it has come, and what came of it.

What goes wrong is told by class, in words of our own: the words of a library can hold what was to
be sent.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import httpx2

CONNECT_SECONDS: Final = 10.0
_FRESH: Final = "fresh"


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
