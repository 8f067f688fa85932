"""An answer given while the caller still sends."""

import asyncio
import contextlib
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LINGER_SECONDS: Final = 5.0
LINGER_BYTES: Final = 64 << 20


class Lingering(Response):
    """Answers at once and closes only when the caller has stopped sending, within bounds.

    A connection that is closed with unread data is reset, and the reset can overtake the answer:
    the caller would see a broken connection instead of the reason.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the answer, throw away what still comes, then close."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _drain(receive)
        await send({"type": "http.response.body", "body": b""})


async def _drain(receive: Receive) -> None:
    left = LINGER_BYTES
    while left > 0:
        message = await receive()
        if not message.get("more_body", False):
            return
        left -= len(message["body"])
