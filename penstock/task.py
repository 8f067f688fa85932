"""A task: what a caller submits, what it uses, how it ends."""

import base64
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from penstock.money.ledger import NOTHING, Amount
from penstock.money.prices import usd
from penstock.names import AgentKey


class TaskStatus(StrEnum):
    """Where a task is in its life. Halted is a pause (kill switch), WaitingForApproval one for a person."""

    QUEUED = "Queued"
    RUNNING = "Running"
    HALTED = "Halted"
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ESCALATED = "Escalated"
    LIMIT_EXCEEDED = "LimitExceeded"
    EXPIRED = "Expired"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the task."""
        return self not in _GOING_ON


_GOING_ON: Final = (
    TaskStatus.QUEUED,
    TaskStatus.RUNNING,
    TaskStatus.HALTED,
    TaskStatus.WAITING_FOR_APPROVAL,
)


class OutcomeReason(StrEnum):
    """Why a task ended as it did: a closed list."""

    NONE = ""
    MODEL_ERROR = "ModelError"
    REFUSAL = "Refusal"
    APPROVAL = "Approval"
    TOOL_ERROR = "ToolError"
    TIMEOUT = "Timeout"
    LIMIT_MODEL_CALLS = "LimitModelCalls"
    LIMIT_TOOL_CALLS = "LimitToolCalls"
    LIMIT_IDENTICAL_ACTIONS = "LimitIdenticalActions"
    LIMIT_INPUT_TOKENS = "LimitInputTokens"
    LIMIT_OUTPUT_TOKENS = "LimitOutputTokens"
    LIMIT_COST = "LimitCostUSD"
    LIMIT_WALL_SECONDS = "LimitWallSeconds"
    LIMIT_QUEUE_SECONDS = "LimitQueueSeconds"
    BUDGET = "Budget"
    RESTRICTED = "Restricted"
    PERSON = "Person"
    INTERNAL = "Internal"


class Priority(StrEnum):
    """Lane of the queue; strictly in this order, Batch gets at least one turn in ten."""

    CRITICAL = "Critical"
    NORMAL = "Normal"
    BATCH = "Batch"


LANES: Final = (Priority.CRITICAL, Priority.NORMAL, Priority.BATCH)


class Counting(StrEnum):
    """How an ended task counts in the comparison of revisions."""

    GOOD = "Good"
    ERROR = "Error"
    ESCALATION = "Escalation"
    LEFT_OUT = "LeftOut"


#: An escalation for one of these was asked for by those who run the agent.
_PLANNED: Final = (
    OutcomeReason.APPROVAL,
    OutcomeReason.BUDGET,
    OutcomeReason.PERSON,
    OutcomeReason.RESTRICTED,
)


def counting(status: TaskStatus, reason: OutcomeReason) -> Counting:
    """What counts as what: failures are the revision's, people's and planned stops are not."""
    if status is TaskStatus.SUCCEEDED:
        return Counting.GOOD
    if status is TaskStatus.ESCALATED:
        return Counting.LEFT_OUT if reason in _PLANNED else Counting.ESCALATION
    if status in (TaskStatus.FAILED, TaskStatus.LIMIT_EXCEEDED, TaskStatus.EXPIRED):
        return Counting.ERROR
    return Counting.LEFT_OUT


def _together(
    one: tuple[tuple[str, int], ...], other: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    """The costs of both by name, in the order in which the names were met."""
    costs = dict(one)
    for name, cost in other:
        costs[name] = costs.get(name, 0) + cost
    return tuple(costs.items())


@dataclass(frozen=True)
class Usage:
    """What a task has used so far; the names match ``limits``.

    ``cost_micro_usd`` is what the model calls cost. ``cached_input_tokens`` of the input were read
    from the vendor's cache; ``cache_saving_micro_usd`` is what fresh ones would have cost more.
    ``paced_ms`` of ``wall_ms`` its model calls waited until the vendor allows more: no revision is
    slow by that. ``stored_ms`` it would have waited for answers that came out of the response cache.
    ``tier`` answered last, "" where that was the model itself or nobody has. ``models``: what each model's
    calls cost of it, by a name of the model at its address; 0 is left out.
    """

    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int = 0
    wall_ms: int = 0
    cached_input_tokens: int = 0
    cache_saving_micro_usd: int = 0
    paced_ms: int = 0
    stored_ms: int = 0
    tier: str = ""
    models: tuple[tuple[str, int], ...] = ()

    @property
    def list_price_micro_usd(self) -> int:
        """The price by which revisions are compared: cached input costs what fresh input does."""
        return max(0, self.cost_micro_usd + self.cache_saving_micro_usd)

    def timed(self, wall_ms: int) -> "Usage":
        """The same after so many ms in all."""
        return replace(self, wall_ms=wall_ms) if wall_ms != self.wall_ms else self

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.model_calls + other.model_calls,
            self.tool_calls + other.tool_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_micro_usd + other.cost_micro_usd,
            self.wall_ms + other.wall_ms,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_saving_micro_usd + other.cache_saving_micro_usd,
            self.paced_ms + other.paced_ms,
            self.stored_ms + other.stored_ms,
            other.tier or self.tier,
            _together(self.models, other.models),
        )

    def wire(self) -> dict[str, Any]:
        """As callers see it: costUSD a decimal string, wallSeconds a number."""
        return {
            "modelCalls": self.model_calls,
            "toolCalls": self.tool_calls,
            "inputTokens": self.input_tokens,
            "cachedInputTokens": self.cached_input_tokens,
            "outputTokens": self.output_tokens,
            "costUSD": usd(self.cost_micro_usd),
            "wallSeconds": round(self.wall_ms / 1000, 3),
            **({"tier": self.tier} if self.tier else {}),
        }


@dataclass(frozen=True)
class Outcome:
    """How a task ended: status, reason, one sentence, and the answer where there is one.

    ``left_out``: whatever status and reason say, it is a sample of no revision.
    """

    status: TaskStatus
    reason: OutcomeReason = OutcomeReason.NONE
    message: str = ""
    output: str = ""
    left_out: bool = False

    @property
    def counting(self) -> Counting:
        """How it counts in the comparison of revisions."""
        return Counting.LEFT_OUT if self.left_out else counting(self.status, self.reason)


@dataclass(frozen=True)
class Compensation:
    """What a task undoes: the call that it is about, and the one that it makes; ``arguments`` are JSON."""

    call: str
    tool: str
    arguments: str


@dataclass(frozen=True)
class Submission:
    """What a caller asks for.

    ``shared_session``: the session may be gone on with by other users than the one who began it.
    ``submitter``: who asks, who therefore approves no call of the task. ``revision``: the hash of the one that a
    preview is for; empty: the task goes to whom its user is given. ``chosen``: how the caller has named that one; a
    version may mean another one later.
    """

    input: str
    tenant: str
    user: str = ""
    session: str = ""
    type: str = ""
    priority: Priority = Priority.NORMAL
    idempotency_key: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    trace_id: str = ""
    shared_session: bool = False
    submitter: str = ""
    revision: str = ""
    chosen: str = ""


@dataclass(frozen=True)
class Task:
    """A task as stored. Times are Redis milliseconds since 1970; ``revision`` is a hash.

    ``unsettled``: what budgets count for its calls of which nobody knows what is billed.
    ``escalation``: the id of the one that it waits for; empty while it waits for nobody. ``compensation``: what it
    undoes, without asking a model; None for an ordinary task. ``preview``: a person has chosen its revision, and it is a
    sample of nobody.
    """

    id: str
    agent: AgentKey
    revision: str
    status: TaskStatus
    input: str
    tenant: str
    user: str
    session: str
    type: str
    priority: Priority
    metadata: dict[str, str]
    route_version: int
    trace_id: str
    created_ms: int
    started_ms: int = 0
    finished_ms: int = 0
    deliveries: int = 0
    usage: Usage = Usage()
    outcome: Outcome | None = None
    unsettled: Amount = NOTHING
    escalation: str = ""
    compensation: Compensation | None = None
    preview: bool = False


def task_id(agent: AgentKey, random: bytes) -> str:
    """An opaque id, at most 200 URL-safe characters, that carries namespace and agent.

    Args:
        random: 16 random bytes.
    """
    return f"{_encode(str(agent).encode())}.{_encode(random)}"


def new_task_id(agent: AgentKey, now_ms: int, random: bytes) -> str:
    """The id of a task that begins now; see ``task_id`` and ``created_ms_of``.

    Args:
        agent: whose task it is.
        now_ms: milliseconds since 1970.
        random: 10 random bytes.
    """
    return task_id(agent, now_ms.to_bytes(_TIME_BYTES, "big") + random)


def created_ms_of(identifier: str) -> int | None:
    """When an id of ``new_task_id`` was made, in ms since 1970; None when it does not say so.

    It is what tells a task that is kept no longer from one that never was. Ids of the versions before are
    random all through: one in some thousands of them looks as if it said a time.
    """
    tail = identifier.rpartition(".")[2]
    try:
        raw = base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4))
    except ValueError:
        return None
    at = int.from_bytes(raw[:_TIME_BYTES], "big")
    return at if len(raw) == _ID_BYTES and at >= _FIRST_MS else None


def agent_of(identifier: str) -> AgentKey | None:
    """The agent a task id belongs to; None when it is no task id."""
    head, dot, tail = identifier.partition(".")
    if not (head and dot and tail) or len(identifier) > 200:
        return None
    try:
        return AgentKey.parse(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)).decode())
    except ValueError:
        return None


_ID_BYTES: Final = 16
_TIME_BYTES: Final = 6
_FIRST_MS: Final = 1_735_689_600_000  # 2025: no task is older


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
