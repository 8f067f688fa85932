"""A canary tried on copies of stable's tasks: what both wanted of tools, and whether they went the same way.

A copy is no task: nobody waits for it, and nothing that changes the world is called for it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from penstock.api.oversight import HANDOVER
from penstock.revision import canonical
from penstock.task import TaskStatus


@dataclass(frozen=True)
class Intent:
    """A call that a model wanted: the tool, and the arguments as canonical JSON."""

    tool: str
    arguments: str

    @property
    def digest(self) -> str:
        """What is kept of the arguments: nothing that anybody said."""
        return hashlib.sha256(self.arguments.encode("utf-8", "surrogatepass")).hexdigest()


def intent(tool: str, given: Mapping[str, Any]) -> Intent:
    """A call by which others are told to be the same.

    Who asks for a person says why in words of his own: those are the same whatever they say.
    """
    return Intent(tool, "{}" if tool == HANDOVER else canonical(given))


class Verdict(StrEnum):
    """What a copy says of the canary. ``LEFT_OUT``: nothing, it was not ended by what the canary did."""

    AGREES = "Agrees"
    OTHER_CALLS = "OtherCalls"
    OTHER_END = "OtherEnd"
    LEFT_OUT = "LeftOut"


@dataclass(frozen=True)
class Way:
    """How a task or a copy went: the intended calls of tools that change something, and its end.

    ``end`` is None where a copy stopped at a call that nobody has recorded.
    """

    intents: tuple[Intent, ...]
    end: TaskStatus | None


def compared(stable: Way, copy: Way) -> Verdict:
    """Whether a copy went the way of stable's task: the same calls, in any order, and the same end."""
    if Counter(stable.intents) != Counter(copy.intents):
        return Verdict.OTHER_CALLS
    return Verdict.AGREES if copy.end is stable.end else Verdict.OTHER_END


@dataclass(frozen=True)
class Shadow:
    """That a canary is tried on copies of so many percent of stable's tasks, as a route carries it.

    ``changing``: the tools of stable that change something. ``canary`` is a revision's hash.
    """

    canary: str
    percent: int
    changing: Collection[str] = ()


def written(declared: Shadow | None) -> str:
    """The same as text; "" for none."""
    if declared is None:
        return ""
    said = {
        "canary": declared.canary,
        "percent": declared.percent,
        "changing": sorted(declared.changing),
    }
    return json.dumps(said)


@dataclass(frozen=True)
class Trial:
    """What copies have shown of a canary.

    ``begun_ms``: when its first copy was made, ms since 1970 by Redis. ``judged`` of the ``drawn`` ones said
    something, and ``agreed`` of these went as stable did. ``capped``, ``full`` and ``too_large`` were not made. ``micro_usd``
    is what their calls have used, and what those that run hold.
    """

    begun_ms: int = 0
    drawn: int = 0
    judged: int = 0
    agreed: int = 0
    capped: int = 0
    full: int = 0
    too_large: int = 0
    micro_usd: int = 0
