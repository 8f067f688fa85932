"""What stable's tasks have cost in the last day, as status keeps it."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block


class HourOfCosts(Block):
    """Tasks that ended in one hour."""

    hour: Annotated[int, Field(ge=0, description="Hours since 1970.")]
    costed: Annotated[int, Field(ge=0, description="Tasks whose cost is known.")] = 0
    cost_micro_usd: Annotated[
        int, Field(ge=0, description="Sum of their list prices, USD / 10^6.")
    ] = 0


class StableCosts(Block):
    """What stable's tasks have cost, by the hour: of their mean costPercentOfBudget is a percentage where no perTask is declared."""

    stable: Annotated[str, Field(max_length=16, description="Hash of the revision.")] = ""
    through_ms: Annotated[
        int, Field(ge=0, description="Tasks that ended up to this moment are counted.")
    ] = 0
    hours: Annotated[
        tuple[HourOfCosts, ...], Field(max_length=25, description="The last day, oldest first.")
    ] = ()


KnownCosts = Annotated[
    StableCosts | None,
    Field(
        description="What stable's tasks have cost, where costPercentOfBudget is declared and no perTask."
    ),
]
