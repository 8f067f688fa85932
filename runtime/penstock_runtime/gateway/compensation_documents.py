"""The shape in which the compensations of calls are told."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", validate_by_name=True)


class CompensationState(StrEnum):
    """How far the compensation of a call is."""

    WOULD_CALL = "WouldCall"
    ASKED = "Asked"
    INTENDED = "Intended"
    DONE = "Done"
    REFUSED = "Refused"
    NOT_MADE = "NotMade"
    ENDED = "Ended"
    IMPOSSIBLE = "Impossible"


class Compensation(_Document):
    """What undoes a call, and how far that is."""

    effect: Annotated[str, Field(description="The call, by its idempotency key.")]
    effect_tool: Annotated[str, Field(description="Its tool.")]
    amount: Annotated[str, Field(description="What it is worth, a decimal string; empty: nothing.")]
    user: str
    tool: Annotated[str, Field(description="What undoes it.")]
    arguments: Annotated[dict[str, Any], Field(description="The arguments of that.")]
    state: Annotated[
        CompensationState,
        Field(
            description="Asked: its task is there. Intended: whether the compensating call was made, nobody knows. Ended: its "
            "task has ended without a call."
        ),
    ]
    message: Annotated[str, Field(description="Why it is so; may be empty.")]
    task_id: Annotated[str, Field(description="The task that makes it; empty: none does.")]


class CompensationList(_Document):
    """How far the compensations of calls are."""

    revision: Annotated[
        str,
        Field(description="The name of the one whose calls they are; empty: one call was named."),
    ]
    items: list[Compensation]
    continue_: Annotated[
        str,
        Field(
            alias="continue",
            description="Empty: nothing follows. Else what to send as `continue` for the next ones.",
        ),
    ]
