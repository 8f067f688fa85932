"""What the store's calls take and return beyond the core's own types."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from penstock.access import Access, Heard
from penstock.effects import HarmDone, Sums
from penstock.escalation import Decision
from penstock.money.ledger import Answer, Spending, Stop
from penstock.names import AgentKey
from penstock.outcomes import Row
from penstock.protocol import Spoken
from penstock.remembering import Remembered
from penstock.shadow import Trial
from penstock.task import Task, TaskStatus
from penstock.traffic import Arm
from penstock_store.keys import AgentKeys


@dataclass(frozen=True)
class Admission:
    """A task that is stored and queued (or was before, under the same idempotency key).

    ``created_ms`` is Redis time. ``over_rate``: whose rate or budget a new task is over that is not enforced by a
    refusal, ``user``, ``tenant`` or ``agent``; empty where it is over none. ``escalates``: it is a budget that
    hands tasks to people.
    """

    task: str
    revision: str
    arm: Arm
    route_version: int
    status: TaskStatus
    existed: bool
    created_ms: int
    over_rate: str = ""
    escalates: bool = False


@dataclass(frozen=True)
class Claim:
    """The right to work on a task, until its claim id is replaced or its heartbeat stops.

    ``checkpoint`` is the state saved after the last model reply or tool result, byte for byte;
    ``checkpoint_revision`` the revision hash that wrote it (another one's thinking blocks must
    be stripped). ``history`` is the session's conversation before this task, written by
    ``history_revision``. ``expired``: it waited longer than queueSeconds, end it as Expired.
    ``consumer`` holds it. ``problem``: the stored task cannot be read, for this reason; only its id is known, end it as
    Failed. ``doubt``: what a worker that is gone did with the task may have been lost by Redis, in
    this span; irreversible calls take a person. ``suspects``: how many tasks a dead worker's share
    has that is tried apart from others; 0 for an ordinary task. ``reserved``: what the ledger says of
    its first model call, whose id is ``money.first_call(id)``; None where nothing was asked.
    ``decision``: what was decided of the call for which the task waited last; None: it waited for nobody.
    ``approved``: what was approved in its session for further calls, those that hold for it, oldest first.
    """

    id: str
    agent: AgentKey
    revision: str
    task: Task
    lane: str
    entry: str
    checkpoint: bytes | None = None
    checkpoint_revision: str = ""
    history: bytes | None = None
    history_revision: str = ""
    expired: bool = False
    consumer: str = ""
    problem: str = ""
    doubt: str = ""
    suspects: int = 0
    reserved: Answer = None
    decision: Decision | None = None
    approved: tuple[Remembered, ...] = ()

    @property
    def keys(self) -> tuple[str, str]:
        """Where the task is kept, and its events."""
        own = AgentKeys(self.agent)
        return own.task(self.task.id), own.events(self.task.id)


class Directive(StrEnum):
    """What a worker must do with a task after a step."""

    CONTINUE = "Continue"
    GIVE_BACK = "GiveBack"  # its revision was rejected or the agent is suspended: release it
    HAND_OVER = "HandOver"  # its canary may not spend more: save it, and release it to stable
    CANCEL = "Cancel"  # the caller took it back: finish it as Cancelled
    LOST = "Lost"  # another worker owns it now: drop it without another write
    PARK = "Park"  # it waits for a person by now: drop it without another write
    ASK = "Ask"  # nothing is saved: what the call that it would make is worth, a person must say
    REWRITE = "Rewrite"  # Redis may have lost what was saved last: save it again, and go on

    def graver(self, other: "Directive") -> "Directive":
        """The one of two that a worker heeds."""
        return max(self, other, key=_WEIGHT.index)


_WEIGHT: Final = (
    Directive.CONTINUE,
    Directive.HAND_OVER,
    Directive.GIVE_BACK,
    Directive.CANCEL,
    Directive.LOST,
)


@dataclass(frozen=True)
class Telling:
    """What a worker passes on of its model's last word (None: nothing), and which models it asks.

    ``revision`` is a hash, ``asks`` is of ``penstock.money.asked``; empty: as it was told before.
    """

    agent: AgentKey
    revision: str
    access: Access | None
    age_ms: int
    asks: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happened to a task, in order; ``id`` resumes a stream after it."""

    id: str
    type: str  # queued, started, model, tool, waiting, decided, moved, finished
    data: dict[str, Any]


