"""How a call is undone: what is kept of it for that, and the task that does it, in which no model is asked."""

import json
from collections.abc import Mapping
from typing import Any, Final

from penstock.api.tool import Tool
from penstock.money.prices import Tokens
from penstock.revision import canonical
from penstock.task import Compensation, Outcome, OutcomeReason, TaskStatus
from penstock_runtime import redaction
from penstock_runtime.agent.models.model import Reply
from penstock_runtime.agent.tools import arguments
from penstock_runtime.agent.transcript import ToolUse, Transcript

MAX_CHARACTERS: Final = 1024  # of what is kept in clear


def undo(tool: Tool, call: ToolUse, result: str | None) -> dict[str, Any] | None:
    """The call that undoes one, as it is kept with its effect; a problem in its place where there is none.

    Args:
        result: what the tool has answered; None where it has not.
    """
    declared = tool.compensate
    if declared is None:
        return None
    sources = {"arguments": call.input, "result": _object(result)}
    made: dict[str, Any] = {}
    for name, source in declared.arguments.items():
        whose, _, path = source.partition(".")
        found = arguments.found(sources[whose], path)
        if found is arguments.ABSENT:
            return {"tool": declared.tool, "problem": f"nothing is known of {source}"}
        made[name] = found
    if len(canonical(made)) > MAX_CHARACTERS:
        return {"tool": declared.tool, "problem": "its arguments are longer than 1 KiB"}
    if redaction.redact_all(made) != made:
        return {"tool": declared.tool, "problem": "its arguments hold what is not kept in clear"}
    return {"tool": declared.tool, "arguments": made}


def _object(result: str | None) -> Mapping[str, Any]:
    try:
        said = json.loads(result or "{}")
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def begun(transcript: Transcript, wanted: Compensation) -> Transcript:
    """The conversation of a compensation: as if a model had asked for its call, and for no other."""
    call = {
        "type": "tool_use",
        "id": "toolu_compensation",
        "name": wanted.tool,
        "input": json.loads(wanted.arguments),
    }
    return transcript.with_reply(Reply((call,), "tool_use", Tokens()))


def ending(transcript: Transcript) -> Outcome:
    """How a compensation ends once its call has an answer."""
    block = transcript.messages[-1]["content"][0]
    said = block.get("content", "")
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    if block.get("is_error"):
        return Outcome(TaskStatus.FAILED, OutcomeReason.TOOL_ERROR, text, left_out=True)
    return Outcome(TaskStatus.SUCCEEDED, output=text, left_out=True)


def missing(tool: str) -> Outcome:
    """The revision that serves has no such tool."""
    told = f"the stable revision declares no tool {tool}; nothing was called"
    return Outcome(TaskStatus.FAILED, OutcomeReason.TOOL_ERROR, told, left_out=True)
