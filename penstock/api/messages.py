"""What end users of an Agent read where there is no answer."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block

_Words = Annotated[str, Field(max_length=2000)]


class Messages(Block):
    """What an end user reads as a task's output instead of an answer; empty: what there is of one."""

    escalated: Annotated[
        _Words, Field(description="Where the task ended Escalated: a person takes over.")
    ] = ""
    unavailable: Annotated[
        _Words,
        Field(
            description="Where it ended Failed, Expired or LimitExceeded and there is no part of an "
            "answer."
        ),
    ] = ""
    blocked: Annotated[
        _Words,
        Field(description="Where the model refused to answer; empty: as escalated."),
    ] = ""
