"""What a canary may do to the world at most, as it is declared."""

from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block, Rule

#: The largest count, and the largest amount in millionths, that can be declared.
MOST_COUNT: Final = 1_000_000
MOST_MICRO: Final = 10**15 - 1

Amount = Annotated[
    str,
    Field(max_length=16, pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$"),
    Rule(
        "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
        'must be an amount above zero, such as "500"',
    ),
]


class MaxAmount(Block):
    """Most that the calls of one tool may be worth together."""

    tool: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9_-]{1,64}$",
            max_length=64,
            description="The tool; what a call is worth is its amountFrom. A call that does not say it, or says "
            "less than 0, asks a person.",
        ),
    ]
    sum: Annotated[Amount, Field(description="The most, as a decimal string.")]


class Harm(Block):
    """What a canary may do to the world at most, while its share is at most 50 %."""

    max_failed_tasks: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_COUNT,
            description="Tasks that may fail with it. Counted as they end, looked at before each task is "
            "given to it: those that it has by then may still fail.",
        ),
    ] = None
    max_irreversible_calls: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_COUNT,
            description="Calls of Irreversible tools that it may make; reserved before each call.",
        ),
    ] = None
    max_amount: Annotated[
        MaxAmount | None,
        Field(description="What its calls of a tool may be worth; reserved before each call."),
    ] = None


def micro(amount: str) -> int:
    """A declared amount in millionths."""
    whole, _, part = amount.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0") or 0)
