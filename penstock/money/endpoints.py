"""How a model at an address is doing: its breaker, and what its vendor lets be asked of it in a minute."""

from dataclasses import dataclass
from enum import StrEnum

from penstock.money.asked import AskedModel


class BreakerPosition(StrEnum):
    """Closed: it is asked. Open: nobody asks it. HalfOpen: the next call tries it, alone."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


class LimitSource(StrEnum):
    """Who says how much may be asked in a minute."""

    DECLARED = "declared"
    LEARNED = "learned"  # from the headers of the vendor's answers
    NONE = ""  # nobody: nothing is counted


@dataclass(frozen=True)
class Breaker:
    """After so many ``outages`` in a row; times are ms since 1970, Redis time, 0: never.

    ``until_ms``: when an open one is tried. ``failure``: the class of the last outage that anybody met, "" where
    none is remembered or a worker of the version before met it.
    """

    position: BreakerPosition = BreakerPosition.CLOSED
    outages: int = 0
    until_ms: int = 0
    failure: str = ""
    failed_ms: int = 0


@dataclass(frozen=True)
class MinuteLimit:
    """How much may be asked in a minute, and how much of that is taken and has not come back; ``most`` 0: any."""

    most: int = 0
    used: int = 0
    source: LimitSource = LimitSource.NONE


@dataclass(frozen=True)
class Pool:
    """What may be asked with one credential. ``waits``: names of Agents of which calls wait now.

    ``paced_until_ms``: the vendor has told calls to wait until then; 0: it has not.
    """

    requests: MinuteLimit = MinuteLimit()
    input_tokens: MinuteLimit = MinuteLimit()
    output_tokens: MinuteLimit = MinuteLimit()
    waits: tuple[str, ...] = ()
    paced_until_ms: int = 0


@dataclass(frozen=True)
class Endpoint:
    """A model that a revision asks, and how it is doing. ``mark`` is of ``keys.endpoint_mark``."""

    asked: AskedModel
    breaker: Breaker
    pool: Pool
    mark: str


@dataclass(frozen=True)
class RevisionModels:
    """The models of a revision (a hash); ``endpoints`` None: its workers have not said which."""

    revision: str
    role: str  # stable, canary, or "": it ends what it has
    endpoints: tuple[Endpoint, ...] | None


@dataclass(frozen=True)
class ModelSpend:
    """Micro-USD that ended tasks have cost for one model. ``mark`` is of ``keys.endpoint_mark``."""

    mark: str
    model: str
    today: int
    month: int


@dataclass(frozen=True)
class AgentModels:
    """All that is known of an agent's models as of ``now_ms``, Redis time.

    ``unattributed``: micro-USD of today's ended tasks of which no worker has said the model.
    """

    now_ms: int
    revisions: tuple[RevisionModels, ...]
    spend: tuple[ModelSpend, ...]
    unattributed: int = 0
