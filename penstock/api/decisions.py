"""What status keeps of the record of decisions: how far it is, and which rows its numbers rest on."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block


class RowGap(Block):
    """Rows of the log that nobody will find again."""

    after: Annotated[str, Field(max_length=40, description="The last row that was counted before.")]
    at: Annotated[
        str,
        Field(
            max_length=40,
            description="The first row that was there again; the same as after: the log was cut at its end.",
        ),
    ]


class RowsSeen(Block):
    """The outcome rows that are in the numbers, by a digest that each row changes."""

    since: Annotated[
        str,
        Field(max_length=40, description="Rows after this id are in it; empty: from the first on."),
    ] = ""
    count: Annotated[int, Field(ge=0, description="How many rows.")] = 0
    digest: Annotated[
        str,
        Field(
            max_length=64,
            description="SHA-256 over the digest before and the row, row by row; a gap in the log is a link of it.",
        ),
    ] = ""
    gaps: Annotated[
        tuple[RowGap, ...] | None,
        Field(max_length=8, description="The last gaps in the log, oldest first; absent: none."),
    ] = None


class DecisionsHead(Block):
    """The end of the chain of decisions on one revision."""

    revision: Annotated[str, Field(max_length=63, description="The revision.")]
    count: Annotated[int, Field(ge=0, description="Number of the last decision on it.")] = 0
    head: Annotated[str, Field(max_length=64, description="SHA-256 of that decision.")] = ""


#: In the status of an AgentRollout.
KeptDecisions = Annotated[
    DecisionsHead | None,
    Field(
        description="How far the record of decisions on the canary is; the record itself is the "
        "ConfigMap REVISION-decisions."
    ),
]
