"""What a check can ask for: one small value per kind of change, and Wait for none."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from penstock.analysis.guardrails import Finding
from penstock.api.analysis import Reason, Verdict
from penstock.api.interruptions import SpendStop
from penstock.api.reasons import WaitReason
from penstock.api.rings import Ring
from penstock.api.rollout import Source
from penstock.rollout.facts import Facts


@dataclass(frozen=True)
class Wait:
    """Nothing changes now; ``until`` is when time alone may change that.

    ``sentence`` makes what people read of it when all else is decided, and numbers are written.
    """

    reason: WaitReason
    sentence: Callable[[Facts], str]
    until: datetime | None = None

    def said(self, facts: Facts) -> "Awaited":
        """The wait in words."""
        return Awaited(self.reason, self.sentence(facts), self.until)


@dataclass(frozen=True)
class Awaited:
    """A wait as people read it."""

    reason: WaitReason
    message: str
    until: datetime | None = None


@dataclass(frozen=True)
class ServeFirst:
    """The first revision ever is ready: it serves everybody."""

    revision: str


@dataclass(frozen=True)
class Begin:
    """A revision becomes the canary, from the start; the one before it is superseded."""

    canary: str
    superseding: str = ""


@dataclass(frozen=True)
class Drop:
    """The Agent wants what is stable already: the canary goes."""

    superseding: str = ""


@dataclass(frozen=True)
class Adopt:
    """The canary's record says that it was promoted, and the status does not know yet."""

    verdict: Verdict


@dataclass(frozen=True)
class StayRejected:
    """The canary's record says that it was rejected, and the status does not know yet."""


@dataclass(frozen=True)
class Retry:
    """A person gives a rejected canary another attempt, with new evidence."""


@dataclass(frozen=True)
class Reject:
    """The canary gets nothing from now on, until a retry or another revision."""

    reason: Reason
    message: str
    check: str | None = None


@dataclass(frozen=True)
class Suspend:
    """The canary is taken off for a while; nobody is blamed yet.

    ``overload``: its pods are ready and its queue aged, which never condemns it. ``stop``: it is
    stopped, for it has used up this.
    """

    reason: WaitReason
    message: str
    overload: bool = False
    stop: SpendStop | None = None


@dataclass(frozen=True)
class Resume:
    """A suspended canary comes back to the share it had.

    ``unbounded``: a person lets it, whatever it has spent. ``misfit``: stable itself is over this
    limit, which takes it off no more.
    """

    unbounded: bool = False
    misfit: Finding | None = None


@dataclass(frozen=True)
class SetShare:
    """A person's word, or a ceiling, puts the share somewhere; the place on the path stays."""

    percent: int
    source: Source


@dataclass(frozen=True)
class Keep:
    """The share in force is kept as an implied step with a fresh hold."""


@dataclass(frozen=True)
class Anew:
    """The step, or the final hold, begins anew: what was counted in it is not whole."""

    reason: WaitReason


@dataclass(frozen=True)
class OpenRing:
    """The users of a ring are given the canary: of the next one, or of one that was edited or comes back."""

    ring: Ring
    requested: bool = False


@dataclass(frozen=True)
class Advance:
    """The automatic path goes on to a step (None: the final hold), at this share.

    ``late``: the deadline takes it there, whatever is missing. ``held``: the share of an implied step on
    the way to that one, where its own wants proof first.
    """

    index: int | None
    percent: int
    source: Source = Source.AUTOMATIC
    requested: bool = False
    held: int | None = None
    nobody_eligible: bool = False
    late: bool = False


@dataclass(frozen=True)
class Promote:
    """The canary becomes stable."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Undo:
    """A former stable revision serves everybody again; who is left for it is rejected.

    ``broken``: the limit that stable broke, where nobody has asked for it.
    """

    revision: str
    broken: Finding | None = None


@dataclass(frozen=True)
class Brake:
    """Nothing is admitted any more, for the limit that stable broke."""

    broken: Finding


@dataclass(frozen=True)
class Release:
    """What the brake held is admitted again."""

    why: str
    requested: bool = False


@dataclass(frozen=True)
class Answer:
    """A request is answered and changes nothing, unless it is noted as an approval."""

    accepted: bool
    message: str
    approves: bool = False


#: A move that changes the status.
Action = (
    ServeFirst
    | Begin
    | Drop
    | Adopt
    | StayRejected
    | Retry
    | Reject
    | Suspend
    | Resume
    | SetShare
    | Keep
    | Anew
    | OpenRing
    | Advance
    | Promote
    | Undo
    | Brake
    | Release
    | Answer
)
Move = Wait | Action
