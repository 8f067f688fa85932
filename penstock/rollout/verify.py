"""Whether the record of decisions on a revision follows from the outcome rows: each decision is made again.

Rows are given once, in the order of the log, in parts of any size; none is kept. What was recorded
is compared with what the engine decides on the same rows, field by field.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from penstock.analysis.pending import text_of
from penstock.outcomes import Row
from penstock.rollout import recorded
from penstock.rollout.recorded import Head, Pass, Told
from penstock.rollout.replayed import Done, Replay
from penstock.rollout.words import verified

#: Numbers that differ by no more than this, as a part of the larger one, are equal.
TOLERANCE: Final = 1e-9
#: What an entry was given is the question, not the answer.
_QUESTION: Final = frozenset({"inputs"})


class Outcome(StrEnum):
    """What is said of a recorded decision."""

    EQUAL = "Equal"  # decided again, with the same numbers
    BY_DIGEST = "ByDigest"  # not all that it needs is there: its sums and the digest stand
    ENGINE_NEEDED = "EngineNeeded"  # another version of the engine has decided
    MISSING = "Missing"  # its number is not in the record
    DIFFERS = "Differs"


@dataclass(frozen=True)
class Difference:
    """Where a decision differs first: the field, what is recorded, and what was found."""

    field: str
    recorded: Any
    found: Any


@dataclass(frozen=True)
class Checked:
    """One recorded decision and what is said of it. ``verdict``: the result that it is, empty: none."""

    number: int
    outcome: Outcome
    at: str = ""
    rule: str = ""
    move: str = ""
    verdict: str = ""
    why: str = ""
    difference: Difference | None = None


class Verification:
    """One revision's record being looked at: ``add`` the rows after ``after``, then ``finish``."""

    def __init__(self, texts: Mapping[str, str], head: Head | None, first_kept: str = "") -> None:
        """Read the record.

        Args:
            texts: the data of the ConfigMap: the entries by their keys.
            head: what the annotation of the ControllerRevision says; None where it has none.
            first_kept: id of the oldest row of the log, where older ones were trimmed; else empty.
        """
        self._found: dict[int, Checked] = {}
        entries = recorded.entries(texts)
        told = {one.number: one.told for one in entries}
        for absent in recorded.missing(entries, head):
            self._found[absent] = Checked(absent, Outcome.MISSING, why=verified.NOT_THERE)
        for broken in recorded.breaks(entries, head):
            different = Difference(broken.field, broken.recorded, broken.found)
            self._say(told[broken.number], Outcome.DIFFERS, broken.why, different, broken.number)
        for one in entries:
            if one.told and (engine := one.engine_needed):
                self._say(one.told, Outcome.ENGINE_NEEDED, verified.engine(engine))
        readable = [one for one in entries if one.told and not one.engine_needed]
        self._replay = Replay(list(self._passes(readable)), first_kept)

    def _passes(self, entries: list[recorded.Entry]) -> Iterable[Pass]:
        for one in recorded.passes(entries):
            if isinstance(one, Pass):
                yield one
            else:
                self._say(one[0].told, Outcome.BY_DIGEST, one[1])

    @property
    def after(self) -> str:
        """The id after which rows are wanted; empty: from the first on."""
        return self._replay.after

    @property
    def through(self) -> str:
        """The id up to which rows are wanted."""
        return text_of(self._replay.through)

    def add(self, rows: Iterable[Row]) -> None:
        """The next rows of the log, in its order."""
        self._replay.add(rows)

    def finish(self) -> tuple[Checked, ...]:
        """What is said of each decision, by its number; those that are missing are among them."""
        for done in self._replay.finish():
            self._judge(done)
        return tuple(self._found[number] for number in sorted(self._found))

    def _judge(self, done: Done) -> None:
        """Compare the entries of a pass with those that were decided again."""
        digests = done.digests and Difference("measured.rows.digest", *done.digests)
        for place, told in enumerate(done.made.entries):
            if done.problem:
                outcome = Outcome.DIFFERS if digests else Outcome.BY_DIGEST
                self._say(told, outcome, done.problem, digests)
                continue
            decided = done.decided[place] if place < len(done.decided) else {}
            different = difference(told, decided) or digests
            if different and done.unless and not digests:
                self._say(told, Outcome.BY_DIGEST, done.unless)
                continue
            self._say(told, Outcome.DIFFERS if different else Outcome.EQUAL, "", different)

    def _say(
        self,
        told: Told,
        outcome: Outcome,
        why: str,
        different: Difference | None = None,
        number: int = 0,
    ) -> None:
        """What is said of an entry first holds."""
        says = told.get("says") or {}
        checked = Checked(
            number=number or told["number"],
            outcome=outcome,
            at=str(told.get("at", "")),
            rule=str(told.get("rule", "")),
            move=str(told.get("move", "")),
            verdict=str(says.get("result", "")) if isinstance(says, dict) else "",
            why=why,
            difference=different,
        )
        self._found.setdefault(checked.number, checked)


def difference(told: Any, found: Any, at: str = "") -> Difference | None:
    """The first place, by the order of names, where two values are not equal; None: they are."""
    if isinstance(told, dict) and isinstance(found, dict):
        names = sorted({*told, *found} - (_QUESTION if not at else frozenset()))
        pairs = [
            (told.get(name), found.get(name), f"{at}.{name}" if at else name) for name in names
        ]
    elif isinstance(told, list) and isinstance(found, list) and len(told) == len(found):
        both = enumerate(zip(told, found, strict=True))
        pairs = [(one, other, f"{at}[{place}]") for place, (one, other) in both]
    else:
        return None if _equal(told, found) else Difference(at, told, found)
    return next((one for one in (difference(*pair) for pair in pairs) if one), None)


def _equal(one: Any, other: Any) -> bool:
    numbers = [isinstance(v, int | float) and not isinstance(v, bool) for v in (one, other)]
    if not all(numbers):
        return type(one) is type(other) and bool(one == other)
    return bool(abs(one - other) <= TOLERANCE * max(1.0, abs(one), abs(other)))
