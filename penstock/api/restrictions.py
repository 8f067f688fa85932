"""The on-call brake of an Agent: what nobody may do for the time being, whatever its revisions declare."""

from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block, ModelName, Money

_ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$", max_length=64)]


class Restrictions(Block):
    """What is forbidden or dearer to ask for, from the next step of each task on; it only tightens."""

    deny_tools: Annotated[
        list[_ToolName],
        Field(max_length=32, description="Tools that are not called; the model is told so."),
    ] = []
    require_approval: Annotated[
        list[_ToolName],
        Field(
            max_length=32,
            description="Tools that need a person's approval, as with approval.mode Always.",
        ),
    ] = []
    deny_models: Annotated[
        list[ModelName],
        Field(
            max_length=32,
            description="Models that are not asked. The next fallback is; where none is left, tasks end "
            "as Escalated.",
        ),
    ] = []
    max_cost_usd_per_task: Annotated[
        Money | None,
        Field(description="Most USD of one task; the smaller of it and limits.costUSD counts."),
    ] = None

    def __bool__(self) -> bool:
        lists = (self.deny_tools, self.require_approval, self.deny_models)
        return any(lists) or self.max_cost_usd_per_task is not None


NO_RESTRICTIONS: Final = Restrictions()
