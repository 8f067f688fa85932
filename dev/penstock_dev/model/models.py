"""The models the server knows, and what each of them accepts."""

import functools
from dataclasses import dataclass
from typing import Any

EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True)
class Model:
    """One entry of the catalogue. Sizes in tokens, dates in RFC 3339.

    A model that `binds_thinking` takes back a thought only after the very conversation it had it in.
    A prompt below `min_cached_tokens` is kept in no cache.
    """

    id: str
    created_at: str
    max_input_tokens: int = 1_000_000
    max_tokens: int = 128_000
    refuses_forced_tools: bool = False
    takes_prefill: bool = False
    binds_thinking: bool = False
    min_cached_tokens: int = 512
    deprecated_at: str | None = None
    retires_at: str | None = None

    @property
    def line(self) -> str:
        """The family the model belongs to."""
        return self.id.split("-")[1]


def _strictest(identifier: str, created_at: str) -> Model:
    return Model(identifier, created_at, refuses_forced_tools=True, binds_thinking=True)


def _smallest(identifier: str, created_at: str) -> Model:
    return Model(
        identifier, created_at, 200_000, 64_000, takes_prefill=True, min_cached_tokens=4096
    )


_NEWEST_FIRST = (
    _strictest("claude-fable-5-2", "2026-11-09T00:00:00Z"),
    _strictest("claude-mythos-5-2", "2026-11-09T00:00:00Z"),
    Model("claude-haiku-5-5", "2026-10-07T00:00:00Z", binds_thinking=True, min_cached_tokens=4096),
    Model("claude-sonnet-5-5", "2026-10-07T00:00:00Z", binds_thinking=True, min_cached_tokens=1024),
    _strictest("claude-opus-5-5", "2026-09-22T00:00:00Z"),
    _strictest("claude-fable-5-1", "2026-08-31T00:00:00Z"),
    _strictest("claude-mythos-5-1", "2026-08-31T00:00:00Z"),
    Model("claude-sonnet-5", "2026-06-30T00:00:00Z", min_cached_tokens=1024),
    Model("claude-fable-5", "2026-06-09T00:00:00Z"),
    Model("claude-mythos-5", "2026-06-09T00:00:00Z"),
    Model("claude-opus-5", "2026-06-09T00:00:00Z"),
    Model("claude-opus-4-8", "2026-05-28T00:00:00Z", min_cached_tokens=1024),
    Model("claude-opus-4-7", "2026-04-16T00:00:00Z", min_cached_tokens=2048),
    Model("claude-opus-4-6", "2026-02-05T00:00:00Z", min_cached_tokens=4096),
    Model("claude-sonnet-4-6", "2026-02-17T00:00:00Z", max_tokens=64_000, min_cached_tokens=1024),
    _smallest("claude-opus-4-5", "2025-11-24T00:00:00Z"),
    _smallest("claude-haiku-4-5", "2025-10-15T00:00:00Z"),
    Model(
        "claude-sonnet-4-5",
        "2025-09-29T00:00:00Z",
        200_000,
        64_000,
        takes_prefill=True,
        min_cached_tokens=1024,
        deprecated_at="2026-08-31T00:00:00Z",
        retires_at="2026-11-30T00:00:00Z",
    ),
)

KNOWN = {model.id: model for model in _NEWEST_FIRST}


def as_json(model: Model) -> dict[str, Any]:
    """The model as `GET /v1/models/{id}` shows it."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": _display_name(model.id),
        "line": model.line,
        "created_at": model.created_at,
        "lifecycle": "deprecated" if model.deprecated_at else "active",
        "deprecated_at": model.deprecated_at,
        "retires_at": model.retires_at,
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_tokens,
        "capabilities": _capabilities(model),
    }


@functools.cache
def _display_name(identifier: str) -> str:
    _, line, *version = identifier.split("-")
    return f"Claude {line.title()} {'.'.join(version)}"


def _capabilities(model: Model) -> dict[str, Any]:
    no, yes = {"supported": False}, {"supported": True}
    thinking = {
        "adaptive": yes,
        "between_tools": no,
        "disabled": {"supported": not model.refuses_forced_tools},
        "enabled": yes,
    }
    return {
        **dict.fromkeys(("batch", "citations", "code_execution", "image_input", "pdf_input"), no),
        "context_management": no,
        "effort": {"supported": True, **dict.fromkeys(EFFORTS, yes)},
        "server_tools": {"supported": False, "code_execution": no, "web_search": no},
        "structured_outputs": no,
        "thinking": {"supported": False, "types": thinking},
    }


def page(limit: int, after_id: str | None, before_id: str | None) -> dict[str, Any]:
    """One page of the catalogue, newest first; an unknown cursor starts at the beginning."""
    ids = list(KNOWN)
    start = ids.index(after_id) + 1 if after_id in KNOWN else 0
    end = ids.index(before_id) if before_id in KNOWN else len(ids)
    if before_id in KNOWN:
        start = max(start, end - limit)
    shown = ids[start:end][:limit]
    return {
        "data": [as_json(KNOWN[identifier]) for identifier in shown],
        "has_more": start > 0 if before_id in KNOWN else start + len(shown) < len(ids),
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }
