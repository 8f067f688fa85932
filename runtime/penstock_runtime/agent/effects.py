"""What is written down of calls that change something: before each is made, and after."""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from penstock.api.tool import Effect, Tool
from penstock.effects import EffectState
from penstock.escalation import Ask
from penstock.revision import canonical
from penstock.task import Compensation
from penstock_runtime import redaction
from penstock_runtime.agent import remembered, undoing
from penstock_runtime.agent.keeper import Event
from penstock_runtime.agent.remembered import Earlier
from penstock_runtime.agent.tools import arguments
from penstock_runtime.agent.tools.toolset import ToolResult
from penstock_runtime.agent.transcript import ToolUse

MAX_SHOWN_CHARACTERS: Final = 1024
_MILLION: Final = 1_000_000
_MAY_BE_DONE: Final = (EffectState.INTENDED, EffectState.DONE)
_MOST_MICRO: Final = 10**15


def intended(tool: Tool, call: ToolUse, *, approved: bool = False) -> Event:
    """A call is about to be made: from now on it may have been.

    Of one that does not say what it is worth it is told that this worker can ask a person, and whether one
    has ``approved`` it.
    """
    kind, said = _event(tool, call, EffectState.INTENDED)
    return kind, said if said["amount"] else {**said, "asks": True, "approved": approved}


def worth_asked(tool: Tool) -> Ask:
    """Why a call waits for a person that does not say what it is worth, while a bound counts that."""
    if tool.amount_from is None:
        return Ask("analysis.harm counts what it is worth, and the tool has no amountFrom")
    return Ask(
        f"analysis.harm counts what it is worth, and its argument {tool.amount_from} is no amount from 0 on"
    )


def not_made(tool: Tool, call: ToolUse) -> Event:
    """Its worker was called off before anything was sent."""
    return _event(tool, call, EffectState.NOT_MADE)


def became(tool: Tool, call: ToolUse, result: ToolResult) -> list[Event]:
    """What the tool has answered; nothing where that is not known, or the call changes nothing."""
    if tool.effect is Effect.READ_ONLY or not result.known:
        return []
    state = EffectState.DONE if result.ok else EffectState.REFUSED
    return [_event(tool, call, state, result.text)]


def marked(
    events: Sequence[Event], by: Compensation | None, earlier: Earlier | None = None
) -> list[Event]:
    """The events of a run without credentials.

    What a compensation has done names the call that it undoes, and what was done by an ``earlier`` approval that.
    """
    told = [(kind, redaction.redact_all(data)) for kind, data in events]
    named = {"compensates": by.call} if by else {}
    return [
        (kind, said | named | _approved(said, earlier) if kind == "effect" else said)
        for kind, said in told
    ]


def _approved(said: Mapping[str, Any], earlier: Earlier | None) -> dict[str, Any]:
    return remembered.told(earlier, (said["step"], said["position"]))


def _event(tool: Tool, call: ToolUse, state: EffectState, result: str | None = None) -> Event:
    named = tool.amount_from
    found = arguments.found(call.input, named) if named else arguments.ABSENT
    amount = _micro(found)
    shown = {named: str(found)} if named and amount is not None else {}
    said = {
        "state": state.value,
        "step": call.step,
        "position": call.position,
        "tool": tool.name,
        "amount": "" if amount is None else str(amount),
        "shown": shown if len(str(shown)) <= MAX_SHOWN_CHARACTERS else {},
        "arguments": _digest(_written(call.input)),
        "result": "" if result is None else _digest(result),
    }
    undone_by = undoing.undo(tool, call, result) if state in _MAY_BE_DONE else None
    return "effect", said | ({"undo": undone_by} if undone_by else {})


def _micro(value: Any) -> int | None:
    """An amount in millionths; None where it is none, negative, or larger than any that is added up."""
    number = arguments.number(value)
    if number is None or number < 0:
        return None
    micro = int((number * Decimal(_MILLION)).to_integral_value())
    return micro if micro <= _MOST_MICRO else None


def _written(given: Mapping[str, Any]) -> str:
    return canonical(given)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
