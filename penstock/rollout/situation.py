"""Everything a rollout decision may look at, in one immutable value, and what it returns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from penstock.analysis.evidence import Observation
from penstock.analysis.gates import Answer
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.reasons import EventReason
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.effects import HarmDone, Sums
from penstock.money.ledger import Limit, Stop
from penstock.rollout.capacity import Capacity
from penstock.shadow import Trial


@dataclass(frozen=True)
class RevisionRecord:
    """What the revision's own record says: it outlives any status.

    ``verdict``: the last one on it; one that was superseded leaves the rejection before it.
    ``promoted_sequence``: grows with each promotion of this Agent; 0 when never promoted.
    ``served_sequence``: its place among those that served
    everybody, also where nobody can tell who was promoted last; 0 when it never did. ``decided``: number and
    digest of the last decision on record.
    """

    name: str
    version: str | None = None
    verdict: Verdict | None = None
    promoted_sequence: int = 0
    served_sequence: int = 0
    decided: tuple[int, str] = (0, "")

    @property
    def rejection(self) -> Verdict | None:
        """Its last verdict, where that rejected it."""
        return self._if(Result.REJECTED)

    @property
    def promotion(self) -> Verdict | None:
        """Its last verdict, where that promoted it."""
        return self._if(Result.PROMOTED)

    def _if(self, result: Result) -> Verdict | None:
        return self.verdict if self.verdict and self.verdict.result is result else None

    @property
    def rejected_attempt(self) -> int:
        """The attempt in which it was rejected; 0 where it was not."""
        return self.rejection.attempt if self.rejection else 0

    @property
    def rejected_message(self) -> str:
        """Why it was rejected; empty where it was not, or nobody wrote it down."""
        return self.rejection.message if self.rejection else ""

    @property
    def promoted_attempt(self) -> int:
        """The attempt in which it was promoted; 0 where its last verdict is another."""
        return self.promotion.attempt if self.promotion else 0

    @property
    def returned(self) -> bool:
        """Whether it was promoted last because everybody went back to it."""
        return self.promotion is not None and self.promotion.reason is Reason.RETURNED


def who_is_stable(said: str, records: Iterable[RevisionRecord]) -> str:
    """Who serves by default: who is said to, else who was promoted last; empty: nobody.

    One that was rejected after its promotion does not serve.

    Args:
        said: by the decision in force, or by the Agent.
    """
    promoted = [r for r in records if r.promoted_sequence > 0 and not r.rejected_attempt]
    last = max(promoted, key=lambda record: record.promoted_sequence, default=None)
    return said or (last.name if last else "")


@dataclass(frozen=True)
class Pods:
    """Readiness of one revision's workers.

    ``wanted`` 0 means scaled to nothing on purpose, which is not being unavailable.
    ``needs_person``: what ``message`` tells of is mended by a person alone, and by no waiting.
    """

    ready: int = 0
    wanted: int = 0
    message: str = ""  # the pods' own words while they fail
    needs_person: bool = False


@dataclass(frozen=True)
class Situation:
    """One rollout as it is now.

    ``stable`` is who serves by default (from the Agent, empty before the first revision);
    ``latest`` the revision of the Agent's present template (empty when none can be cut).
    ``fresh_salt`` is a random string to use if a canary begins now. ``observation`` is None
    when the measurement failed, with ``observation_error`` saying why. ``users`` and ``tasks``
    are what the canary was ever given. ``records``, ``pods`` and ``queue_age_seconds`` (age of
    the oldest unclaimed task) are keyed by the names of revisions. ``request`` is the request
    annotation as read. ``route_version_floor`` is the highest version ever seen in force; ``route_lags``: the route in
    force is another than that of the status, so that nobody was given what that has decided.
    ``namespace`` and ``name`` are the AgentRollout's, for the commands in messages; without a
    name it is called like its Agent. Without a ``capacity`` there is enough for any share.
    ``store_error`` says why Redis does not answer. ``uncut`` is the reason, in one word, why the
    Agent's present template has no revision: Settling, or what is wrong with it.
    ``external`` is what is known of the gates in spec, by their names; one that is not among it is
    asked for the first time. ``expected_micro_usd`` is what a task is declared to cost, None where it is not. ``agent_limits``
    are those of the budget that the Agent enforces, None where it cannot be read; ``stops`` tells for want of which
    of its own limits calls of a revision were refused, ``harm`` what a revision has done since that is bounded.
    ``effects`` is what the calls of a revision have done, where Redis has said it; ``trials`` what copies of tasks
    have shown of it, where they are made.
    ``turned_away_at``: when a caller was last refused for want of a stable revision, None where none was.
    """

    now: datetime
    spec: AgentRolloutSpec
    generation: int
    status: AgentRolloutStatus
    epoch: int
    stable: str
    latest: str
    records: Mapping[str, RevisionRecord]
    pods: Mapping[str, Pods] = field(default_factory=dict)
    observation: Observation | None = None
    observation_error: str = ""
    request: str = ""
    fresh_salt: str = ""
    route_version_floor: int = 0
    route_lags: bool = False
    users: int = 0
    tasks: int = 0
    queue_age_seconds: Mapping[str, float] = field(default_factory=dict)
    agent_suspended: bool = False
    store_error: str = ""
    uncut: str = ""
    capacity: Capacity | None = None
    expected_micro_usd: int | None = None
    agent_limits: tuple[Limit, ...] | None = ()
    stops: Mapping[str, tuple[Stop, ...]] = field(default_factory=dict)
    harm: Mapping[str, HarmDone] = field(default_factory=dict)
    effects: Mapping[str, Sums] = field(default_factory=dict)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    external: Mapping[str, Answer] = field(default_factory=dict)
    turned_away_at: datetime | None = None
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True)
class Happening:
    """A Kubernetes Event to be posted once the status is written."""

    reason: EventReason
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Entry:
    """One decision for the record of a revision: its number there, its text, and the digest of that."""

    revision: str
    number: int
    text: str
    digest: str


@dataclass(frozen=True)
class Decision:
    """The next status, what to tell, and when to look again.

    ``status`` carries everything that must be acted upon: share, salt, routeVersion, stable and
    canary. ``verdicts`` are new in this decision, one for each revision it is about, and are
    noted on the records of those once the status is written. ``promoted`` is who serves by
    default from now on and did not before, empty where nobody was promoted. ``goal`` is the
    revision that all users go back to, until its first worker is ready: it needs its workers
    now. ``holds_seconds``: a canary is tried, and so long nothing but news would change
    the decision while no task is in the window; 0 where time alone might. ``entries`` are for the
    records of the revisions that they are about.
    """

    status: AgentRolloutStatus
    happenings: tuple[Happening, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    look_again_seconds: float = 5.0
    goal: str = ""
    promoted: str = ""
    holds_seconds: float = 0.0
    entries: tuple[Entry, ...] = ()
