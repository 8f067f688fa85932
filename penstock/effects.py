"""What a call of a tool has done to the world: its state, and what is kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EffectState(StrEnum):
    """What is known of a call that changes something."""

    INTENDED = "Intended"  # it was about to be made: whether it was, nobody knows
    DONE = "Done"
    REFUSED = "Refused"  # the tool has answered that it was not done, or it was never reached
    NOT_MADE = "NotMade"  # the worker was called off before it sent anything


@dataclass(frozen=True)
class Undo:
    """The call that compensates one: a tool and its arguments, as JSON; or why there is none."""

    tool: str
    arguments: str = "{}"
    problem: str = ""


class Undoing(StrEnum):
    """How far the compensation of a call is."""

    NONE = ""
    ASKED = "Asked"  # its task is there, and has not made the call
    INTENDED = (
        "Intended"  # the compensating call was about to be made: whether it was, nobody knows
    )
    DONE = "Done"
    REFUSED = "Refused"
    NOT_MADE = "NotMade"
    ENDED = "Ended"  # its task is over, and has made no call


@dataclass(frozen=True)
class Undone:
    """What is known of a call's compensation; ``task`` makes it, or has."""

    state: Undoing = Undoing.NONE
    task: str = ""
    attempt: int = 0


@dataclass(frozen=True)
class ApprovedEarlier:
    """The approval for further calls of its session by which a call was made; ``escalation``: of the call it was given for."""

    by: tuple[str, ...]
    escalation: str


@dataclass(frozen=True)
class Effect:
    """One call of a tool that is not ReadOnly. ``at_ms`` is Redis time, ``revision`` a hash.

    ``amount_micro``: what its amountFrom says it is worth, in millionths; None where it says
    nothing. ``shown`` is JSON of the arguments that may be shown. Digests are SHA-256 of the arguments
    and of what the tool answered, "" where it has not. ``undo`` says how it is compensated, None where
    its tool declares nothing or it was erased; ``compensates`` names the call that this one undoes. ``erased``: whom it was for is no longer kept.
    ``approved_earlier``: None where a person was asked for it, or nobody had to be.
    """

    id: str
    task: str
    tenant: str
    user: str
    revision: str
    tool: str
    state: EffectState
    at_ms: int
    step: int
    position: int
    amount_micro: int | None = None
    shown: str = "{}"
    arguments_digest: str = ""
    result_digest: str = ""
    undo: Undo | None = None
    compensates: str = ""
    erased: bool = False
    approved_earlier: ApprovedEarlier | None = None

    @property
    def call(self) -> str:
        """Which call it is, for ever: task, reply and position, as its idempotency key."""
        return f"{self.task}.{self.step}.{self.position}"


@dataclass(frozen=True)
class HarmDone:
    """What a canary has done since it is bounded: tasks that failed, irreversible calls, their sum in millionths.

    ``calls_most`` and ``micro_most``: the most for want of which a call was refused last; None where
    none was.
    """

    failed: int = 0
    calls: int = 0
    micro: int = 0
    calls_most: int | None = None
    micro_most: int | None = None


@dataclass(frozen=True)
class Sums:
    """What a revision's calls have done: how many, for how many users (about), and of how many nobody knows.

    ``micro``: what they are worth by tool, in millionths. ``undone``, ``undo_refused``, ``undo_asked``: of how
    many the compensation was made, was not made, and is asked for without either.
    """

    done: int = 0
    unknown: int = 0
    users: int = 0
    micro: Mapping[str, int] = field(default_factory=dict)
    undone: int = 0
    undo_refused: int = 0
    undo_asked: int = 0

    def __bool__(self) -> bool:
        return bool(self.done or self.unknown)

    def words(self) -> str:
        """The same in one sentence without its full stop: what nobody knows comes first."""
        doubt = f"of {_counted(self.unknown, 'call')} nobody knows whether they were made; "
        if not self.done:
            return f"{doubt if self.unknown else ''}no call is known to have changed something"
        much = "".join(f", {tool} {decimal(micro)}" for tool, micro in sorted(self.micro.items()))
        calls, users = _counted(self.done, "call"), _counted(self.users, "user")
        said = f"{doubt if self.unknown else ''}{calls} changed something, for {users}{much}"
        return said + self._undone()

    def _undone(self) -> str:
        """How many were undone, and how many were not; nothing where nobody has asked."""
        touched = self.undone + self.undo_refused + self.undo_asked
        if not touched:
            return ""
        told = {
            "undone": self.undone,
            "not undone": self.undo_refused,
            "asked for": self.undo_asked,
            "open": max(0, self.done + self.unknown - touched),
        }
        return f"; of these {', '.join(f'{count} {word}' for word, count in told.items() if count)}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def decimal(micro: int) -> str:
    """Millionths as a decimal number, without zeros at its end."""
    whole, rest = divmod(micro, 1_000_000)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")
