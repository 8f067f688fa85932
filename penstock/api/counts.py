"""What was counted of one arm, as status keeps it."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block


class ArmCounts(Block):
    """What one arm did; counts add over disjoint stretches of the log."""

    tasks: Annotated[int, Field(ge=0, description="Counted tasks.")] = 0
    errors: Annotated[int, Field(ge=0, description="Of them failed.")] = 0
    escalations: Annotated[int, Field(ge=0, description="Of them escalated, unplanned.")] = 0
    timed: Annotated[int, Field(ge=0, description="Of them with a processing time.")] = 0
    latency_ms: Annotated[
        int,
        Field(ge=0, description="Sum of processing times in ms, each up to 6 x the limit."),
    ] = 0
    cost_micro_usd: Annotated[int, Field(ge=0, description="Sum of list prices, USD / 10^6.")] = 0
    left_out: Annotated[
        int,
        Field(
            ge=0,
            description="Not among them: tasks that ended and count for nobody, such as those that "
            "callers cancelled.",
        ),
    ] = 0
    cancelled: Annotated[
        int, Field(ge=0, description="Of those left out, how many were cancelled.")
    ] = 0


class Yardstick(ArmCounts):
    """What stable did while it had enough of the users to be a measure."""

    latency_squares: Annotated[
        int, Field(ge=0, description="Sum of squared processing times, in ms^2.")
    ] = 0
