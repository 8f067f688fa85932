"""The Anthropic Messages API as a Model. The only module that knows the vendor's client."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx2

from penstock.api import agent as api
from penstock_runtime.agent import faults
from penstock_runtime.agent.model import (
    Failure,
    ModelFailed,
    Reply,
    Request,
    Tokens,
    estimated_tokens,
)
from penstock_runtime.agent.stream import Assembly

_CONNECT_SECONDS: Final = 10.0
_SHOWN_CHARACTERS: Final = 300
_NO_KEY: Final = "none"  # an endpoint that needs no key still gets one: the client insists
# What reading a malformed answer can raise, in the client's decoder and in ours.
_GARBLED: Final = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)


def no_key() -> str:
    """The key for an endpoint that needs none."""
    return _NO_KEY


def key_file(path: Path) -> Callable[[], str]:
    """Reads the API key from a mounted file each time, so that a rotated key is picked up."""
    return lambda: path.read_text(encoding="utf-8").strip()


@dataclass(frozen=True)
class Prompt:
    """What is the same in every request of a revision, as the API takes it."""

    model: str
    system: str
    tools: tuple[Mapping[str, Any], ...] = ()
    effort: api.Effort | None = None

    def parameters(self) -> dict[str, Any]:
        """The parameters, in an order that never changes: a cached prefix stays the same."""
        parameters: dict[str, Any] = {"model": self.model, "system": self.system}
        if self.tools:
            parameters["tools"] = list(self.tools)
        if self.effort:
            parameters["output_config"] = {"effort": self.effort.value.lower()}
        return parameters


class AnthropicModel:
    """Asks the Messages API with the vendor's client, always streamed, never retried by it."""

    def __init__(self, prompt: Prompt, base_url: str, read_key: Callable[[], str]) -> None:
        self._parameters = prompt.parameters()
        self._fixed_tokens = estimated_tokens(self._parameters)
        self._base_url = base_url
        self._read_key = read_key
        self._key = read_key()
        self._client = self._connect()

    def _connect(self) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(
            api_key=self._key, base_url=self._base_url, max_retries=0, timeout=None
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()

    def renew_credentials(self) -> bool:
        """Read the key again; whether it differs from the one used last."""
        try:
            key = self._read_key()
        except OSError:
            return False
        if key == self._key:
            return False
        self._key = key
        self._client = self._client.with_options(api_key=key)
        return True

    async def reply(self, request: Request) -> Reply:
        """Ask once. See ``Model.reply``."""
        asked = self._fixed_tokens + estimated_tokens(request.messages)
        assembly = Assembly(asked)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                await self._read(request, assembly)
            if assembly.complete:
                return assembly.reply()
        except (TimeoutError, anthropic.APITimeoutError) as error:
            message = f"no complete answer within {request.timeout_seconds:.3g} s"
            # Whether the vendor bills it is not known; what was sent is charged.
            charged = assembly.tokens if assembly.tokens.input else Tokens(asked)
            raise ModelFailed(Failure.TIMEOUT, message, tokens=charged) from error
        except anthropic.APIStatusError as error:
            raise _refused(error) from error
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise ModelFailed(
                Failure.CONNECTION, f"the connection broke: {_cause(error)}", tokens=assembly.tokens
            ) from error
        except (anthropic.AnthropicError, *_GARBLED) as error:
            message = f"the answer cannot be read: {_cause(error)}"
            raise ModelFailed(Failure.GARBLED, message, tokens=assembly.tokens) from error
        message = "the answer broke off before its end"
        raise ModelFailed(Failure.INCOMPLETE, message, tokens=assembly.tokens)

    async def _read(self, request: Request, assembly: Assembly) -> None:
        async with self._client.messages.with_streaming_response.create(
            **self._parameters,
            messages=list(request.messages),  # type: ignore[arg-type]  # exact JSON, not typed dicts
            max_tokens=request.max_tokens,
            stream=True,
            timeout=httpx2.Timeout(request.timeout_seconds, connect=_CONNECT_SECONDS),
        ) as response:
            async for event in _events(response.http_response):
                if event.get("type") == "error":
                    raise _broken_off(event, assembly)
                assembly.add(event)


async def _events(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream as they are on the wire: typed ones would lose what is new."""
    async for raw in anthropic.AsyncStream.raw_events(response):
        if raw.data:
            yield json.loads(raw.data)


def _refused(error: anthropic.APIStatusError) -> ModelFailed:
    headers = error.response.headers
    kind = faults.kind_of(error.status_code, error.type or "", error.error_code or "", headers)
    what = f"{error.status_code} {error.type or ''}".strip()
    words = (error.api_message or str(error))[:_SHOWN_CHARACTERS]
    return ModelFailed(kind, f"{what}: {words}", faults.retry_after_seconds(headers))


def _broken_off(event: Mapping[str, Any], assembly: Assembly) -> ModelFailed:
    error = event["error"]
    code = (error.get("details") or {}).get("error_code") or ""
    kind = faults.kind_of(200, error["type"], code, {})
    words = f"{error['type']}: {error.get('message', '')}"[:_SHOWN_CHARACTERS]
    return ModelFailed(kind, f"the answer broke off: {words}", tokens=assembly.tokens)


def _cause(error: BaseException) -> str:
    text = str(error.__cause__ or error) or type(error).__name__
    return text[:_SHOWN_CHARACTERS]
