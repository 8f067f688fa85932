"""A copy of a task: where it begins, what its calls are answered with, and how it went."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from penstock import shadow
from penstock.api.oversight import HANDOVER
from penstock.api.tool import Effect
from penstock.revision import canonical
from penstock.shadow import Intent, Verdict, Way
from penstock.task import Usage
from penstock_runtime.agent import loop
from penstock_runtime.agent.equipment import Agent
from penstock_runtime.agent.history import without_thinking
from penstock_runtime.agent.keeper import Keeper
from penstock_runtime.agent.models import echo
from penstock_runtime.agent.models.model import Block, Message
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.tools.disarmed import Disarmed, Intended
from penstock_runtime.agent.tools.oversight import UNASKED
from penstock_runtime.agent.tools.toolset import ToolResult
from penstock_runtime.agent.transcript import Transcript


@dataclass(frozen=True)
class Recording:
    """What a task of stable was told before, and what its calls were and brought.

    Of a call that was not carried out there is no result. ``changing``: the tools that stable declares to change
    something. ``kept``: others that no copy calls, for stable or the canary says so.
    """

    before: tuple[Message, ...]
    calls: tuple[tuple[Intent, ToolResult | None], ...]
    changing: Collection[str]
    kept: Collection[str] = ()

    @classmethod
    def of(
        cls, told: Transcript, changing: Collection[str], kept: Collection[str] = ()
    ) -> "Recording":
        """The recording of a conversation, as far as it was saved."""
        return cls(told.messages[: told.begin], tuple(_calls(told)), changing, kept)

    def intents(self, changing: Collection[str]) -> tuple[Intent, ...]:
        """The intended calls of these tools, and those for a person."""
        return _of_tools((call for call, _ in self.calls), changing)


def _calls(told: Transcript) -> Iterator[tuple[Intent, ToolResult | None]]:
    own = told.messages[told.begin :]
    open_results = {block["tool_use_id"]: block for block in told.results.values()}
    for place, message in enumerate(own, 1):
        answered = _results(own[place]) if place < len(own) else open_results
        for call in echo.calls(message):
            block = answered.get(call["id"])
            yield shadow.intent(call["name"], call["input"]), _result(block) if block else None


def _results(message: Message) -> dict[str, Block]:
    content = message["content"]
    blocks = content if isinstance(content, list) else []
    return {block["tool_use_id"]: block for block in blocks if block.get("type") == "tool_result"}


def _result(block: Mapping[str, Any]) -> ToolResult:
    said = block.get("content", "")
    text = said if isinstance(said, str) else canonical(said)
    return ToolResult(text, ok=not block.get("is_error", False))


def _of_tools(wanted: Iterator[Intent], changing: Collection[str]) -> tuple[Intent, ...]:
    return tuple(one for one in wanted if one.tool in changing or one.tool == HANDOVER)


def beginning(recording: Recording, text: str, tier: str = "") -> Run:
    """A copy before its first step: the session's history as the task found it, without thinking, and its input."""
    begun = Transcript.start(without_thinking(recording.before), text)
    return Run(begun, Usage(), tier=tier)


def changing(agent: Agent, recording: Recording) -> frozenset[str]:
    """The tools that change something, by what the agent of a copy or stable declares."""
    known = agent.toolbox.tools.values()
    own = (tool.name for tool in known if tool.effect is not Effect.READ_ONLY)
    return frozenset((*own, *recording.changing))


def disarmed(agent: Agent, recording: Recording) -> Agent:
    """What runs one copy: nobody is asked, and nothing is called that changes something, whatever tier answers."""
    asking = agent.toolbox.asking
    known = ((call, result) for call, result in recording.calls if result is not None)
    tools = Disarmed(
        agent.tools,
        known,
        asks=lambda tool, given: asking.ask(tool, given) is not None,
        uncalled=frozenset((*recording.changing, *recording.kept)),
    )
    tiers: dict[str, Agent] = {}

    def of_copy(one: Agent) -> Agent:
        toolbox = replace(one.toolbox, asking=UNASKED, handover=False)
        return replace(one, tools=tools, toolbox=toolbox, tiers=tiers)

    tiers.update({name: of_copy(one) for name, one in agent.tiers.items()})
    return of_copy(agent)


@dataclass(frozen=True)
class Ended:
    """How a copy ended. ``stopped_at``: the call that was not made, where that was its end."""

    verdict: Verdict
    way: Way
    stopped_at: Intent | None = None


class CopyKeeper(Keeper, Protocol):
    """What keeps a copy: ``last`` is its newest state."""

    last: Run


async def run_copy(
    agent: Agent, recording: Recording, stable: Way, begun: Run, keeper: CopyKeeper
) -> Ended:
    """Run a copy to its end, disarmed, and compare it with stable's task.

    Raises:
        Interrupted: it must be put down; nobody goes on with it.
    """
    harmless, stopped_at = disarmed(agent, recording), None
    try:
        keeper.last = await loop.run_task(harmless, begun, keeper)
    except Intended as stop:
        stopped_at = stop.wanted
    outcome = keeper.last.outcome
    wanted = _intents(keeper.last, changing(agent, recording))
    way = Way(wanted, outcome.status if outcome else None)
    if outcome and outcome.left_out:
        return Ended(Verdict.LEFT_OUT, way)
    return Ended(shadow.compared(stable, way), way, stopped_at)


def _intents(run: Run, changing: Collection[str]) -> tuple[Intent, ...]:
    """What a copy wanted of tools that change something."""
    made = (shadow.intent(call["name"], call["input"]) for call in run.transcript.own_calls)
    return _of_tools(made, changing)