@dataclass(frozen=True)
class RevisionWork:
    """What a revision holds right now. ``oldest_queued_ms`` is an age, 0 when nothing waits."""

    queued: int = 0
    running: int = 0
    pinned: int = 0
    oldest_queued_ms: int = 0
    users: int = 0  # different users, sessions or tasks ever routed to it (HyperLogLog)
    tasks: int = 0  # tasks ever routed to it
    turned_away_ms: int = 0  # when a caller was last refused, for want of a stable one; 0: never

    @property
    def idle(self) -> bool:
        """Whether nothing keeps the revision from being closed."""
        return not (self.queued or self.running or self.pinned)


@dataclass(frozen=True)
class Look:
    """One agent as Redis has it now; ``now_ms`` is Redis time."""

    now_ms: int
    route_version: int | None  # None: there is no route record
    route_epoch: int
    route_uid: str
    route_record: tuple[str, ...]  # as stored, to be compared with codec.route_record
    first_row: str  # id of the oldest outcome row still kept, "" when there is none
    last_row: str
    work: Mapping[str, RevisionWork] = field(default_factory=dict)  # by revision hash
    waiting: int = 0  # tasks that wait for an earlier one of their session; in no revision's work
    parked: int = 0  # tasks that wait for a person; in no revision's work
    lapses_in_ms: int | None = None  # when time decides the first of them; None: none waits
    waits_ms: int = 0  # for how long that one has waited
    rows_trimmed: bool = False  # the log has lost its first rows, whoever had read them
    overdue_calls: bool = False  # model calls are open in the ledger past their time
    heard: Mapping[str, Heard] = field(default_factory=dict)  # by revision hash, where it is known
    spoken: Mapping[str, Spoken] = field(
        default_factory=dict
    )  # by revision hash, where it is known
    # micro-USD of the tasks that ended today (UTC), by the hash of the revision that ended them
    cost_today: Mapping[str, int] = field(default_factory=dict)
    spending: Spending | None = None  # of the agent and its canary; None where there is no budget
    stops: tuple[Stop, ...] = ()  # where calls of the route's canary were refused
    harm: HarmDone | None = None  # what the route's canary has done; None where that is not bounded
    trial: Trial | None = None  # what copies have shown of it; None where none are made
    effects: Sums | None = None  # what calls of the route's canary have done; None without a canary

    @property
    def canary(self) -> str:
        """The hash of the canary in the route in force; "" where there is none."""
        return "".join(self.route_record[4:5])

    def stable_of(self, uid: str) -> str:
        """The hash of whom the route in force leads to; "" where it is none of this Agent."""
        return "".join(self.route_record[3:4]) if self.route_uid == uid else ""

    @property
    def budget_mark(self) -> str:
        """The mark of the budget in force, "" where there is none."""
        return "".join(self.route_record[11:12])

    @property
    def restrictions(self) -> str:
        """The restrictions in force, as the route carries them; "" where there are none."""
        return "".join(self.route_record[12:13])

    @property
    def harm_bound(self) -> str:
        """What the canary may do to the world, as the route carries it; "" where that is not bounded."""
        return "".join(self.route_record[13:14])

    @property
    def shadow(self) -> str:
        """Whether copies of tasks are made for the canary, as the route carries it; "" where not."""
        return "".join(self.route_record[14:15])

    def admits(self, uid: str) -> bool:
        """Whether the route in force is of this Agent, leads everybody to a revision, and is not suspended."""
        return bool(self.stable_of(uid)) and self.route_record[8:9] != ("1",)


@dataclass(frozen=True)
class RowPage:
    """Outcome rows in order, read up to the id ``through`` ("": none); ``more``: the log goes on.

    ``passed_over``: ids of those that cannot be read. ``first`` is the id of the oldest entry that was
    read. ``held``: when they were read, the log still had the row after which they come, so none
    between was lost.
    """

    rows: tuple[Row, ...]
    through: str
    more: bool = False
    passed_over: tuple[str, ...] = ()
    first: str = ""
    held: bool = True

    @property
    def unreadable(self) -> int:
        """How many rows were passed over."""
        return len(self.passed_over)


@dataclass(frozen=True)
class Memory:
    """What Redis uses and may use, in bytes; a limit of 0: none is set."""

    used: int
    limit: int
