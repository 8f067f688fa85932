"""Tools whose calls are timed and counted."""

from penstock import errors
from penstock_runtime import instrumentation
from penstock_runtime.agent.tools.toolset import ToolRequest, ToolResult, Toolset, Wrapper


class MeteredTools(Wrapper):
    """Counts each call that was made, and each that replicas would not let be made."""

    def __init__(self, toolset: Toolset, meter: instrumentation.Meter) -> None:
        super().__init__(toolset)
        self._meter = meter

    async def call(self, request: ToolRequest) -> ToolResult:
        """Call a tool. See ``Toolset.call``."""
        started = request.context.seconds()
        try:
            result = await self._toolset.call(request)
        except errors.NotReplicated:
            self._count(request, started, ok=False)
            raise
        self._count(request, started, ok=result.ok)
        return result

    def _count(self, request: ToolRequest, started: float, *, ok: bool) -> None:
        seconds = request.context.seconds() - started
        self._meter.tool_called(request.tool.name, "ok" if ok else "error", seconds)
