"""Tools of which only those that change nothing, and that copies may call, are called."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from penstock import shadow
from penstock.api.oversight import HANDOVER
from penstock.api.tool import Effect, Tool
from penstock.shadow import Intent
from penstock_runtime.agent.tools.toolset import ToolRequest, ToolResult, Toolset


class Intended(Exception):
    """A call was wanted that is not made, and of which nobody has recorded what it brings."""

    def __init__(self, wanted: Intent) -> None:
        super().__init__(wanted.tool)
        self.wanted = wanted


#: What calls have brought before, in their order.
Recorded = Iterable[tuple[Intent, ToolResult]]


class Disarmed:
    """Calls what is ReadOnly, not kept from copies and needs nobody's word; all else is answered from what was recorded.

    Each recorded result answers once. It is made for one copy of a task, and closes nothing: the
    toolset is that of all tasks.

    Args:
        asks: whether a call needs a person.
        uncalled: names of tools that others declare to change something, or keep from copies, whatever the tool itself
            declares.
    """

    def __init__(
        self,
        toolset: Toolset,
        recorded: Recorded,
        asks: Callable[[Tool, Mapping[str, Any]], bool],
        uncalled: Collection[str],
    ) -> None:
        self._toolset = toolset
        self._asks = asks
        self._uncalled = uncalled
        self._left: dict[Intent, deque[ToolResult]] = {}
        for wanted, result in recorded:
            self._left.setdefault(wanted, deque()).append(result)

    async def call(self, request: ToolRequest) -> ToolResult:
        """Answer a call. See ``Toolset.call``.

        Raises:
            Intended: it is not made.
        """
        if self._is_harmless(request):
            return await self._toolset.call(request)
        wanted = shadow.intent(request.tool.name, request.input)
        left = self._left.get(wanted)
        if not left:
            raise Intended(wanted)
        return left.popleft()

    async def aclose(self) -> None:
        """See ``Toolset.aclose``."""

    def _is_harmless(self, request: ToolRequest) -> bool:
        """Whether the call changes nothing and may be made; who asks for a person calls nobody."""
        tool = request.tool
        reads = tool.effect is Effect.READ_ONLY and tool.name != HANDOVER
        kept = tool.is_kept_from_copies or tool.name in self._uncalled
        return reads and not kept and not self._asks(tool, request.input)
