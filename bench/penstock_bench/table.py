"""The one table that a bench prints, and what is said below it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from penstock_bench.verdict import Goal, Row, Verdict, judge

_HEAD = ("what", "unit", "Penstock", "peer in the same run", "ratio", "goal", "verdict")


def render(rows: Sequence[Row], noisy: Sequence[str]) -> str:
    """The rows as a Markdown table; a cell is the median, with the lowest and highest round."""
    cells = [_HEAD, *(_cells(row, noisy) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(_HEAD))]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def summary(rows: Sequence[Row], noisy: Sequence[str]) -> list[str]:
    """Which goals are missed and which were not judged, with the reason."""
    missed = [row for row in rows if judge(row, noisy) is Verdict.MISSED]
    left = [row for row in rows if judge(row, noisy) is Verdict.NOT_JUDGED]
    lines = [f"missed: {row.what}, {_seen(row)}, goal {_goal(row.goal)}" for row in missed]
    if left:
        goals = sum(row.goal is not None for row in rows)
        lines.append(f"not judged, {len(left)} of {goals} goals: {'; '.join(noisy)}")
    return lines or ["every goal is met"]


def any_missed(rows: Sequence[Row], noisy: Sequence[str]) -> bool:
    """Whether the bench fails."""
    return any(judge(row, noisy) is Verdict.MISSED for row in rows)


def span(values: Sequence[float]) -> str:
    """Median (lowest-highest); one value stands alone."""
    said = number(statistics.median(values))
    return said if len(values) == 1 else f"{said} ({number(min(values))}-{number(max(values))})"


def number(value: float) -> str:
    """With three digits or all of the whole part."""
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{decimals}f}"


def _cells(row: Row, noisy: Sequence[str]) -> tuple[str, ...]:
    peer = f"{row.peer.name} {span(row.peer.values)}" if row.peer else ""
    ratio = "" if row.ratio is None else f"{number(row.ratio)} ×"
    own = f"{span(row.values)}{f' = {row.note}' if row.note else ''}"
    return (row.what, row.unit, own, peer, ratio, _goal(row.goal), judge(row, noisy).value)


def _goal(goal: Goal | None) -> str:
    if goal is None:
        return ""
    return f"{goal.sense} {goal.bound:g}{' × peer' if goal.of_peer else ''}"


def _seen(row: Row) -> str:
    if row.goal and row.goal.of_peer and row.peer and row.ratio is not None:
        return f"{number(row.ratio)} × {row.peer.name}"
    return f"{span(row.values)} {row.unit}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "| " + " | ".join(padded) + " |"
