"""How one request is answered on purpose: the `#fake {json}` line of a system prompt."""

import functools
import hashlib
import json
from typing import Annotated, Any, Literal

import pydantic
from pydantic import alias_generators

MARKER = "#fake"
LARGEST_PADDING_BYTES = 64 * 1024 * 1024

ErrorStatus = Literal[400, 401, 402, 403, 404, 408, 409, 413, 429, 500, 502, 503, 504, 529]
RefusalCategory = Literal["cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"]
StopReason = Literal["end_turn", "pause_turn", "model_context_window_exceeded"]
Percent = Annotated[float, pydantic.Field(ge=0, le=100)]


class ScriptError(ValueError):
    """The `#fake` line cannot be used; the text names the key and the problem."""


_STRICT = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)


_FAULTS = (
    "latency_ms", "error_percent", "refusal_percent", "garbage_percent", "cut_stream_percent",
    "stream_error_percent", "drop_stream_percent", "stall_ms",
)  # fmt: skip
_WELL = dict.fromkeys(_FAULTS, 0) | {"omit_usage": False, "never_stream": False}


class ToolCall(pydantic.BaseModel):
    """One tool the scripted model asks for, with the input it sends."""

    model_config = _STRICT

    name: Annotated[str, pydantic.Field(min_length=1, max_length=128)]
    input: dict[str, Any] = {}
    id: str | None = None


class Overhead(pydantic.BaseModel):
    """Tokens of input that are charged besides the text: for a request, a message, a tool."""

    model_config = _STRICT

    call: Annotated[int, pydantic.Field(ge=0, le=1_000_000)] = 0
    message: Annotated[int, pydantic.Field(ge=0, le=1_000_000)] = 0
    tool: Annotated[int, pydantic.Field(ge=0, le=1_000_000)] = 0


class Script(pydantic.BaseModel):
    """What the scripted model does. Keys are written in camel case and all optional; an empty
    script answers with a short text.
    """

    model_config = _STRICT | {"alias_generator": alias_generators.to_camel}

    text: str | None = None
    text_before: str | None = None
    text_after: str | None = None
    thinking: str | None = None
    output_tokens: Annotated[int, pydantic.Field(ge=0, le=128_000)] | None = None
    latency_ms: Annotated[float, pydantic.Field(ge=0, le=3_600_000)] = 0
    tokens_per_second: Annotated[float, pydantic.Field(gt=0)] | None = None
    stop_reason: StopReason = "end_turn"

    tool_calls: tuple[ToolCall, ...] = ()
    loop_tool: ToolCall | None = None
    tool_call_percent: Percent = 100

    error_percent: Percent = 0
    error_status: ErrorStatus = 400
    error_type: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    retry_after_seconds: Annotated[float, pydantic.Field(ge=0)] | None = None
    should_retry: bool | None = None

    refusal_percent: Percent = 0
    refusal_category: RefusalCategory | None = None
    garbage_percent: Percent = 0
    omit_usage: bool = False
    overhead_tokens: Overhead = Overhead()
    token_per_byte: bool = False
    padding_bytes: Annotated[int, pydantic.Field(ge=0, le=LARGEST_PADDING_BYTES)] = 0

    cut_stream_percent: Percent = 0
    stream_error_percent: Percent = 0
    drop_stream_percent: Percent = 0
    stall_ms: Annotated[float, pydantic.Field(ge=0, le=3_600_000)] = 0
    chunk_bytes: Annotated[int, pydantic.Field(ge=1)] | None = None
    unknown_events: bool = False
    after_stop: str = ""
    keep_open: bool = False
    never_stream: bool = False
    faulty_models: tuple[str, ...] = ()

    @pydantic.field_validator("loop_tool", mode="before")
    @classmethod
    def _tool_name_alone(cls, value: object) -> object:
        return ToolCall(name=value) if isinstance(value, str) and value else value

    @pydantic.field_validator("tool_calls", "faulty_models", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


def for_model(script: Script, model: str) -> Script:
    """The script of one model: one that is not among the faulty ones, where there are some, is well."""
    if not script.faulty_models or model in script.faulty_models:
        return script
    return script.model_copy(update=_WELL)


@functools.lru_cache(maxsize=1024)
def parse(system_text: str) -> Script:
    """The script written in a system prompt, or the empty script when it has no `#fake` line.

    Raises ScriptError when the line is not a JSON object of known keys, or when there are several.
    """
    lines = [line.strip() for line in system_text.splitlines() if line.strip().startswith(MARKER)]
    match lines:
        case []:
            return Script()
        case [line]:
            return _parse_line(line.removeprefix(MARKER))
        case _:
            raise ScriptError(f"system: {len(lines)} {MARKER} lines, at most one is allowed")


def _parse_line(text: str) -> Script:
    try:
        keys = json.loads(text)
    except ValueError as error:
        raise ScriptError(f"system: the {MARKER} line is not JSON: {error}") from error
    try:
        return Script.model_validate(keys)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the value"
        raise ScriptError(f"system: {MARKER} line: {key}: {first['msg']}") from error


@functools.lru_cache(maxsize=1024)
def prompt_digest(system_text: str) -> str:
    """The name of a system prompt in draws and in the journal: SHA-256, 64 hex digits."""
    return hashlib.sha256(system_text.encode("utf-8", "surrogatepass")).hexdigest()
