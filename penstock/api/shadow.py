"""The stage before the first step, in which a canary works on copies of stable's tasks, as it is declared."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, Money


class ShadowStage(Block):
    """How long, on how many copies, and for how much money a canary is tried unseen."""

    percent: Annotated[
        int, Field(ge=1, le=100, description="Share of stable's tasks that are copied, in percent.")
    ] = 10
    spend_cap_usd: Annotated[
        Money,
        Field(
            alias="spendCapUSD",
            description="Most that the copies of a canary may spend, counted apart from all budgets; at the "
            "cap no further copy is made.",
        ),
    ]
    hold_seconds: Annotated[
        int,
        Field(ge=0, le=2592000, description="Shortest time from the first copy on, in seconds."),
    ] = 3600
    min_tasks: Annotated[
        int, Field(ge=1, le=1_000_000, description="Copies that must have said something.")
    ] = 50
    min_agreement_percent: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description="Share of them that must have gone as stable's task did: the same end, and the same "
            "calls of tools that are not ReadOnly. Below it a person decides.",
        ),
    ] = 90


DeclaredShadow = Annotated[
    ShadowStage | None,
    Field(
        description="A stage before the first step: the canary works on copies of tasks that stable has "
        "ended. No user sees them, and no tool that changes something is called for them. A setpoint "
        "above 0, or promote, ends it. Absent: it begins with the first step."
    ),
]
