"""The shape in which copies are told that went another way than stable's task."""

from typing import Annotated

from pydantic import Field

from penstock.shadow import Says
from penstock_runtime.gateway.documents import Document


class CopyCall(Document):
    """A call of stable's task beside one of its copy; of the arguments there are digests alone."""

    tool: str
    says: Annotated[
        Says,
        Field(
            description="Same; OtherArguments: both called the tool; OnlyStable, OnlyCanary: the other did not; Unknown: the "
            "worker was of a version before, and what stable wanted is not kept."
        ),
    ]
    stable: Annotated[str, Field(description="SHA-256 of stable's arguments; empty: no such call.")]
    canary: Annotated[str, Field(description="SHA-256 of the canary's; empty: no such call.")]


class CopyStop(Document):
    """The call at which a copy ended, for nobody had recorded it."""

    tool: str
    arguments: Annotated[str, Field(description="Their SHA-256.")]


class DifferingCopy(Document):
    """A copy that did not go as stable's task did."""

    task_id: Annotated[str, Field(description="Stable's task.")]
    verdict: Annotated[str, Field(description="OtherCalls or OtherEnd.")]
    stable_end: Annotated[str, Field(description="How stable's task ended.")]
    canary_end: Annotated[str, Field(description="How the copy did; empty: it stopped at a call.")]
    stopped_at: CopyStop | None
    calls: Annotated[
        list[CopyCall], Field(description="Of tools that are not ReadOnly, stable's first.")
    ]


class DifferingCopyList(Document):
    """The copies of a canary that went another way, the newest first, at most 50."""

    items: list[DifferingCopy]
