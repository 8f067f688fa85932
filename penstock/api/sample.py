"""What a verdict shows of a task that failed."""

from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block

#: Failed tasks that a verdict shows.
MAX_SAMPLES: Final = 3


class Sample(Block):
    """A failed task of the canary, to look at."""

    task: Annotated[str, Field(max_length=200, description="Its id.")]
    reason: Annotated[
        str,
        Field(
            max_length=64,
            description="Why it failed, in one word; empty where there is none or it is not known.",
        ),
    ] = ""
    message: Annotated[
        str, Field(max_length=120, description="What that means; nothing of the task itself.")
    ] = ""
