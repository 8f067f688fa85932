"""The demo in a terminal: the story scrolls above, who serves what stands below it and moves.

`draw` is a pure function of the scene; `PanelView` only puts it on the screen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from penstock.api.analysis import Result
from penstock.api.reasons import ConditionType
from penstock.api.rollout import Source
from penstock_dev.demo import lines
from penstock_dev.demo.seen import Scene, Seen
from penstock_dev.traffic import Answer, Tally

STABLE: Final = "cyan"
CANARY: Final = "yellow"
BAD: Final = "red"
GOOD: Final = "green"
_DIM: Final = "bright_black"
_VERDICT_STYLES: Final = {"Passing": GOOD, "Breached": f"bold {BAD}", "NoData": _DIM}
#: Below this height requests and answers give way to the story.
_ROOM_FOR_EXCHANGES: Final = 30


def draw(scene: Scene, width: int, height: int) -> RenderableType:
    """The panel for a terminal of so many columns and lines."""
    room = width - 4
    parts: list[RenderableType] = [Text(), _who_serves(scene, room), Text(), _steps(scene)]
    parts += [_cut(_word(scene.seen), room), Text(), _checks(scene)]
    if height >= _ROOM_FOR_EXCHANGES:
        parts += [Text(), *_exchanges(scene, room)]
    title = f"[bold]agent support[/bold]  [{_DIM}]{scene.elapsed_seconds:.0f} s[/{_DIM}]"
    return Panel(Group(*parts), title=title, title_align="left", border_style=_DIM)


# -------------------------------------------------------------------------- who serves what


def _who_serves(scene: Scene, width: int) -> RenderableType:
    seen = scene.seen
    if not seen.stable:
        return Text("no revision serves yet", style=_DIM)
    rows = [_bar(seen, width), _legend(scene, seen.stable, "stable", STABLE, 100 - seen.percent)]
    if seen.canary:
        role, style = _canary_role(seen)
        rows.append(_legend(scene, seen.canary, role, style, seen.percent))
    else:
        rows.append(Text("  no canary", style=_DIM))
    return Group(*rows)


def _bar(seen: Seen, width: int) -> Text:
    """One line for all users; any share above nothing is at least one character."""
    ours = round(width * seen.percent / 100)
    ours = max(ours, 1) if seen.percent else 0
    return Text.assemble(("█" * ours, CANARY), ("░" * (width - ours), STABLE))


def _canary_role(seen: Seen) -> tuple[str, str]:
    verdict = seen.verdict
    if verdict and verdict.result is Result.REJECTED and not seen.under_way:
        return "rolled back", BAD
    return "canary", CANARY


def _legend(scene: Scene, revision: str, role: str, style: str, percent: int) -> Text:
    tally = scene.tallies.get(revision, Tally())
    failed = f"{tally.bad} failed" if tally.bad else ""
    return Text.assemble(
        ("● ", style),
        (f"{scene.seen.version(revision):<6}", f"bold {style}"),
        (f"{revision:<18} ", _DIM),
        (f"{role:<12}", style),
        (f"{percent:>4} %", "bold"),
        (f"{tally.tasks:>7} tasks", ""),
        (f"  {failed}", BAD),
    )


# ------------------------------------------------------------------------------------- steps


def _steps(scene: Scene) -> Text:
    seen = scene.seen
    text = Text("steps  ", style=_DIM)
    by_hand = seen.rollout.share.source is Source.SETPOINT and seen.under_way
    shares = sorted({*scene.steps, 100, *([seen.percent] if by_hand else [])})
    for index, percent in enumerate(shares):
        mark, style = _step_mark(seen, percent)
        text.append("  ─  " if index else "", style=_DIM)
        text.append(f"{mark} {percent} %", style=style)
        if by_hand and percent == seen.percent:
            text.append(" by hand", style=CANARY)
    return text


def _step_mark(seen: Seen, percent: int) -> tuple[str, str]:
    if not seen.under_way or percent > seen.percent:
        return "○", _DIM
    return ("●", f"bold {CANARY}") if percent == seen.percent else ("✓", GOOD)


def _word(seen: Seen) -> Text:
    """What the rollout says of itself."""
    style = BAD if seen.canary and not seen.under_way else _DIM
    return Text(seen.word(ConditionType.PROGRESSING), style=style)


# ------------------------------------------------------------------------------------ checks


def _checks(scene: Scene) -> RenderableType:
    seen = scene.seen
    table = Table(box=None, padding=(0, 3, 0, 0), header_style=_DIM, pad_edge=False)
    for title in ("check", "candidate", "stable", "limit", "verdict"):
        table.add_column(title, no_wrap=True, min_width=12)
    live = {row[0]: row[1:] for row in _live(scene)} if seen.under_way else {}
    for check in seen.rollout.analysis.checks:
        ours, theirs = live.get(check.name, (check.candidate, check.stable))
        style = _VERDICT_STYLES.get(check.verdict, CANARY)
        table.add_row(check.name, ours, theirs, check.limit, Text(check.verdict, style=style))
    for _ in range(3 - table.row_count):
        table.add_row(*([Text("–", style=_DIM)] * 5))
    return table


def _live(scene: Scene) -> Iterator[tuple[str, str, str]]:
    """The same numbers as users see them: the operator writes its own down only now and then."""
    ours = scene.tallies.get(scene.seen.canary, Tally())
    theirs = scene.tallies.get(scene.seen.stable, Tally())
    yield "errorRate", _rate(ours, "Failed"), _rate(theirs, "Failed")
    yield "latencyMean", _mean(ours), _mean(theirs)
    yield "escalationRate", _rate(ours, "Escalated"), _rate(theirs, "Escalated")


def _rate(tally: Tally, status: str) -> str:
    events = tally.statuses.get(status, 0)
    return f"{100 * events / tally.tasks:.1f} % ({events}/{tally.tasks})" if tally.tasks else "–"


def _mean(tally: Tally) -> str:
    return f"{tally.processing_seconds / tally.tasks:.2f} s" if tally.tasks else "–"


# --------------------------------------------------------------------------------- exchanges


def _exchanges(scene: Scene, width: int) -> list[Text]:
    shown = [line for answer in scene.exchanges[-3:] for line in _exchange(scene.seen, answer)]
    return [_cut(line, width) for line in shown] + [Text()] * (6 - len(shown))


def _exchange(seen: Seen, answer: Answer) -> tuple[Text, Text]:
    style = CANARY if answer.revision == seen.canary else STABLE
    said = answer.output if answer.good else f"{answer.status}: {answer.message}"
    asked = Text.assemble((f"{answer.user}  ", _DIM), answer.question)
    told = Text.assemble(
        (f"{seen.version(answer.revision):>9}  ", style), (said, "" if answer.good else BAD)
    )
    return asked, told


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


# ----------------------------------------------------------------------------------- screen


@dataclass
class PanelView:
    """The story above, the panel below; a context manager, so that the cursor comes back."""

    elapsed: Callable[[], float]
    console: Console = field(default_factory=Console)
    live: Live | None = None

    def __enter__(self) -> Self:
        self.live = Live(console=self.console, auto_refresh=False, transient=True)
        self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()

    def say(self, text: str, command: str = "") -> None:
        """A line that stays, and the command below it."""
        self._print(lines.clock(self.elapsed()), text, "bold")
        if command:
            self._print(f"{lines.INDENT} ", f"$ {command}", GOOD, hanging="    ")

    def detail(self, text: str) -> None:
        """A line that stays, below the last one."""
        self._print(f"{lines.INDENT}   ", text, "", hanging="    ")

    def _print(self, margin: str, text: str, style: str, hanging: str = "") -> None:
        room = max(self.console.width - len(margin), 20)
        wrapped = textwrap.wrap(text, room, subsequent_indent=hanging) or [""]
        told = f"\n{' ' * len(margin)}".join(wrapped)
        # At once: after each print the panel is drawn anew below.
        assembled = Text.assemble((margin, _DIM), (told, style))
        self.console.print(assembled, soft_wrap=True, highlight=False)

    def show(self, scene: Scene) -> None:
        """Redraw."""
        if self.live:
            size = self.console.size
            self.live.update(draw(scene, size.width, size.height), refresh=True)
