"""Tools that repeat no credential."""

from dataclasses import replace

from penstock_runtime import redaction
from penstock_runtime.agent.tools.toolset import ToolRequest, ToolResult, Wrapper


class RedactedTools(Wrapper):
    """Takes known credentials out of results, before a model reads them."""

    async def call(self, request: ToolRequest) -> ToolResult:
        """Call a tool, and filter what it says. See ``Toolset.call``."""
        result = await self._toolset.call(request)
        return replace(result, text=redaction.redact(result.text))
