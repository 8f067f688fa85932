"""Tools carried out over HTTP."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from penstock.api.agent import HTTPMethod, Tool

_IN_QUERY: Final = (HTTPMethod.GET, HTTPMethod.DELETE)
_ERROR_CHARACTERS: Final = 2000
_LONGEST_SECONDS: Final = 600.0  # the tool's own timeoutSeconds ends a call before
_CONNECTIONS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=100)


@dataclass(frozen=True)
class ToolResult:
    """What a call brought, for the model to read. ``known``: whether it is certain what happened."""

    text: str
    ok: bool
    known: bool = True


class HTTPTools:
    """Calls the endpoints of tools. Redirects are not followed; nothing is retried."""

    def __init__(self, headers_dir: Path | None) -> None:
        """``headers_dir`` holds a folder per tool with one file per header, as Secrets are mounted."""
        self._headers_dir = headers_dir
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            limits=_CONNECTIONS,
            timeout=_LONGEST_SECONDS,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def call(
        self, tool: Tool, given: Mapping[str, Any], headers: Mapping[str, str], seconds: float
    ) -> ToolResult:
        """Call a tool and wait at most so long; every failure is a result."""
        try:
            request = self._request(tool, given, headers)
        except (OSError, ValueError, TypeError, httpx.InvalidURL) as error:
            return ToolResult(f"the tool cannot be called: {_words(error)}", ok=False)
        try:
            async with asyncio.timeout(seconds):
                return await self._send(request, tool.max_output_bytes)
        except TimeoutError:
            text = f"the tool did not answer within {seconds:.3g} s; whether it acted is not known"
            return ToolResult(text, ok=False, known=False)
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
            return ToolResult(f"the tool cannot be reached: {_words(error)}", ok=False)
        except (httpx.HTTPError, OSError) as error:
            text = (
                f"the connection to the tool broke: {_words(error)}; whether it acted is not known"
            )
            return ToolResult(text, ok=False, known=False)

    async def _send(self, request: httpx.Request, most_bytes: int) -> ToolResult:
        response = await self._client.send(request, stream=True)
        try:
            body, cut = await _read(response, most_bytes)
        finally:
            await response.aclose()
        return _result(response, body, most_bytes if cut else None)

    def _request(
        self, tool: Tool, given: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Request:
        url = httpx.URL(tool.http.url)
        sent = {**self._secret_headers(tool), **headers}
        method = tool.http.method
        if method in _IN_QUERY:
            query = {name: _query_value(value) for name, value in given.items()}
            url = url.copy_merge_params(query)
            return self._client.build_request(method.value, url, headers=sent)
        return self._client.build_request(method.value, url, headers=sent, json=dict(given))

    def _secret_headers(self, tool: Tool) -> dict[str, str]:
        """Read anew for each call, so that a rotated Secret is picked up."""
        ref = tool.http.headers_from_secret_ref
        if self._headers_dir is None or ref is None:
            return {}
        files = (self._headers_dir / tool.name).iterdir()
        # A mounted Secret keeps its versions in folders that begin with two dots.
        found = {
            file.name: file.read_text(encoding="utf-8").strip()
            for file in files
            if not file.name.startswith("..")
        }
        if not found:  # the Secret was deleted while the worker runs
            raise FileNotFoundError(f"Secret {ref.name} holds no header")
        return found


def _query_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


async def _read(response: httpx.Response, most_bytes: int) -> tuple[bytes, bool]:
    """The body's beginning, and whether there was more."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most_bytes:
            return bytes(body[:most_bytes]), True
    return bytes(body), False


def _result(response: httpx.Response, body: bytes, cut_at: int | None) -> ToolResult:
    text = body.decode("utf-8", "replace")
    if cut_at is not None:
        text += f"\n[cut: the output was longer than {cut_at} bytes]"
    if response.is_success:
        return ToolResult(text or "(no output)", ok=True)
    hint = " (redirects are not followed)" if response.is_redirect else ""
    status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
    return ToolResult(f"{status}{hint}: {text[:_ERROR_CHARACTERS]}", ok=False)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
