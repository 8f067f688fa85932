"""A rollout as a picture: who serves what share, where it stands, the checks, revisions and pods. Pure."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from penstock.api import condition
from penstock.api.aftermath import EffectsLeft
from penstock.api.analysis import CheckReport, GuardrailMode, Result
from penstock.api.external import GateReport
from penstock.api.reasons import ConditionType
from penstock.api.rollout import Source, Stage
from penstock.rollout import path
from penstock.rollout.words import aftermath as words
from penstock_cli import clock, tables
from penstock_cli.seen import Document, Seen

STABLE: Final = "cyan"
CANARY: Final = "yellow"
GOOD: Final = "green"
BAD: Final = "red"
DIM: Final = "bright_black"
_BAR: Final = 40  # characters
_GAP: Final = "  "
_VERDICTS: Final = {"Passing": GOOD, "Breached": f"bold {BAD}", "NoData": DIM}
#: Behind what passes though its figure is above its limit.
_ABOVE: Final = "*"
_FIGURE: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?) (?P<unit>%|s|USD)(?: |$)")
#: A command as the operator's sentences hold it: it ends with its nonce, with its patch, or with a revision.
_COMMAND: Final = re.compile(
    r"""(kubectl (?:annotate|patch) .*?(?:\$\(date \+%s\)"|\}')|penstock copies .*? --revision \S+)"""
)

Cell = tuple[str, str]


def lines(seen: Seen, width: int) -> Iterator[Text]:
    """The picture, line by line, each of at most so many columns but for commands."""
    yield from _head(seen)
    yield from sentence(message(seen), width)
    yield from effects(seen, width)
    yield from to_mend(seen, width)
    yield Text()
    yield _bar(seen)
    yield _steps(seen)
    yield Text()
    yield from grid(_revisions(seen), width)
    yield Text()
    yield from checks(seen, width)
    for what, why in seen.documents.missing.items():
        yield Text(f"{what} cannot be read: {why}", style=DIM)


def _head(seen: Seen) -> Iterator[Text]:
    ready = seen.ready
    style = DIM if ready is None else GOOD if ready.status is condition.Status.TRUE else BAD
    agent = "" if seen.agent_name == seen.name else f"  for Agent {seen.agent_name}"
    where = f" in {seen.namespace}{agent}"
    yield Text.assemble((seen.name, "bold"), where, "   ", (status(seen), f"bold {style}"))


def status(seen: Seen) -> str:
    """Where it stands, in one word."""
    return seen.ready.reason if seen.ready else "Unknown"


def message(seen: Seen) -> str:
    """Where it stands, in the operator's words."""
    if seen.ready is None:
        return "No operator has decided on it yet."
    return seen.ready.message


def effects(seen: Seen, width: int) -> Iterator[Text]:
    """What the calls of a canary that was taken off have done, and the command that lists them."""
    if left := left_by(seen):
        yield from sentence(words.words(left), width)
        if words.sums(left):
            yield Text(f"  {words.listing(left, seen.agent_name, seen.namespace)}")


def left_by(seen: Seen) -> EffectsLeft | None:
    """What the calls of the canary have done, where it was taken off for good or stopped; None where nothing is to be told."""
    left = seen.status.effects
    if left is None or left.revision != seen.canary:
        return None
    return left if left.at is None or words.sums(left) else None


def effects_document(seen: Seen) -> Document | None:
    """The same for programs; None where the canary is not off."""
    left = seen.status.effects
    return words.document(left) if left else None


def unresolved(seen: Seen) -> str:
    """What a person must mend before each gate can be asked; empty where nothing is."""
    found = condition.find(seen.status.conditions, ConditionType.REFERENCES_RESOLVED)
    return found.message if found and found.status is condition.Status.FALSE else ""


def to_mend(seen: Seen, width: int) -> Iterator[Text]:
    """The same in lines, where the sentence above does not have it already."""
    told = unresolved(seen)
    if told.partition(": ")[2].rstrip(".") in message(seen):
        return
    for line in sentence(told, width):
        line.stylize(BAD)
        yield line


def sentence(text: str, width: int) -> Iterator[Text]:
    """A sentence of the operator in lines; each command in it is one line, so that it can be copied."""
    for index, part in enumerate(_COMMAND.split(tables.one_line(text))):
        if index % 2:
            yield Text(f"  {part}")
        else:
            yield from map(Text, textwrap.wrap(part.strip(), width, break_on_hyphens=False))


# ------------------------------------------------------------------------- who serves what share


def _bar(seen: Seen) -> Text:
    """All users in one line; any share above nothing is at least one character."""
    percent = seen.status.share.percent
    if not seen.stable and not percent:
        return Text("no revision serves yet", style=DIM)
    ours = max(round(_BAR * percent / 100), 1) if percent else 0
    bar = [("█" * ours, CANARY), ("░" * (_BAR - ours), STABLE if seen.stable else DIM)]
    return Text.assemble(*bar, "  ", *_share(seen))


def _share(seen: Seen) -> list[Cell]:
    if not seen.canary:
        return [("stable serves everybody", STABLE)]
    share = seen.status.share
    told: list[Cell] = [(f"canary {_given(seen)}", f"bold {CANARY}")]
    if _on_copies(seen):
        told.append(("  works on copies, unseen", DIM))
    if share.source not in (Source.AUTOMATIC, Source.NONE):
        told.append((f"  {share.source.value}", ""))
    if not seen.stable and share.percent < 100:
        told.append(("  everybody else is refused", BAD))
    seen_by_users = path.under_way(seen.status) and not _on_copies(seen)
    if share.observed_percent is not None and seen_by_users:
        told.append((f"  {share.observed_percent} % of tasks", DIM))
    return told


def _on_copies(seen: Seen) -> bool:
    """Whether it is tried on copies of tasks, before its first step."""
    return seen.status.stage is Stage.SHADOW


def _given(seen: Seen) -> str:
    """Who has the canary: so many percent of the users, or those of rings; after their stage both."""
    rings, percent = seen.status.rings if seen.status.chosen else (), seen.status.share.percent
    names = ", ".join(ring.name for ring in rings)
    share = f"{percent} %" if percent or not names else ""
    return " and ".join(filter(None, (share, names and f"ring{'s' * (len(rings) > 1)} {names}")))


def _steps(seen: Seen) -> Text:
    """The path with where it stands, and the clock of the step."""
    text = Text("steps  ", style=DIM)
    if _on_copies(seen):
        text.append("● shadow", style=f"bold {CANARY}").append(" ─ ", style=DIM)
    percent = _reached(seen)
    shares = {*(step.percent for step in seen.spec.strategy.steps), 100}
    for index, share in enumerate(sorted(shares | {percent or _rejected_at(seen)} - {0})):
        mark, style = _mark(seen, share)
        text.append(" ─ " if index else "", style=DIM)
        text.append(f"{mark} {share} %", style=style)
    if running := clock.of(seen):
        text.append(f"   {running}", style="bold")
    return text


def _reached(seen: Seen) -> int:
    """The share in force; of a canary that is off for a while the one that it comes back to."""
    off = seen.status.share.source is Source.SUSPENDED
    return (seen.status.held_percent or 0) if off else seen.status.share.percent


def _mark(seen: Seen, share: int) -> tuple[str, str]:
    percent = _reached(seen)
    if not path.under_way(seen.status):
        failed = _rejected_at(seen)
        return ("✗", BAD) if share == failed else ("✓", DIM) if share < failed else ("○", DIM)
    if share > percent:
        return "○", DIM
    if share < percent:
        return "✓", GOOD
    return ("‖" if seen.status.share.source is Source.SUSPENDED else "●"), f"bold {CANARY}"


def _rejected_at(seen: Seen) -> int:
    """The share at which the canary was rejected; 0 where it was not."""
    last = seen.status.verdicts[-1] if seen.status.verdicts else None
    mine = last is not None and last.revision == seen.canary and last.result is Result.REJECTED
    return last.percent if last and mine else 0


# ------------------------------------------------------------------------------ revisions, pods


def _revisions(seen: Seen) -> list[list[Cell]]:
    head = ["REVISION", "ROLE", "SHARE", "READY", "QUEUED", "RUNNING", "PINNED"]
    rows = [[(title, DIM) for title in head]]
    for revision in revisions(seen):
        rows.append(_revision(seen, revision))
        pods = seen.pods_of(revision)
        for index, pod in enumerate(pods):
            rows.append(_pod(pod, last=index == len(pods) - 1, now=seen.now))
    return rows


def revisions(seen: Seen) -> list[str]:
    """The revisions to show: the canary, stable, then those that still have work or workers."""
    named = [one for one in (seen.canary, seen.stable) if one]
    if not named and seen.agent.latest_revision:
        named = [seen.agent.latest_revision]
    return [*dict.fromkeys([*named, *seen.reported])]


def role(seen: Seen, revision: str) -> str:
    """What a revision is to the rollout."""
    if revision == seen.stable:
        return "stable"
    if revision == seen.canary:
        return "canary" if path.under_way(seen.status) else "rejected"
    reported = seen.reported.get(revision)
    return reported.state.value.lower() if reported else "-"


def share(seen: Seen, revision: str) -> int | None:
    """The share of new sessions of a revision; None where it has no part."""
    if revision == seen.stable:
        return 100 - seen.status.share.percent
    return seen.status.share.percent if revision == seen.canary else None


def _revision(seen: Seen, revision: str) -> list[Cell]:
    what, part = role(seen, revision), share(seen, revision)
    style = {"stable": STABLE, "canary": CANARY, "rejected": BAD}.get(what, DIM)
    reported, pods = seen.reported.get(revision), seen.situation().pods.get(revision)
    version = seen.version(revision)
    ready = f"{pods.ready}/{pods.wanted}" if pods else "-"
    work = (
        [str(one) for one in (reported.queued, reported.running, reported.pinned)]
        if reported
        else ["-"] * 3
    )
    name = f"{revision} ({version})" if version else revision
    told = [ready, *work]
    cells = [(name, f"bold {style}"), (what, style), (f"{part} %" if part is not None else "-", "")]
    return [*cells, *((one, "") for one in told)]


def _pod(pod: Document, *, last: bool, now: datetime) -> list[Cell]:
    state, ready = pod_state(pod)
    style = GOOD if ready else DIM if state in ("Pending", "Succeeded") else BAD
    branch = "└─ " if last else "├─ "
    created = pod["metadata"].get("creationTimestamp", "")
    restarts = sum(one.get("restartCount", 0) for one in _containers(pod))
    told = f"{restarts} restarts" if restarts else ""
    aged = f"{tables.age(created, now)} old" if created else ""
    words = ", ".join(one for one in (state, told, aged) if one)
    return [(f"{branch}{pod['metadata']['name']}", DIM), (words, style)]


def pod_state(pod: Document) -> tuple[str, bool]:
    """What a pod is doing, in one word of Kubernetes, and whether it is ready."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating", False
    for one in _containers(pod):
        state = one.get("state") or {}
        waiting = state.get("waiting") or state.get("terminated") or {}
        if waiting.get("reason") and not ready:
            return str(waiting["reason"]), False
    phase = (pod.get("status") or {}).get("phase") or "Pending"
    return (phase if ready or phase != "Running" else "NotReady"), ready


def _containers(pod: Document) -> Sequence[Any]:
    found: Sequence[Any] = (pod.get("status") or {}).get("containerStatuses") or ()
    return found


# -------------------------------------------------------------------------------------- checks


def checks(seen: Seen, width: int) -> Iterator[Text]:
    """The checks of the last analysis as a table, and when its numbers were counted."""
    analysis = seen.status.analysis
    rows = [*map(_check, analysis.checks), *(_gate(seen, one) for one in analysis.external)]
    if not rows:
        yield Text("no check has run yet", style=DIM)
        return
    head = ["CHECK", "CANARY", "STABLE", "LIMIT", "VERDICT"]
    yield from grid([[(one, DIM) for one in head], *rows], width)
    if any(map(_passes_above, analysis.checks)):
        yield Text(f"{_ABOVE} {_why_it_passes(seen)}", style=DIM)
    if counted := analysis.counted_at:
        moment = condition.moment(counted).strftime("%H:%M:%S UTC")
        yield Text(f"as of {moment}, {tables.age(counted, seen.now)} ago", style=DIM)


def _why_it_passes(seen: Seen) -> str:
    if seen.spec.analysis.guardrails.mode is GuardrailMode.LITERAL:
        return "above its limit, on fewer than minTasks tasks"
    return "above its limit, by no more than chance may do"


def checks_document(seen: Seen) -> Document:
    """The same for programs."""
    analysis = seen.status.analysis
    return {
        "checks": [one.wire() for one in analysis.checks],
        "gates": [one.wire() for one in analysis.external],
        "countedAt": analysis.counted_at,
    }


def _gate(seen: Seen, report: GateReport) -> list[Cell]:
    """A gate outside of Penstock: its number is of all users, and has no side."""
    gate = next((one for one in seen.spec.analysis.external if one.name == report.name), None)
    bounds = {"at least": gate.min, "at most": gate.max} if gate else {}
    limit = ", ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
    verdict = (report.verdict, _VERDICTS.get(report.verdict, CANARY))
    return [(report.name, ""), (report.value or "-", ""), ("-", ""), (limit, ""), verdict]


def _check(report: CheckReport) -> list[Cell]:
    cells = [report.name, report.candidate, report.stable, report.limit]
    mark = f" {_ABOVE}" if _passes_above(report) else ""
    verdict = (f"{report.verdict}{mark}", _VERDICTS.get(report.verdict, CANARY))
    return [*((cell, "") for cell in cells), verdict]


def _passes_above(report: CheckReport) -> bool:
    """Whether the canary's own figure is above a limit that it passes, which reads like an error."""
    figure, limit = (_FIGURE.match(text) for text in (report.candidate, report.limit))
    if report.verdict != "Passing" or not (figure and limit):
        return False
    return figure["unit"] == limit["unit"] and float(figure["number"]) > float(limit["number"])


# --------------------------------------------------------------------------------------- columns


def grid(rows: Sequence[Sequence[Cell]], width: int) -> Iterator[Text]:
    """Rows in columns; what is too wide for the terminal is cut in its first column, in the middle.

    Rows of fewer cells than the head have columns of their own.
    """
    shapes = {len(row) for row in rows}
    widths = {shape: _widths([row for row in rows if len(row) == shape], width) for shape in shapes}
    for row in rows:
        text, columns = Text(), widths[len(row)]
        for at, (cell, style) in enumerate(row):
            told = (
                _shortened(tables.one_line(cell), columns[0]) if at == 0 else tables.one_line(cell)
            )
            text.append(told, style=style)
            if at < len(row) - 1:
                text.append(" " * (columns[at] - len(told)) + _GAP)
        yield text


def _widths(rows: Sequence[Sequence[Cell]], width: int) -> list[int]:
    first, *others = (max(len(cell[0]) for cell in column) for column in zip(*rows, strict=True))
    rest = sum(others) + len(_GAP) * len(others)
    return [max(min(first, width - rest), _FEWEST), *others]


_FEWEST: Final = 16  # characters of a name


def _shortened(text: str, most: int) -> str:
    """A name without its middle: both its ends tell it from others."""
    if len(text) <= most:
        return text
    tail = (most - 1) * 2 // 3
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"
