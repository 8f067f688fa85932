"""A canary tried on copies of stable's tasks: what both wanted of tools, and whether they went the same way.

A copy is no task: nobody waits for it, and nothing that changes the world is called for it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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


class Says(StrEnum):
    """How a call of a copy stands to those of stable's task."""

    SAME = "Same"
    OTHER_ARGUMENTS = "OtherArguments"
    ONLY_STABLE = "OnlyStable"
    ONLY_CANARY = "OnlyCanary"
    UNKNOWN = "Unknown"  # what stable wanted was not kept


@dataclass(frozen=True)
class Told:
    """A call as it is kept: its tool, and the SHA-256 of its arguments."""

    tool: str
    digest: str


@dataclass(frozen=True)
class Beside:
    """A call of stable's task beside one of its copy, by the digests of their arguments; "" where there is none."""

    tool: str
    says: Says
    stable: str = ""
    canary: str = ""


@dataclass(frozen=True)
class Differing:
    """A copy that went another way: both ends ("" where the copy stopped at a call), and the calls side by side.

    ``at_call``: the one that ended the copy, for nobody had recorded it.
    """

    task: str
    verdict: str
    stable_end: str
    copy_end: str
    calls: tuple[Beside, ...]
    at_call: Told | None = None


def beside(stable: Sequence[Told] | None, copy: Sequence[Told]) -> tuple[Beside, ...]:
    """The calls of both side by side, in whatever order they were made; stable's first.

    A call with other arguments stands beside one of the same tool, as long as there are some.
    """
    if stable is None:
        return tuple(Beside(one.tool, Says.UNKNOWN, canary=one.digest) for one in copy)
    left, found = [*copy], []
    unmatched = []
    for one in stable:
        if one in left:
            left.remove(one)
            found.append(Beside(one.tool, Says.SAME, one.digest, one.digest))
        else:
            unmatched.append(one)
    for one in unmatched:
        other = next((each for each in left if each.tool == one.tool), None)
        if other is None:
            found.append(Beside(one.tool, Says.ONLY_STABLE, stable=one.digest))
        else:
            left.remove(other)
            found.append(Beside(one.tool, Says.OTHER_ARGUMENTS, one.digest, other.digest))
    return (*found, *(Beside(one.tool, Says.ONLY_CANARY, canary=one.digest) for one in left))


@dataclass(frozen=True)
class Shadow:
    """That a canary is tried on copies of so many percent of stable's tasks, as a route carries it.

    ``changing``: the tools of stable that change something. ``kept``: others that no copy calls either, for
    one of both revisions says so. ``canary`` is a revision's hash.
    """

    canary: str
    percent: int
    changing: Collection[str] = ()
    kept: Collection[str] = ()


def written(declared: Shadow | None) -> str:
    """The same as text; "" for none.

    Those that are kept from copies stand among the changing ones, and are named once more: workers of the version
    before do not call what is changing.
    """
    if declared is None:
        return ""
    said = {
        "canary": declared.canary,
        "percent": declared.percent,
        "changing": sorted({*declared.changing, *declared.kept}),
    }
    kept = sorted({*declared.kept}.difference(declared.changing))
    return json.dumps(said | ({"kept": kept} if kept else {}))


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
