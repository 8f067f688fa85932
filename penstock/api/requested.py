"""What a person asked of a rollout, as its status answers it."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, Message, Timestamp


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
