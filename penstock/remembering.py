"""What a person has approved for a session: which further calls of it are made without asking again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

LONGEST: Final = 4096  # characters of what is kept of one approval; a longer one is not kept


@dataclass(frozen=True)
class Kept:
    """A rule that asks, and for which calls an approval of this one would hold.

    ``rule`` tells it from any other rule, also from one of its name that says something else. ``most``:
    the amount of the call, a decimal string; "" where the rule compares none. ``words`` are for the person.
    """

    rule: str
    most: str = ""
    words: str = ""


@dataclass(frozen=True)
class Memory:
    """Which calls an approval for the session is about; ``tool`` is the digest of its name and schema."""

    tool: str
    rules: tuple[Kept, ...]

    def covers(self, wanted: "Memory") -> bool:
        """Whether calls of another one are among these: of the same tool, asked for by no other rule, of no larger amount."""
        known = {one.rule: one.most for one in self.rules}
        return self.tool == wanted.tool and all(
            one.rule in known and _is_within(one.most, known[one.rule]) for one in wanted.rules
        )

    @property
    def words(self) -> str:
        """The calls, as a person reads it before he agrees."""
        return "; ".join(one.words for one in self.rules)

    def text(self) -> str:
        """As it is stored; "" where that is too long to be kept."""
        rules = [[one.rule, one.most, one.words] for one in self.rules]
        said = json.dumps({"tool": self.tool, "rules": rules}, ensure_ascii=False)
        return said if len(said) <= LONGEST else ""


def _is_within(amount: str, most: str) -> bool:
    return bool(amount) == bool(most) and (not amount or Decimal(amount) <= Decimal(most))


def read(text: str) -> Memory:
    """A memory as ``Memory.text`` wrote it.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none.
    """
    said: Mapping[str, Any] = json.loads(text)
    rules = tuple(Kept(str(rule), str(most), str(words)) for rule, most, words in said["rules"])
    if not rules or not all(one.most == "" or Decimal(one.most).is_finite() for one in rules):
        raise ValueError("it names no rule, or an amount that is no number")
    return Memory(str(said["tool"]), rules)


@dataclass(frozen=True)
class Remembered:
    """An approval that holds for further calls of a session; ``escalation``: of which call it was given."""

    memory: Memory
    by: tuple[str, ...]
    escalation: str
