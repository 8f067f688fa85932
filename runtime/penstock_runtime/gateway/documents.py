"""The schemas of what callers read; ``wire`` writes the documents, a test holds the two equal."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from penstock.api.oversight import OnTimeout, Remember
from penstock.escalation import EscalationStatus, Verdict
from penstock.task import OutcomeReason, TaskStatus


class Document(BaseModel):
    """What all of them have in common."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", validate_by_name=True)


Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Usage(Document):
    """What a task has used so far."""

    model_calls: int
    tool_calls: int
    input_tokens: Annotated[int, Field(description="Cached ones too.")]
    cached_input_tokens: Annotated[
        int, Field(description="Of the input: read from the vendor's cache.")
    ]
    output_tokens: int
    cost_usd: Annotated[
        str, Field(alias="costUSD", description="Cost in US dollars, a decimal string.")
    ]
    wall_seconds: float
    tier: Annotated[
        str | None,
        Field(description="The tier that answered last; absent where the model itself did."),
    ] = None
    unsettled_tokens: Annotated[
        int,
        Field(description="What budgets count for calls that were cut: nobody knows their bill."),
    ]
    unsettled_usd: Annotated[
        str, Field(alias="unsettledUSD", description="The same in US dollars.")
    ]


class Outcome(Document):
    """Why a task ended as it did; both are empty until then, and after success."""

    reason: OutcomeReason
    message: str


_Preview = Annotated[bool, Field(description="A person has chosen its revision. Else absent.")]


class Task(Document):
    """A task and, once it has ended, its result."""

    id: Annotated[str, Field(max_length=200, description="Opaque and URL-safe.")]
    namespace: str
    agent: str
    revision: Annotated[str, Field(description="The revision that serves it: <agent>-<hash>.")]
    user: str
    session: str
    status: TaskStatus
    output: Annotated[str, Field(description="The answer; empty until there is one.")]
    outcome: Outcome
    usage: Usage
    escalation: Annotated[
        str, Field(description="Id of what it waits for a person for; empty: it waits for nobody.")
    ]
    created_at: Timestamp
    finished_at: Timestamp | None
    trace_id: str
    preview: _Preview = False


class TaskItem(Document):
    """A task in a list: without its output."""

    id: Annotated[str, Field(max_length=200, description="Opaque and URL-safe.")]
    namespace: str
    agent: str
    revision: Annotated[str, Field(description="The revision that serves it: <agent>-<hash>.")]
    user: str
    session: str
    type: Annotated[str, Field(description="The caller's own label of its kind of task.")]
    status: TaskStatus
    outcome: Outcome
    usage: Usage
    escalation: Annotated[
        str, Field(description="Id of what it waits for a person for; empty: it waits for nobody.")
    ]
    created_at: Timestamp
    finished_at: Timestamp | None
    trace_id: str
    preview: _Preview = False
    tenant: Annotated[
        str, Field(description="Whose it is; only where the tasks of all tenants are listed.")
    ] = ""


class TaskList(Document):
    """A page of an agent's tasks, newest first."""

    items: list[TaskItem]
    continue_: Annotated[
        str,
        Field(
            alias="continue",
            description="Empty: nothing follows. Else what to send as `continue` for the next page.",
        ),
    ]
    unreadable: Annotated[
        int, Field(description="How many more tasks of this page cannot be read.")
    ]
    tenant: Annotated[
        str, Field(description="Whose tasks are listed; empty: those of all tenants.")
    ]


class PersonsNote(Document):
    """What a person has said of a call."""

    by: str
    decision: Verdict
    note: str


class Remembering(Document):
    """Further calls of the session that are made without asking, once a person has chosen that."""

    scope: Annotated[Remember, Field(description="Session: what `remember` of a decision says.")]
    calls: Annotated[str, Field(description="Which calls of the same tool, in words.")]


