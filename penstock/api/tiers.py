"""Models for a part of an Agent's tasks: the first tier that fits a task answers it."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, ModelName


class Tier(Block):
    """A model for tasks of some length or type; where it does not answer, the fallbacks are asked."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            max_length=63,
            description="Name of the tier; a task's usage has it.",
        ),
    ]
    model: Annotated[
        ModelName,
        Field(
            description="Model id; asked at the address and with the key of spec.template.model."
        ),
    ]
    max_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            le=64000,
            description="Most tokens of one reply of the model; absent: as in spec.template.model.",
        ),
    ] = None
    max_input_chars: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000,
            description="For tasks whose input has at most so many characters; absent: of any length.",
        ),
    ] = None
    task_types: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]],
        Field(max_length=32, description="For tasks with one of these types; empty: with any."),
    ] = []

    def fits(self, input_chars: int, task_type: str) -> bool:
        """Whether it is for a task."""
        if self.max_input_chars is not None and input_chars > self.max_input_chars:
            return False
        return not self.task_types or task_type in self.task_types


def matching(tiers: Sequence[Tier], input_chars: int, task_type: str) -> str:
    """The name of the first tier that fits a task; "" where the model itself answers it."""
    return next((tier.name for tier in tiers if tier.fits(input_chars, task_type)), "")
