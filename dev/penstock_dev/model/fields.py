"""The fields the API knows, and what it says of any other one."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from penstock_dev.model import faults

MOST_CACHE_BREAKPOINTS: Final = 4

COUNT: Final = frozenset(
    [
        "cache_control",
        "messages",
        "model",
        "output_config",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    ]
)
MESSAGE: Final = COUNT | frozenset(
    [
        "container",
        "diagnostics",
        "inference_geo",
        "max_tokens",
        "metadata",
        "service_tier",
        "stop_sequences",
        "stream",
    ]
)
TOOL: Final = frozenset(
    [
        "allowed_callers",
        "cache_control",
        "defer_loading",
        "description",
        "eager_input_streaming",
        "input_examples",
        "input_schema",
        "name",
        "strict",
        "type",
    ]
)
#: Blocks by type. The text of a user takes no citations: only a model cites.
BLOCKS: Final = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "tool_use": frozenset(
        {"type", "id", "name", "input", "cache_control", "caller", "toolset_name"}
    ),
    "tool_result": frozenset(
        {"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"}
    ),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
}
MESSAGE_PARTS: Final = frozenset({"role", "content"})
CACHE_CONTROL: Final = frozenset({"type", "ttl"})


def only(document: Mapping[str, Any], known: frozenset[str], where: str = "") -> None:
    """Raise Rejected for the first field that is not known."""
    for name in document:
        if name not in known:
            place = f"{where}.{name}" if where else name
            raise faults.Rejected(400, f"{place}: Extra inputs are not permitted")


def cache_breakpoints(request: Mapping[str, Any]) -> None:
    """Check every `cache_control` of a request whose shape is right, and that there are not too many."""
    found = 0
    for place, control in _cache_controls(request):
        found += 1
        if not isinstance(control, dict) or control.get("type") != "ephemeral":
            raise faults.Rejected(
                400, f"{place}.cache_control: Input tag must be one of 'ephemeral'"
            )
        if control.get("ttl", "5m") not in ("5m", "1h"):
            raise faults.Rejected(
                400, f"{place}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'"
            )
        only(control, CACHE_CONTROL, f"{place}.cache_control.ephemeral")
    if found > MOST_CACHE_BREAKPOINTS:
        raise faults.Rejected(
            400,
            f"A maximum of {MOST_CACHE_BREAKPOINTS} blocks with cache_control may be provided. "
            f"Found {found}.",
        )


def _cache_controls(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from _of_blocks([request], "request")
    for part in ("tools", "system"):
        yield from _of_blocks(request.get(part), part)
    for index, message in enumerate(request["messages"]):
        where = f"messages.{index}.content"
        yield from _of_blocks(message["content"], where)
        if isinstance(message["content"], list):
            for at, block in enumerate(message["content"]):
                yield from _of_blocks(block.get("content"), f"{where}.{at}.content")


def _of_blocks(blocks: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(blocks, list):
        for index, block in enumerate(blocks):
            control = block.get("cache_control") if isinstance(block, dict) else None
            if control is not None:
                yield f"{where}.{index}", control
