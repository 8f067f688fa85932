"""What calls of tools have done, as callers read it."""

from typing import Annotated, Any

from pydantic import Field

from penstock.effects import EffectState, Undoing
from penstock_runtime.gateway.documents import Document, Timestamp


class ApprovedEarlier(Document):
    """An approval for further calls of a session."""

    by: Annotated[list[str], Field(description="Who has approved it.")]
    escalation: Annotated[str, Field(description="Of the call that was approved.")]


class Effect(Document):
    """A call of a tool that changes something."""

    id: str
    task_id: str
    revision: Annotated[str, Field(description="The revision whose worker made the call.")]
    user: str
    tool: str
    state: Annotated[
        EffectState,
        Field(description="Intended: it was about to be made, and whether it was nobody knows."),
    ]
    at: Timestamp
    step: Annotated[int, Field(description="Number of the model's reply in the task.")]
    position: Annotated[int, Field(description="Number of the call in that reply.")]
    amount: Annotated[
        str, Field(description="What its amountFrom says, a decimal string; empty: nothing.")
    ]
    shown: Annotated[
        dict[str, Any], Field(description="The arguments that are written down in clear.")
    ]
    arguments_digest: Annotated[str, Field(description="SHA-256 of the arguments.")]
    result_digest: Annotated[
        str, Field(description="SHA-256 of what the tool answered; empty: it has not.")
    ]
    compensates: Annotated[
        str, Field(description="The call that this one undoes, by its idempotency key; else empty.")
    ]
    undone: Annotated[
        Undoing,
        Field(
            description="How far its compensation is; empty: nobody has asked for one. Intended: whether the "
            "compensating call was made, nobody knows. Ended: its task has ended without a call."
        ),
    ]
    approved_earlier: Annotated[
        ApprovedEarlier | None,
        Field(description="The approval of an earlier call by which this one was made; else null."),
    ]
    tenant: Annotated[
        str, Field(description="Whose it is; only for callers who see all tenants.")
    ] = ""


class EffectList(Document):
    """A page of what an agent's calls have done."""

    unknown: Annotated[
        list[Effect],
        Field(description="On the first page: all of which nobody knows whether they were made."),
    ]
    items: Annotated[list[Effect], Field(description="Those that are known, oldest first.")]
    continue_: Annotated[
        str,
        Field(
            alias="continue",
            description="Empty: nothing follows. Else what to send as `continue` for the next page.",
        ),
    ]
