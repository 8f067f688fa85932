"""One attempt at a delivery: a POST with a deadline, to where it was addressed and nowhere else."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from penstock.errors import PenstockError
from penstock_runtime.gateway.webhooks.messages import Message
from penstock_runtime.gateway.webhooks.signing import SecretUnusable

DEADLINE_SECONDS: Final = 10.0
AT_A_TIME: Final = 8  # to one target
LONGEST_RETRY_AFTER_SECONDS: Final = 3600.0
_SECONDS: Final = httpx.Timeout(DEADLINE_SECONDS)
_LIMITS: Final = httpx.Limits(max_connections=AT_A_TIME, max_keepalive_connections=AT_A_TIME)


class Undelivered(PenstockError):
    """A target did not take a message. ``retry_after``: seconds that it asked for; 0: it did not."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass
class _Trusting:
    """Connections that know the target by one state of ``ca.crt``, and how many deliveries are under way on them."""

    mark: object
    http: httpx.AsyncClient
    under_way: int = 0


class Post:
    """The connections to one target; its certificate is known by ``ca.crt`` of its Secret, if any.

    Where that is replaced, deliveries under way end on the connections that they began on.
    """

    def __init__(self, secret: Path) -> None:
        self._authority = secret / "ca.crt"
        self._present: _Trusting | None = None

    async def aclose(self) -> None:
        """Close all connections on which no delivery is under way; those others close at its end."""
        present, self._present = self._present, None
        if present and not present.under_way:
            await present.http.aclose()

    async def send(self, message: Message) -> None:
        """Send a message; any answer of success takes it, whatever it says.

        Raises:
            Undelivered: there was none in time.
            SecretUnusable: ``ca.crt`` is no certificate, or an address or header cannot be sent.
        """
        try:
            async with self._trusting() as http, asyncio.timeout(DEADLINE_SECONDS):
                request = http.build_request(
                    "POST", message.url, content=message.body, headers=dict(message.headers)
                )
                answer = await http.send(request, stream=True)
                await answer.aclose()
        except TimeoutError:
            raise Undelivered(f"no answer within {DEADLINE_SECONDS:g} s") from None
        except httpx.HTTPError as error:  # of what it says, an address may be a part
            raise Undelivered(f"it cannot be reached ({type(error).__name__})") from None
        except (httpx.InvalidURL, UnicodeError, ValueError):
            raise SecretUnusable("path or authorization of the Secret cannot be sent") from None
        if not answer.is_success:
            redirects = ", and redirects are not followed" if answer.is_redirect else ""
            reason = f"it answered {answer.status_code}{redirects}"
            raise Undelivered(reason, _retry_after(answer))

    @contextlib.asynccontextmanager
    async def _trusting(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client by the certificate of now; who leaves last closes one of before."""
        held = await self._by_present_authority()
        held.under_way += 1
        try:
            yield held.http
        finally:
            held.under_way -= 1
            if held is not self._present and not held.under_way:
                await held.http.aclose()

    async def _by_present_authority(self) -> _Trusting:
        try:
            seen = self._authority.stat()
            mark: object = (seen.st_mtime_ns, seen.st_ino, seen.st_size)
        except OSError:
            mark = ""
        before = self._present
        if before is not None and mark == before.mark:
            return before
        self._present = _Trusting(mark, self._client(trusts_own=bool(mark)))
        if before and not before.under_way:
            await before.http.aclose()
        return self._present

    def _client(self, *, trusts_own: bool) -> httpx.AsyncClient:
        try:
            context = (
                ssl.create_default_context(cafile=self._authority)
                if trusts_own
                else httpx.create_ssl_context(trust_env=False)
            )
        except (OSError, ValueError):
            raise SecretUnusable("ca.crt of the Secret is no certificate") from None
        return httpx.AsyncClient(
            verify=context,
            limits=_LIMITS,
            timeout=_SECONDS,
            trust_env=False,
            follow_redirects=False,
        )


def _retry_after(answer: httpx.Response) -> float:
    told = answer.headers.get("retry-after", "")
    if not (told.isascii() and told.isdecimal()):
        return 0.0
    return min(float(told[:9]), LONGEST_RETRY_AFTER_SECONDS)
