"""The tools of an agent as declared, and the check of what a model wants to call them with."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs

from penstock import errors
from penstock.api.agent import Tool
from penstock_runtime.agent.transcript import ToolUse

_PROBLEMS_SHOWN: Final = 5
# A pattern is compiled for an engine without back-tracking, of bounded size: linear time on any
# input. Nothing is fetched: a schema that points elsewhere is refused.
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 21)


@dataclass(frozen=True)
class Toolbox:
    """Declared tools by name, each with the compiled check of its input."""

    tools: Mapping[str, Tool]
    checks: Mapping[str, jsonschema_rs.Validator]

    def problem(self, call: ToolUse) -> str:
        """What is wrong with a call, for the model to read; empty when nothing is."""
        if call.name not in self.tools:
            known = ", ".join(sorted(self.tools)) or "none"
            return f"there is no tool {call.name!r}; the tools are: {known}"
        found = itertools.islice(self.checks[call.name].iter_errors(call.input), _PROBLEMS_SHOWN)
        problems = [f"{_where(error.instance_path)}: {error.message}" for error in found]
        return f"the input does not fit the schema: {'; '.join(problems)}" if problems else ""

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


def build(tools: Sequence[Tool]) -> Toolbox:
    """Compile the checks of all tools.

    Raises:
        InvalidResource: a schema cannot be used; the message names the tool.
    """
    return Toolbox({tool.name: tool for tool in tools}, {tool.name: _check(tool) for tool in tools})


def _check(tool: Tool) -> jsonschema_rs.Validator:
    if tool.input_schema.get("type") != "object":
        raise errors.InvalidResource(
            f'tool {tool.name}: inputSchema must have "type": "object" at its top'
        )
    try:
        return jsonschema_rs.validator_for(
            tool.input_schema, pattern_options=_PATTERNS, offline=True
        )
    except (ValueError, RecursionError) as error:
        raise errors.InvalidResource(
            f"tool {tool.name}: inputSchema cannot be used: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _where(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path)) or "input"
