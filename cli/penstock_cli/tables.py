"""Tasks in columns of text, as kubectl would print them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

#: What tasks can be counted by.
FIELDS: Final = ("reason", "user", "revision", "status")
_NOT_SO_BAD: Final = frozenset(
    {"Queued", "Running", "Halted", "WaitingForApproval", "Succeeded", "Cancelled"}
)
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_TWO_DIGITS: Final = 2  # of a unit, before the next larger one is taken

Task = Mapping[str, Any]
Row = Sequence[str]


def rows(items: Sequence[Task], now: datetime, *, wide: bool) -> list[Row]:
    """A head and a row for each task.

    Args:
        now: by which their age is told.
        wide: with the message of each.
    """
    tenants, previews = any("tenant" in task for task in items), any(map(is_preview, items))
    head = ["ID", "AGE", "STATUS", "REASON", "REVISION", "USER", *["PREVIEW"] * previews]
    found: list[Row] = [head + ["TENANT"] * tenants + ["MESSAGE"] * wide]
    for task in items:
        row = [task["id"], age(task["createdAt"], now), task["status"], task["outcome"]["reason"]]
        row += [task["revision"], task["user"], *["yes" * is_preview(task)] * previews]
        row += [task.get("tenant", "")] * tenants + [task["outcome"]["message"]] * wide
        found.append(row)
    return found


def counted(items: Sequence[Task], by: str) -> list[Row]:
    """A head and a row for each value of a field: those with most failed tasks first, then with most.

    A row says how many tasks, how many of them failed, of how many users, where there are any how many were
    previews, and the newest one's message, of a failed one where there is any.
    """
    previews = any(map(is_preview, items))
    head = [by.upper(), "TASKS", "FAILED", "USERS", *["PREVIEWS"] * previews, "NEWEST", "MESSAGE"]
    groups = [
        (value, list(group))
        for value, group in groupby(
            sorted(items, key=lambda task: value_of(task, by)), lambda task: value_of(task, by)
        )
    ]
    groups.sort(key=lambda pair: (-len(_failed(pair[1])), -len(pair[1])))
    return [head, *(_count(value, group, previews=previews) for value, group in groups)]


def is_preview(task: Task) -> bool:
    """Whether a person has chosen its revision."""
    return bool(task.get("preview"))


def _failed(group: Sequence[Task]) -> list[Task]:
    return [task for task in group if task["status"] not in _NOT_SO_BAD]


def _count(value: str, group: Sequence[Task], *, previews: bool) -> Row:
    failed = _failed(group)
    newest = (failed or group)[0]
    users = {task["user"] for task in group if task["user"]}
    figures = [str(len(group)), str(len(failed)), str(len(users))]
    figures += [str(sum(map(is_preview, group)))] * previews
    return [value, *figures, newest["id"], newest["outcome"]["message"]]


def value_of(task: Task, field: str) -> str:
    """What a task has in one of ``FIELDS``."""
    found: str = task["outcome"]["reason"] if field == "reason" else task[field]
    return found


def table(found: Sequence[Row]) -> str:
    """Rows in columns; what is empty is a dash, and nothing in a cell ends its line."""
    cells = [[one_line(cell) or "-" for cell in row] for row in found]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def described(task: Task) -> Iterator[str]:
    """A task line by line, without its output."""
    usage, outcome = task["usage"], task["outcome"]
    calls = f"{usage['modelCalls']} calls of the model, {usage['toolCalls']} of tools"
    tokens = f"{usage['inputTokens']} tokens in, {usage['outputTokens']} out"
    told = {
        "id": task["id"],
        "agent": f"{task['namespace']}/{task['agent']}",
        "revision": task["revision"] + (", a preview" if is_preview(task) else ""),
        "user": task["user"],
        "session": task["session"],
        "status": task["status"],
        "reason": outcome["reason"],
        "message": outcome["message"],
        "created": task["createdAt"],
        "finished": task["finishedAt"] or "",
        "usage": f"{calls}; {tokens}; ${usage['costUSD']}; {usage['wallSeconds']} s",
        "trace id": task["traceId"],
    }
    for name, value in told.items():
        yield f"{name + ':':<10} {one_line(value) or '-'}"


def age(moment: str, now: datetime) -> str:
    """How long ago a moment (RFC 3339) was, in one unit as kubectl writes it."""
    seconds = max(0, int((now - datetime.fromisoformat(moment)).total_seconds()))
    for size, unit in _UNITS:
        if seconds >= _TWO_DIGITS * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def one_line(text: str) -> str:
    """A text that moves no cursor and begins no line."""
    return "".join(char if char.isprintable() else " " for char in text)
