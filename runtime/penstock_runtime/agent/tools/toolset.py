"""What the loop asks of the tools of an agent, whoever carries the calls out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from penstock.api.tool import Tool
from penstock_runtime.agent.context import LIVE, Context

#: Says how many seconds are left for the call itself.
BeforeSending = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class ToolRequest:
    """One call of a declared tool.

    ``headers`` are what a tool needs to know a repeated call again and to join the trace.
    ``before_sending`` is awaited once, before the first byte, and takes as long as it takes; what
    it raises is raised from the call, and the tool was not called.
    """

    tool: Tool
    input: Mapping[str, Any]
    headers: Mapping[str, str]
    timeout_seconds: float
    before_sending: BeforeSending | None = None
    context: Context = field(default=LIVE, compare=False)


@dataclass(frozen=True)
class ToolResult:
    """What a call brought, for the model to read. ``known``: whether it is certain what happened."""

    text: str
    ok: bool
    known: bool = True


#: A call whose intent replicas do not hold in time is not made.
NOT_REPLICATED: Final = ToolResult(
    "the tool was not called: too few replicas of the store confirmed in time that the call is about "
    "to be made",
    ok=False,
)


def headers(key: str, trace_id: str, context: Context) -> Mapping[str, str]:
    """What a tool needs to know a repeated call again and to join the trace (W3C Trace Context)."""
    return {
        "Idempotency-Key": key,
        "traceparent": f"00-{trace_id}-{context.identifier(16)}-01",
    }


class Toolset(Protocol):
    """Something that carries out calls: over a protocol, or a wrapper around another toolset."""

    async def call(self, request: ToolRequest) -> ToolResult:
        """Call a tool and wait at most so long; every failure is a result."""
        ...

    async def aclose(self) -> None:
        """Close what it holds open."""
        ...


class Wrapper:
    """A toolset around another one; what a wrapper does not change goes through."""

    def __init__(self, toolset: Toolset) -> None:
        self._toolset = toolset

    async def call(self, request: ToolRequest) -> ToolResult:
        """See ``Toolset.call``."""
        return await self._toolset.call(request)

    async def aclose(self) -> None:
        """See ``Toolset.aclose``."""
        await self._toolset.aclose()
