"""One attempt at a delivery: a POST with a deadline, to where it was addressed and nowhere else."""

import asyncio
import ssl
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


class Post:
    """The connections to one target; its certificate is known by ``ca.crt`` of its Secret, if any."""

    def __init__(self, secret: Path) -> None:
        self._authority = secret / "ca.crt"
        self._mark: object = None
        self._http: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http:
            await self._http.aclose()

    async def send(self, message: Message) -> None:
        """Send a message; any answer of success takes it, whatever it says.

        Raises:
            Undelivered: there was none in time.
            SecretUnusable: ``ca.crt`` is no certificate, or an address or header cannot be sent.
        """
        try:
            http = await self._trusting()
            async with asyncio.timeout(DEADLINE_SECONDS):
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

    async def _trusting(self) -> httpx.AsyncClient:
        try:
            seen = self._authority.stat()
            mark: object = (seen.st_mtime_ns, seen.st_ino, seen.st_size)
        except OSError:
            mark = ""
        if self._http is None or mark != self._mark:
            await self.aclose()
            self._http = self._client(trusts_own=bool(mark))
            self._mark = mark
        return self._http

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