class EscalationItem(Document):
    """A call that waits for a person, or for which one was asked."""

    id: Annotated[str, Field(max_length=220, description="Opaque and URL-safe.")]
    task_id: str
    namespace: str
    agent: str
    revision: Annotated[str, Field(description="The revision whose model asked for the call.")]
    status: Annotated[
        EscalationStatus, Field(description="Void: its task ended before anybody decided.")
    ]
    tool: str
    arguments: Annotated[
        Any, Field(description="An object; a text where it is too long to be shown whole.")
    ]
    digest: Annotated[
        str, Field(description="Of tool, schema and arguments: what an approval is bound to.")
    ]
    reason: Annotated[str, Field(description="Why a person is asked.")]
    user: Annotated[str, Field(description="For whom the task is.")]
    session: str
    submitter: Annotated[str, Field(description="Who submitted the task; he never decides.")]
    approvers: Annotated[
        list[list[str]],
        Field(description="Whoever decides is in one group of each entry; none: who may approve."),
    ]
    min_approvals: Annotated[int, Field(description="So many different persons must approve.")]
    sign_in: Annotated[
        str,
        Field(description="Required: whoever decides shows a token of the cluster; else empty."),
    ]
    approved_by: Annotated[list[str], Field(description="Who has approved so far.")]
    on_timeout: Annotated[OnTimeout, Field(description="What holds when nobody decides.")]
    asked_at: Timestamp
    deadline: Annotated[Timestamp, Field(description="When time decides.")]
    cost_usd: Annotated[
        str, Field(alias="costUSD", description="What the task has cost until then.")
    ]
    decided_at: Timestamp | None
    decided_by: Annotated[
        list[str], Field(description="Who decided; empty: nobody has, or time did.")
    ]
    note: Annotated[str, Field(description="What who decided last has written.")]
    notes: Annotated[
        list[PersonsNote],
        Field(description="What each person has said, in order; also who only approved first."),
    ]
    answer: str
    doubt: Annotated[
        str,
        Field(
            description="The span of which the store has lost what became of it: the call may have been "
            "approved and made before, and a decision must name its digest. Empty: there is none."
        ),
    ]
    changed_arguments: Annotated[
        Any,
        Field(
            description="What a person put in the place of the arguments, also where one more must approve; null: nothing."
        ),
    ]
    remember: Annotated[
        Remembering | None,
        Field(
            description="For which further calls an approval may hold as well, where who decides chooses it; null: for none."
        ),
    ]
    remembered: Annotated[bool, Field(description="Whether it was approved for them.")]
    continued_on: Annotated[
        str,
        Field(description="The revision that went on with it, where that is another one by then."),
    ]
    preview: _Preview = False
    tenant: Annotated[
        str, Field(description="Whose it is; only for callers who see all tenants.")
    ] = ""


class Said(Document):
    """A message of the conversation before the call."""

    role: str
    text: str


class Escalation(EscalationItem):
    """The same with the newest of the conversation before it."""

    conversation: list[Said]


class EscalationList(Document):
    """A page of calls that wait for a person."""

    items: list[EscalationItem]
    continue_: Annotated[
        str,
        Field(
            alias="continue",
            description="Empty: nothing follows. Else what to send as `continue` for the next page.",
        ),
    ]


class BudgetWindow(Document):
    """One limit of a budget, and what is spent of it. Amounts are decimal strings in their unit."""

    scope: Annotated[
        str,
        Field(description="agent; tenant or user: the caller's tenant, and the user asked for."),
    ]
    window: Annotated[str, Field(description="hourly, daily, monthly; total: of a canary.")]
    unit: Annotated[str, Field(description="USD or tokens.")]
    limit: Annotated[str, Field(description="What may be spent, lifts included.")]
    spent: Annotated[str, Field(description="Settled by bills.")]
    reserved: Annotated[str, Field(description="Held by calls that run.")]
    left: Annotated[str, Field(description="The limit without both; not below 0.")]
    percent: Annotated[int, Field(description="Of the limit, spent; rounded down.")]
    resets_at: Annotated[
        Timestamp | None, Field(description="When the window ends; null: it never does.")
    ]
    refuses: Annotated[bool, Field(description="A call has found too little left of it.")]


class BudgetLift(Document):
    """What a person has added to a limit until its window ends."""

    scope: str
    window: str
    unit: str
    amount: str
    by: Annotated[
        str, Field(description="Who asked; only to callers who see the tasks of all tenants.")
    ]
    at: Timestamp
    ends_at: Timestamp


class RevisionCost(Document):
    """What the tasks have cost that a revision ended today (UTC)."""

    revision: str
    cost_usd: Annotated[str, Field(alias="costUSD")]


class BudgetRefusals(Document):
    """How often a limit has refused a call, or would have, since there was a budget first."""

    scope: str
    window: str
    unit: str
    count: int


class Budget(Document):
    """What an agent may spend, what it has spent, and what lifts it; windows are empty without a budget."""

    namespace: str
    agent: str
    as_of: Timestamp
    windows: list[BudgetWindow]
    lifts: list[BudgetLift]
    revisions: list[RevisionCost]
    refusals: list[BudgetRefusals]


class Erased(Document):
    """How much was erased of a user."""

    effects: Annotated[int, Field(description="Calls; they keep digests, amount and time.")]
    tasks: Annotated[int, Field(description="Ended ones, with their events and questions.")]
    sessions: Annotated[int, Field(description="Those that were the user's alone.")]
    answers: Annotated[
        int, Field(description="In the response cache, asked for first by the user.")
    ]
    going_on: Annotated[int, Field(description="Tasks that have not ended, and are there still.")]


class Problem(Document):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(description="Stable: what went wrong, as an address.")]
    title: str
    status: int
    detail: str
    instance: str
    trace_id: str
