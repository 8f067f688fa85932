"""The tools of an agent as declared, and the check of what a model wants to call them with."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs

from penstock import errors, escalation
from penstock.api import toolschema
from penstock.api.oversight import HANDOVER, Oversight
from penstock.api.tool import Effect, HTTPEndpoint, Tool
from penstock.escalation import Ask
from penstock_runtime import redaction
from penstock_runtime.agent.models import echo
from penstock_runtime.agent.tools import checking, oversight
from penstock_runtime.agent.transcript import ToolUse

_PROBLEMS_SHOWN: Final = 5
_PROBLEM_CHARACTERS: Final = 300
# A pattern is compiled for an engine without back-tracking, of bounded size: linear time on any
# input. Nothing is fetched: a schema that points elsewhere is refused.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 21)


#: With it the model itself asks for a person; it waits for the answer, and is never called.
_HANDOVER: Final = Tool(
    name=HANDOVER,
    description="Ask a person, when you are not sure, may not decide, or are asked for something outside "
    "your task. Say in one sentence why. What the person answers is the result.",
    input_schema={
        "type": "object",
        "required": ["reason"],
        "properties": {"reason": {"type": "string", "maxLength": 1000}},
        "additionalProperties": False,
    },
    effect=Effect.READ_ONLY,
    http=HTTPEndpoint(url="http://escalate.invalid/"),
)


@dataclass(frozen=True)
class Toolbox:
    """Declared tools by name, each with the compiled check of its input.

    ``heavy`` tools have schemas, stored before they were bounded, whose check may take for ever:
    it is made in a process of its own, for so long.
    """

    tools: Mapping[str, Tool]
    checks: Mapping[str, jsonschema_rs.Validator]
    heavy: frozenset[str] = frozenset()
    asking: oversight.Asking = oversight.NOBODY
    handover: bool = False
    turn: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(checking.AT_ONCE), compare=False
    )

    def ask(self, call: ToolUse) -> Ask | None:
        """Why the call needs a person, and whose word; None where it needs nobody."""
        if self.is_handover(call):
            why = f"the agent asks for a person: {_short(str(call.input.get('reason', '')))}"
            return Ask(why, planned=False)
        return self.asking.ask(self.tools[call.name], call.input)

    def is_handover(self, call: ToolUse) -> bool:
        """Whether the model itself asks for a person."""
        return self.handover and call.name == HANDOVER

    def digest(self, call: ToolUse) -> str:
        """What an approval of the call is bound to."""
        tool = self.tools[call.name]
        return escalation.digest(tool.name, tool.input_schema, call.input)

    def problem(self, call: ToolUse) -> str:
        """What is wrong with a call, for the model to read; empty when nothing is."""
        if unknown := self._unknown(call):
            return unknown
        return fit(self.checks[call.name], call.input)

    async def problems(self, calls: Sequence[ToolUse]) -> tuple[str, ...]:
        """The same for all calls of a reply; no check of theirs holds up other tasks."""
        return tuple([await self._problem(call) for call in calls])

    async def _problem(self, call: ToolUse) -> str:
        if call.name in self.heavy:
            schema = self.tools[call.name].input_schema
            return await checking.problem(schema, call.input, self.turn)
        return self.problem(call)

    def _unknown(self, call: ToolUse) -> str:
        if call.name in self.tools:
            return ""
        known = ", ".join(sorted(self.tools)) or "none"
        if call.name == echo.UNREADABLE_CALL:
            return (
                "the call cannot be read: its name must be that of a tool and its input a JSON "
                f"object of at most {echo.MAX_INPUT_DEPTH} levels; the tools are: {known}"
            )
        return f"there is no tool {call.name!r}; the tools are: {known}"

    def declared(self) -> list[dict[str, Any]]:
        """The tools as the Messages API takes them, in the order of their declaration."""
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.input_schema,
            }
            for tool in self.tools.values()
        ]


def build(tools: Sequence[Tool], overseen: Oversight | None = None) -> Toolbox:
    """Compile the checks of all tools, and the rules by which their calls need a person.

    Raises:
        InvalidResource: a schema cannot be used; the message names the tool.
    """
    handover = overseen is not None and overseen.handover
    tools = [*tools, _HANDOVER] if handover else tools
    return Toolbox(
        {tool.name: tool for tool in tools},
        {tool.name: _check(tool) for tool in tools},
        frozenset(tool.name for tool in tools if is_heavy(tool.input_schema)),
        oversight.asking(tools, overseen),
        handover,
    )


def is_heavy(schema: Mapping[str, Any]) -> bool:
    """Whether the check of a schema may take for ever."""
    return toolschema.unfolded_size(schema) > toolschema.MAX_UNFOLDED


def fit(check: jsonschema_rs.Validator, given: Mapping[str, Any]) -> str:
    """How an input does not fit a schema; empty when it does.

    Whether it fits is much cheaper to say than how it does not.
    """
    if check.is_valid(given):
        return ""
    found = itertools.islice(check.iter_errors(given), _PROBLEMS_SHOWN)
    problems = (f"{_where(error.instance_path)}: {_short(error.message)}" for error in found)
    return f"the input does not fit the schema: {'; '.join(problems)}"


def compiled(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """The check of a schema.

    Raises:
        ValueError, RecursionError: it cannot be used.
    """
    return jsonschema_rs.validator_for(dict(schema), pattern_options=_PATTERNS, offline=True)


def _check(tool: Tool) -> jsonschema_rs.Validator:
    if tool.input_schema.get("type") != "object":
        raise errors.InvalidResource(
            f'tool {tool.name}: inputSchema must have "type": "object" at its top'
        )
    try:
        return compiled(tool.input_schema)
    except (ValueError, RecursionError) as error:
        raise errors.InvalidResource(
            f"tool {tool.name}: inputSchema cannot be used: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _short(text: str) -> str:
    return redaction.shortened(text, _PROBLEM_CHARACTERS)


def _where(path: Sequence[str | int]) -> str:
    return _short(".".join(map(str, path))) or "input"
