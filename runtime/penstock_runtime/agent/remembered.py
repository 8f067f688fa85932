"""Calls that need nobody's word any more: a person has approved them for the session, together with an earlier one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from penstock.escalation import Ask, Place
from penstock.remembering import Memory, Remembered
from penstock_runtime.agent.tools.toolbox import Toolbox
from penstock_runtime.agent.transcript import ToolUse

#: A call, and the approval of an earlier one by which it is made.
Earlier = tuple[Place, Remembered]
Approved = tuple[Remembered, ...]


def memory(toolbox: Toolbox, call: ToolUse, ask: Ask) -> Memory | None:
    """What an approval of a call may be remembered for; None where a rule that asks allows nothing."""
    return Memory(toolbox.digest(replace(call, input={})), ask.kept) if ask.kept else None


def covering(
    known: Sequence[Remembered], toolbox: Toolbox, call: ToolUse, ask: Ask
) -> Earlier | None:
    """A call with the approval that holds for it, the newest; None where a person must be asked."""
    wanted = memory(toolbox, call, ask) if known else None
    if wanted is None:
        return None
    fitting = (one for one in reversed(known) if one.memory.covers(wanted))
    return next(((call.place, one) for one in fitting), None)


def told(earlier: Earlier | None, place: Place) -> dict[str, Any]:
    """What is written down of a call beside what else is, where it was made by an earlier approval."""
    if earlier is None or earlier[0] != place:
        return {}
    by = earlier[1]
    return {"approvedEarlier": {"by": list(by.by), "escalation": by.escalation}}
