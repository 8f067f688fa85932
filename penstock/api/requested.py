"""What a person asked of a rollout, as its status answers it."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, Message, Percent, Timestamp


class LastRequest(Block):
    """Answer to the last request annotation."""

    value: Annotated[str, Field(max_length=256, description="The annotation as read.")] = ""
    result: Annotated[
        str,
        Field(
            max_length=32,
            description="Accepted, Refused, Repeated (answered before), or Waiting until it can be done.",
        ),
    ] = ""
    message: Annotated[Message, Field(description="What was done, or why not.")] = ""
    at: Annotated[Timestamp, Field(description="When it was handled.")] = ""


class SetpointSeen(Block):
    """Which setpoint was seen, and for which canary it was meant."""

    percent: Annotated[Percent, Field(description="The setpoint.")]
    revision: Annotated[
        str, Field(max_length=63, description="Canary it belongs to; empty: none, a ceiling.")
    ]
    generation: Annotated[int, Field(ge=0, description="Generation it was first seen at.")]
