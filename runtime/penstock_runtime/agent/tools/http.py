"""Tools carried out over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_plus, urlencode

import httpx2

from penstock.api.tool import Effect, HTTPMethod, Tool
from penstock_runtime import redaction
from penstock_runtime.agent import credentials
from penstock_runtime.agent.tools.toolset import BeforeSending, ToolRequest, ToolResult
from penstock_runtime.agent.transport import bounded, direct, exchange

MAX_QUERY_CHARACTERS: Final = 64 * 1024
_IN_QUERY: Final = (HTTPMethod.GET, HTTPMethod.DELETE)
_ERROR_CHARACTERS: Final = 2000
_REASON_CHARACTERS: Final = 100


class HTTPTools:
    """Calls the endpoints of tools. Redirects are not followed; nothing is retried."""

    def __init__(
        self,
        headers_dir: Path | None,
        carrier: Callable[[], httpx2.AsyncBaseTransport] = direct.Direct,
    ) -> None:
        """``headers_dir`` holds a folder per tool with one file per header, as Secrets are mounted."""
        self._headers_dir = headers_dir
        self._client = httpx2.AsyncClient(
            transport=bounded.Bounded(carrier()),
            follow_redirects=False,
            trust_env=False,
            timeout=None,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def call(self, request: ToolRequest) -> ToolResult:
        """Call a tool. See ``Toolset.call``."""
        tool, seconds = request.tool, request.timeout_seconds
        try:
            sent = self._written(request)
        except credentials.Unfit as unfit:
            return _not_called(f"Secret {_secret_of(tool)}: {unfit}")
        except (httpx2.InvalidURL, UnicodeError):
            return _not_called("its address cannot be used")
        except (ValueError, TypeError):
            return _not_called("its input cannot be written for this method")
        progress = exchange.Progress()
        try:
            with exchange.watched(progress):
                async with asyncio.timeout(seconds) as bound:
                    if request.before_sending is not None:
                        progress.before_sending = _uncounted(request.before_sending, bound)
                    return await self._send(sent, tool.max_output_bytes)
        except TimeoutError:
            return _late(seconds, sent=progress.sent)
        except httpx2.HTTPError as error:
            return _broken(error, sent=progress.sent)

    async def _send(self, request: httpx2.Request, most_bytes: int) -> ToolResult:
        response = await self._client.send(request, stream=True)
        try:
            body, cut = await _read(response, most_bytes)
        finally:
            await response.aclose()
        return _result(response, body, most_bytes if cut else None)

    def _written(self, request: ToolRequest) -> httpx2.Request:
        tool, given = request.tool, request.input
        ours = {name.lower() for name in request.headers}
        secret = self._secret_headers(tool)
        sent = {name: value for name, value in secret.items() if name.lower() not in ours}
        sent |= request.headers
        method, url = tool.http.method, tool.http.url.partition("#")[0]
        # A connection that its server may be closing leaves open whether a call arrived.
        once = exchange.fresh() if tool.effect is Effect.IRREVERSIBLE else {}
        if method in _IN_QUERY:
            url = with_query(url, given)
            return self._client.build_request(method.value, url, headers=sent, extensions=once)
        return self._client.build_request(
            method.value, url, headers=sent, json=dict(given), extensions=once
        )

    def _secret_headers(self, tool: Tool) -> dict[str, str]:
        """Read anew for each call, so that a rotated Secret is picked up."""
        if self._headers_dir is None or tool.headers_secret is None:
            return {}
        return credentials.headers(self._headers_dir / tool.name)


def _uncounted(before: BeforeSending, bound: asyncio.Timeout) -> Callable[[], Awaitable[None]]:
    """What is done before sending, at no cost of the time in which the tool must answer."""
    now = asyncio.get_running_loop().time

    async def done() -> None:
        left = (bound.when() or now()) - now()
        bound.reschedule(None)
        left = min(left, await before())
        if left <= 0:
            raise TimeoutError
        bound.reschedule(now() + left)

    return done


def with_query(url: str, given: Mapping[str, Any]) -> str:
    """An address with an input as its query; a parameter of the address gives way to the input's.

    Raises:
        ValueError: the input is too long for an address.
    """
    address, _, declared = url.partition("?")
    pairs = [pair for pair in declared.split("&") if pair and _name_of(pair) not in given]
    asked = urlencode(
        {name: _query_value(value) for name, value in given.items()}, errors="replace"
    )
    query = "&".join([*pairs, asked] if asked else pairs)
    if len(query) > MAX_QUERY_CHARACTERS:
        raise ValueError("the query is too long")
    return f"{address}?{query}" if query else address


def _name_of(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _query_value(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _secret_of(tool: Tool) -> str:
    return tool.headers_secret.name if tool.headers_secret else ""


# -------------------------------------------------------------------------------- what a call brought


def _not_called(why: str) -> ToolResult:
    return ToolResult(f"the tool cannot be called: {why}; it was not called", ok=False)


def _late(seconds: float, *, sent: bool) -> ToolResult:
    if not sent:
        text = f"the tool could not be reached within {seconds:.3g} s; it was not called"
        return ToolResult(text, ok=False)
    text = f"the tool did not answer within {seconds:.3g} s; whether it acted is not known"
    return ToolResult(text, ok=False, known=False)


def _broken(error: httpx2.HTTPError, *, sent: bool) -> ToolResult:
    fault = error.fault if isinstance(error, exchange.ExchangeFailed) else exchange.Fault.BROKE
    if not sent:
        return ToolResult(f"the tool cannot be reached: {fault}; it was not called", ok=False)
    status = error.status if isinstance(error, exchange.ExchangeFailed) else 0
    if status:
        text = f"HTTP {status}, but the output cannot be read: {fault}"
        return ToolResult(text, ok=200 <= status < 300)
    text = f"no whole answer of the tool: {fault}; whether it acted is not known"
    return ToolResult(text, ok=False, known=False)


async def _read(response: httpx2.Response, most_bytes: int) -> tuple[bytes, bool]:
    """The body's beginning, and whether there was more."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most_bytes:
            return bytes(body[:most_bytes]), True
    return bytes(body), False


def _result(response: httpx2.Response, body: bytes, cut_at: int | None) -> ToolResult:
    text = body.decode("utf-8", "replace")
    if cut_at is None:
        text = redaction.redact(text)
    else:
        text = redaction.redact_cut(text)
        text += f"\n[cut: the output was longer than {cut_at} bytes]"
    if response.is_success:
        return ToolResult(text or "(no output)", ok=True)
    hint = " (redirects are not followed)" if response.is_redirect else ""
    reason = redaction.shortened(response.reason_phrase, _REASON_CHARACTERS)
    status = f"HTTP {response.status_code} {reason}".strip()
    return ToolResult(f"{status}{hint}: {text[:_ERROR_CHARACTERS]}", ok=False)
