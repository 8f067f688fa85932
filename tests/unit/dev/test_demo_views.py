"""How the demo looks: drawn for a terminal of any size, and as plain lines."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from penstock_dev.demo import lines, panel
from penstock_dev.demo.seen import Scene, Seen
from penstock_dev.traffic import Tally
from tests.unit.dev import demo_world
from tests.unit.dev.demo_world import CANARY, STABLE, seen

CURSOR_BACK = "\x1b[?25h"
SIZES = [(120, 40), (80, 24), (60, 20)]


def drawn(scene: Scene, width: int = 120, height: int = 40) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        console.print(panel.draw(scene, width, height))
    return captured.get().splitlines()


def scene_of(moment: Seen) -> Scene:
    exchanges = (
        demo_world.answer(1, STABLE, 0.0),
        demo_world.answer(2, CANARY, 1.0, "Failed"),
    )
    tallies = {
        STABLE: Tally(400, {"Succeeded": 400}, 80.0),
        CANARY: Tally(20, {"Succeeded": 14, "Failed": 6}, 10.0),
    }
    return Scene(moment, (5, 20, 50), tallies, exchanges, 12.0)


def line_with(word: str, scene: Scene) -> str:
    return next(line for line in drawn(scene) if word in line)


def bar(percent: int) -> tuple[int, int]:
    """Characters of the canary's colour and of stable's in a bar for 100."""
    line = line_with("░", scene_of(seen(percent=percent)))
    return line.count("█"), line.count("░")


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    "moment",
    [Seen(), seen(canary=None), seen(percent=5), seen(verdicts=(demo_world.verdict(),))],
    ids=["nothing", "stable", "canary", "rolled back"],
)
def test_the_panel_fits_terminals_of_any_size(moment: Seen, width: int, height: int) -> None:
    shown = drawn(scene_of(moment), width, height)
    assert max(map(len, shown)) <= width
    assert len(shown) <= height


def test_the_bar_is_as_long_as_the_shares_and_shows_the_smallest() -> None:
    small, rest = bar(1)
    assert small == 1
    half, other = bar(50)
    assert half == other == pytest.approx((small + rest) / 2, abs=1)
    assert bar(0)[0] == 0


def test_each_revision_has_its_role_its_share_and_its_failures() -> None:
    scene = scene_of(seen(percent=20))
    assert "stable        80 %    400 tasks" in line_with(STABLE, scene)
    assert "canary        20 %     20 tasks  6 failed" in line_with(CANARY, scene)


def test_steps_that_are_passed_present_and_to_come_look_different() -> None:
    assert "✓ 5 %  ─  ● 20 %  ─  ○ 50 %  ─  ○ 100 %" in line_with(
        "steps", scene_of(seen(percent=20))
    )


def test_a_share_set_by_hand_stands_among_the_steps() -> None:
    shown = line_with("steps", scene_of(seen(percent=35, source="Setpoint")))
    assert "✓ 20 %  ─  ● 35 % by hand  ─  ○ 50 %" in shown


def test_checks_show_what_users_saw_while_the_canary_is_tried() -> None:
    scene = scene_of(seen(percent=20))
    row = line_with("errorRate", scene)
    assert "30.0 % (6/20)" in row
    assert "0.0 % (0/400)" in row
    assert "Passing" in row


def test_a_canary_that_was_taken_off_is_called_rolled_back() -> None:
    scene = scene_of(seen(verdicts=(demo_world.verdict(),)))
    assert "rolled back    0 %" in line_with(CANARY, scene)
    assert "Breached" in line_with("errorRate", scene)


def test_failed_answers_are_shown_with_their_reason() -> None:
    assert "3.0  Failed: the model call failed" in line_with("Failed", scene_of(seen(percent=20)))


def test_plain_lines_carry_the_time_and_the_command_below() -> None:
    written: list[str] = []
    view = lines.LinesView(lambda: 12.34, written.append)
    view.say("The share is moved.", "kubectl patch")
    view.detail("user-0001: Where is my order?")
    view.show(Scene())
    assert written == [
        "[  12.3 s] The share is moved.",
        "           $ kubectl patch",
        "             user-0001: Where is my order?",
    ]


def test_the_story_stays_above_the_panel_and_breaks_between_words() -> None:
    file = io.StringIO()
    console = Console(width=60, height=24, file=file, force_terminal=True, color_system=None)
    with panel.PanelView(lambda: 1.0, console) as view:
        view.show(scene_of(seen(percent=20)))
        view.say("A sentence that is rather longer than sixty columns can hold.", "kubectl get")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert "[   1.0 s] A sentence that is rather longer than sixty" in text
    assert "\n           columns can hold." in text
    assert "$ kubectl get" in text
    assert CURSOR_BACK in file.getvalue()
