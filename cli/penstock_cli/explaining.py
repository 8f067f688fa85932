"""Why a rollout does not move, and what to type: the operator's word, every check, the commands. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from rich.text import Text

from penstock.rollout import onlooker
from penstock.rollout.onlooker import Answer, Explanation, Says
from penstock_cli import advice, picture
from penstock_cli.picture import BAD, CANARY, DIM, GOOD
from penstock_cli.seen import Seen

_LABELS: Final = {
    Says.NOTHING: ("no", DIM),
    Says.HOLDS: ("HOLDS", f"bold {CANARY}"),
    Says.HOLDS_NEXT: ("next", CANARY),
    Says.MOVES: ("then", GOOD),
}
_LABEL: Final = 7  # columns


def lines(seen: Seen, width: int, *, whole: bool = False) -> Iterator[Text]:
    """What is awaited, what to type, what each check says and measures.

    Args:
        whole: with the names of the checks that say nothing.
    """
    told = onlooker.explain(seen.situation())
    yield Text.assemble((seen.name, "bold"), f" in {seen.namespace}   ", (_word(seen), "bold"))
    yield from picture.sentence(picture.message(seen), width)
    yield from picture.effects(seen, width)
    yield from picture.to_mend(seen, width)
    for doubt in _doubts(seen, told):
        yield from (Text(line, style=BAD) for line in textwrap.wrap(doubt, width))
    if typed := advice.commands(seen, outdated=told.outdated):
        yield Text()
        yield Text("What can be typed:", style=DIM)
        for one in typed:
            yield Text.assemble(f"  {one.command}", (f"   # {one.effect}", DIM))
    yield Text()
    yield Text("The checks, in the order in which they are asked:", style=DIM)
    yield from _answers(told.answers, width) if whole else _sayings(told.answers)
    yield Text()
    yield from picture.checks(seen, width)


def _word(seen: Seen) -> str:
    return seen.status.waiting or picture.status(seen)


def _doubts(seen: Seen, told: Explanation) -> Iterator[str]:
    """Whether the operator's word is still true."""
    last, asked = seen.status.last_request, seen.request[:256]
    if seen.unseen:
        acted = seen.status.observed_generation
        yield (
            f"No operator has acted on the spec as it is now: generation {seen.generation}, acted on "
            f"{acted}."
        )
    elif asked != last.value and asked:
        yield f"The request {asked} has no answer yet."
    elif told.outdated:
        yield "That does not fit what is to be seen by now. Where it lasts, no operator leads."
    if last.result == "Waiting" and last.value == asked:
        yield f"The request {asked} waits for that."


def _sayings(answers: Sequence[Answer]) -> Iterator[Text]:
    """One line for each check that says something, and how many say nothing."""
    lines = [line for line in _said(answers) if line]
    yield from lines
    if silent := len(answers) - len(lines):
        yield Text(
            f"{'no':<{_LABEL}}{silent} others say nothing here (--all names them)", style=DIM
        )


def _answers(answers: Sequence[Answer], width: int) -> Iterator[Text]:
    """The same, with those that say nothing, which stand together."""
    pairs = zip(answers, _said(answers), strict=True)
    for silent, group in groupby(pairs, lambda pair: pair[1] is None):
        found = list(group)
        if silent:
            yield from _wrapped(", ".join(answer.check for answer, _ in found), width)
        yield from (line for _, line in found if line)


def _said(answers: Sequence[Answer]) -> Iterator[Text | None]:
    """The line of each check; None where it says nothing."""
    held = [answer.says is Says.HOLDS for answer in answers]
    holder = held.index(True) if any(held) else len(answers)
    for at, answer in enumerate(answers):
        label, style = _LABELS[answer.says]
        if answer.says is Says.MOVES and at < holder:
            label, style = "due", BAD
        told = Text.assemble(f"{label:<{_LABEL}}", (answer.check, style), f"   {answer.reason}")
        yield None if answer.says is Says.NOTHING else told


def _wrapped(names: str, width: int) -> Iterator[Text]:
    room = max(width - _LABEL, 20)
    for index, line in enumerate(textwrap.wrap(names, room, break_on_hyphens=False)):
        yield Text(f"{'' if index else 'no':<{_LABEL}}{line}", style=DIM)


def document(seen: Seen) -> dict[str, Any]:
    """The same for programs."""
    told = onlooker.explain(seen.situation())
    typed = advice.commands(seen, outdated=told.outdated)
    return {
        "name": seen.name,
        "namespace": seen.namespace,
        "waiting": told.waiting,
        "message": picture.message(seen),
        "unresolved": picture.unresolved(seen),
        "outdated": told.outdated,
        "observed": not seen.unseen,
        "answers": [
            {"check": one.check, "says": one.says.value, "reason": one.reason}
            for one in told.answers
        ],
        "effects": picture.effects_document(seen),
        "commands": [{"command": one.command, "effect": one.effect} for one in typed],
        **picture.checks_document(seen),
    }
