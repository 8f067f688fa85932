"""The outcome log as callers read it."""

from typing import Annotated

from pydantic import Field

from penstock.outcomes import RowKind
from penstock.task import Counting, OutcomeReason
from penstock.traffic import Arm
from penstock_runtime.gateway.documents import Document


class Row(Document):
    """A row of the outcome log, as decisions are made on it."""

    id: Annotated[str, Field(description="Redis time in ms, and a number.")]
    kind: Annotated[
        RowKind,
        Field(description="r: routed, s: started, m: moved to another revision, f: finished."),
    ]
    task: str
    side: Annotated[Arm, Field(description="C: canary, S: stable.")]
    revision: Annotated[str, Field(description="Its hash.")]
    route_version: int
    begin_version: Annotated[
        int, Field(description="The one that its session began with; 0: no sample.")
    ]
    bucket: Annotated[
        int, Field(description="Of its user, 0 to 99; from 100 on the ring of one who was chosen.")
    ]
    counting: Annotated[Counting, Field(description="What it counts as; set when it finished.")]
    latency_ms: int
    cost_micro_usd: Annotated[int, Field(description="Millionths of a US dollar.")]
    reason: Annotated[
        OutcomeReason | None, Field(description="Null where the row's layout has none.")
    ]


class RowList(Document):
    """A page of an agent's outcome log, oldest first."""

    items: list[Row]
    first: Annotated[str, Field(description="Id of the oldest row that is kept; empty: none is.")]
    trimmed: Annotated[bool, Field(description="Whether there were older ones.")]
    unreadable: Annotated[
        int, Field(description="Rows between these that this version cannot read.")
    ]
    continue_: Annotated[
        str,
        Field(
            alias="continue",
            description="Empty: nothing follows by now. Else what to send as `continue` for the next page.",
        ),
    ]
