"""The Anthropic Messages API as a Model. The only module that knows the vendor's client."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import anthropic
import httpx2

from penstock.api import agent as api
from penstock.money import bound
from penstock.money.pool import PerMinute
from penstock.money.prices import Tokens
from penstock_runtime import redaction
from penstock_runtime.agent import credentials
from penstock_runtime.agent.models import caching, echo, faults, sse
from penstock_runtime.agent.models.estimates import estimated_tokens
from penstock_runtime.agent.models.model import (
    Charge,
    Failure,
    Identity,
    Message,
    ModelFailed,
    PromptSize,
    Reply,
    Request,
)
from penstock_runtime.agent.models.stream import Assembly
from penstock_runtime.agent.transport import bounded, direct, exchange

_SHOWN_CHARACTERS: Final = 300
_WORD_CHARACTERS: Final = 64
_ACCOUNT_DIGITS: Final = 8  # enough to tell accounts apart, too few to find a credential by
_MARK_DIGITS: Final = 16
_COUNT_SECONDS: Final = 10.0
_NO_KEY: Final = "none"  # an endpoint that needs no key still gets one: the client insists
_LINGER_SECONDS: Final = 0.02  # for the end of a body after the end of its message
# What reading a malformed answer can raise, in the client's decoder and in ours.
_GARBLED: Final = (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError)


def no_key() -> str:
    """The key for an endpoint that needs none."""
    return _NO_KEY


def key_file(path: Path) -> Callable[[], str]:
    """Reads the API key from a mounted file each time, so that a rotated key is picked up."""
    return lambda: credentials.key(path)


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

    def __init__(
        self,
        prompt: Prompt,
        base_url: str,
        read_key: Callable[[], str],
        carrier: Callable[[], httpx2.AsyncBaseTransport] = direct.Direct,
    ) -> None:
        parameters = prompt.parameters()
        self.prompt_tokens = estimated_tokens(parameters)
        self.prompt_size = _size(parameters, base_url)
        self._parameters = caching.marked_prompt(parameters)
        self._has_tools = bool(prompt.tools)
        self._base_url = base_url
        self._read_key = read_key
        self._key = read_key()
        self._model = prompt.model
        self._http = httpx2.AsyncClient(
            transport=bounded.Bounded(carrier()), trust_env=False, timeout=None
        )
        self._client = self._connect()

    def _connect(self) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(
            api_key=self._key,
            base_url=self._base_url,
            max_retries=0,
            timeout=None,
            http_client=self._http,
        )

    @property
    def account(self) -> str:
        """What tells the endpoint with the key used last from others."""
        return account_of(self._base_url, self._key)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()

    def renew_credentials(self) -> bool:
        """Read the key again; whether it differs from the one used last."""
        try:
            key = self._read_key()
        except credentials.Unfit:
            return False
        if key == self._key:
            return False
        self._key = key
        self._client = self._client.with_options(api_key=key)
        return True

    async def reply(self, request: Request) -> Reply:
        """Ask once. See ``Model.reply``."""
        by = Identity(self._model, self.account)
        call = _Call(self.prompt_tokens + estimated_tokens(request.messages))
        try:
            await self._carry_out(replace(request, messages=_readable(request, by)), call)
            if call.assembly.complete:
                counted = call.assembly.counted
                counted_by = self.prompt_size.mark if counted else ""
                reply = call.assembly.reply()
                return replace(
                    reply, by=by, counted=counted, counted_by=counted_by, allowed=call.allowed
                )
        except asyncio.CancelledError:
            request.bill.book(Charge(call.charge))
            raise
        except anthropic.APIStatusError as error:
            raise _refused(error, self._base_url) from None
        except (anthropic.AnthropicError, httpx2.HTTPError, *_GARBLED) as error:
            raise _failed(error, call.charge) from None
        message = "the answer broke off before its end"
        raise ModelFailed(Failure.INCOMPLETE, message, tokens=call.charge)

    async def count_tokens(self, request: Request) -> int | None:
        """See ``Model.count_tokens``."""
        by = Identity(self._model, self.account)
        messages = echo.ready(_readable(request, by))
        seconds = min(_COUNT_SECONDS, request.timeout_seconds, request.left_seconds)
        try:
            async with asyncio.timeout(seconds):
                found = await self._client.messages.count_tokens(
                    **self._parameters,
                    messages=caching.marked_messages(messages, goes_on=self._has_tools),  # type: ignore[arg-type]  # exact JSON
                )
                counted: object = found.input_tokens  # whatever stood there
        except TimeoutError:
            raise ModelFailed(Failure.TIMEOUT, f"no count within {seconds:.3g} s") from None
        except anthropic.APIStatusError as error:
            if faults.is_not_offered(error.status_code):
                return None
            raise _refused(error, self._base_url) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
            raise _failed(error, Tokens()) from None
        except (anthropic.AnthropicError, *_GARBLED):
            return None  # whatever was answered there, it is no count
        return counted if isinstance(counted, int) and counted > 0 else None

    async def _carry_out(self, request: Request, call: "_Call") -> None:
        try:
            with exchange.watched(call.progress):
                async with asyncio.timeout(request.timeout_seconds):
                    await self._read(request, call)
        except TimeoutError:
            if call.assembly.complete:  # only the end of its body was still waited for
                return
            message = f"no complete answer within {request.timeout_seconds:.3g} s"
            raise ModelFailed(Failure.TIMEOUT, message, tokens=call.charge) from None

    async def _read(self, request: Request, call: "_Call") -> None:
        messages = echo.ready(request.messages)
        async with self._client.messages.with_streaming_response.create(
            **self._parameters,
            messages=caching.marked_messages(messages, goes_on=self._has_tools),  # type: ignore[arg-type]  # exact JSON
            max_tokens=request.max_tokens,
            stream=True,
        ) as response:
            answer = response.http_response
            _must_stream(answer)
            call.allowed = faults.allowed(answer.headers)
            async with contextlib.aclosing(answer.aiter_raw()) as chunks:
                await _assemble(chunks, call.assembly)
                await _to_the_end(chunks)


def _size(parameters: Mapping[str, Any], base_url: str) -> PromptSize:
    said = json.dumps([parameters, base_url], sort_keys=True).encode()
    mark = hashlib.sha256(said).hexdigest()[:_MARK_DIGITS]
    return PromptSize(bound.bytes_of(parameters), len(parameters.get("tools", ())), mark)


def account_of(base_url: str, key: str) -> str:
    """What tells an endpoint with a key from others."""
    return hashlib.sha256(f"{base_url}\n{key}".encode()).hexdigest()[:_ACCOUNT_DIGITS]


def _readable(request: Request, by: Identity) -> Sequence[Message]:
    """The messages as this model takes them: it refuses what another one has thought."""
    if request.said_by.differs(by):
        return echo.all_without_thinking(request.messages)
    return request.messages


class _Call:
    """A call under way: how far it has come, and what it has used."""

    def __init__(self, asked_tokens: int) -> None:
        self._asked_tokens = asked_tokens
        self.assembly = Assembly(asked_tokens)
        self.progress = exchange.Progress()
        self.allowed: PerMinute | None = None

    @property
    def charge(self) -> Tokens:
        """What must be paid when it is cut now or has broken: nothing before anything was sent.

        Whether the vendor bills what brought no answer is not known; what was sent is charged.
        """
        if self.assembly.started:
            return self.assembly.tokens
        return Tokens(self._asked_tokens) if self.progress.sent else Tokens()


async def _assemble(chunks: AsyncIterator[bytes], assembly: Assembly) -> None:
    """Read a message to its own end, and nothing that follows it."""
    async with contextlib.aclosing(sse.events(chunks)) as events:
        async for event in events:
            if event.get("type") == "error":
                raise _broken_off(event, assembly)
            assembly.add(event)
            if assembly.over:
                return


async def _to_the_end(chunks: AsyncIterator[bytes]) -> None:
    """Wait a moment for the end of the body: then its connection can be used again."""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(_LINGER_SECONDS):
            async for _ in chunks:
                pass


def _must_stream(answer: httpx2.Response) -> None:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/json", "text/html"):
        raise sse.Unreadable(
            f"it is one body of {kind} instead of a stream of events; the endpoint "
            "must stream (check model.baseURL and what stands in between)"
        )


# -------------------------------------------------------------------------------- what went wrong


def _failed(error: BaseException, tokens: Tokens) -> ModelFailed:
    """A failure in words of our own, by its class."""
    broken = error if isinstance(error, exchange.ExchangeFailed) else error.__cause__
    match broken:
        case exchange.ExchangeFailed(
            fault=exchange.Fault.ENCODED | exchange.Fault.NOT_HTTP as fault
        ):
            return ModelFailed(Failure.GARBLED, f"the answer cannot be read: {fault}", None, tokens)
        case exchange.ExchangeFailed(fault=fault):
            words = f"the model cannot be reached: {fault}"
            return ModelFailed(Failure.CONNECTION, words, None, tokens)
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
        return ModelFailed(Failure.CONNECTION, "the connection broke", None, tokens)
    why = str(error) if isinstance(error, sse.Unreadable) else "it is no message of the API"
    return ModelFailed(Failure.GARBLED, f"the answer cannot be read: {why}", None, tokens)


def _refused(error: anthropic.APIStatusError, base_url: str) -> ModelFailed:
    headers, status = error.response.headers, error.status_code
    kind_said, code = _word(error.type), _word(error.error_code)
    said = error.api_message
    words = said if isinstance(said, str) and said else _text(error.response)
    kind = faults.kind_of(status, kind_said, code, headers)
    if faults.is_too_long(status, words):
        kind = Failure.TOO_LONG
    what = f"{status} {kind_said}".strip()
    shown = redaction.shortened(words, _SHOWN_CHARACTERS) or "(no words)"
    return ModelFailed(
        kind,
        f"{what}: {shown}{_hint(status, base_url)}",
        faults.retry_after_seconds(headers),
        access=faults.access_of(status, kind_said),
        status=status,
    )


def _hint(status: int, base_url: str) -> str:
    """What to look at first, where a status has a usual cause."""
    if status in (404, 405) and base_url.rstrip("/").endswith("/v1"):
        return " (model.baseURL ends with /v1, and the client appends /v1/messages: leave it out)"
    if status in (404, 405):
        return " (asked was model.baseURL with /v1/messages appended)"
    if 300 <= status < 400:
        return " (redirects are not followed: write the address they lead to into model.baseURL)"
    return ""


def _text(response: httpx2.Response) -> str:
    try:
        return response.text
    except (httpx2.HTTPError, httpx2.ResponseNotRead, LookupError):
        return ""


def _word(value: Any) -> str:
    return redaction.redact(value)[:_WORD_CHARACTERS] if isinstance(value, str) else ""


def _broken_off(event: Mapping[str, Any], assembly: Assembly) -> ModelFailed:
    error = event["error"]
    code = _word((error.get("details") or {}).get("error_code"))
    kind_said = _word(error["type"])
    kind = faults.kind_of(200, kind_said, code, {})
    words = f"{kind_said}: {error.get('message', '')}"
    shown = redaction.shortened(words, _SHOWN_CHARACTERS)
    message, access = f"the answer broke off: {shown}", faults.access_of(200, kind_said)
    return ModelFailed(kind, message, tokens=assembly.tokens, access=access, status=200)
