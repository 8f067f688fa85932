"""What was approved in a session for further calls, as `parking.lua` keeps it with the session."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from penstock import remembering
from penstock.escalation import same_person
from penstock.remembering import Remembered
from penstock.task import Task


def read(told: Sequence[Any], task: Task, stored: Mapping[str, bytes]) -> tuple[Remembered, ...]:
    """The approvals that hold for a task, oldest first.

    It is one of the same revision and for the same user, and not by who has submitted this task or for whom
    it is: nobody approves his own call. What another hand has written holds for nothing.

    Args:
        told: the session's text, if there is any.
        task: the claimed one.
        stored: its hash.
    """
    text = next((one for one in told if one), b"")
    own = {
        same_person(task.user),
        same_person(stored.get("submitter", b"").decode(errors="replace")),
    }
    try:
        known = json.loads(text or b"[]")
        return tuple(
            _one(said)
            for said in known
            if said["revision"] == task.revision
            and said["user"] == task.user
            and not own & {same_person(name) for name in said["by"]}
        )
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return ()


def _one(said: Mapping[str, Any]) -> Remembered:
    by = tuple(str(name) for name in said["by"])
    return Remembered(remembering.read(said["memory"]), by, str(said["escalation"]))
