"""What rings about the share of a canary, as its rollout's status keeps it."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, Message, Timestamp


class Alarms(Block):
    """Whether the tasks that came fit the share in force; nothing is decided on that."""

    ratio_version: Annotated[
        int,
        Field(
            ge=0,
            description="Route version under which the tasks of new sessions did not fit the share; "
            "0: none.",
        ),
    ] = 0
    ratio: Annotated[Message, Field(description="By how much they did not.")] = ""
    far_since: Annotated[
        Timestamp | None,
        Field(description="Since when the share of all work has been far from the share in force."),
    ] = None
    far: Annotated[
        Message, Field(description="How far, once that has lasted for half an hour.")
    ] = ""


Ringing = Annotated[
    Alarms | None, Field(description="What rings about the share; absent: nothing does.")
]
