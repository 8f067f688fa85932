"""What an Agent's users and tenants may use together, whatever its revisions are."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block
from penstock.money.ledger import Mode

_RequestsPerMinute = Annotated[int, Field(ge=1, le=1_000_000)]


class PerUser(Block):
    """What one user may use; tasks without a user share one user of their tenant."""

    requests_per_minute: Annotated[
        _RequestsPerMinute,
        Field(description="Tasks that may be submitted in a minute of the clock in UTC."),
    ]


class PerTenant(Block):
    """What one tenant may use."""

    requests_per_minute: Annotated[
        _RequestsPerMinute,
        Field(description="Tasks that may be submitted in a minute of the clock in UTC."),
    ]


class Budgets(Block):
    """What an Agent may use at most, all revisions together; absent: no budget."""

    mode: Annotated[
        Mode,
        Field(
            description="Enforce: what is over a budget is refused. Report: nothing is refused, and "
            "what would have been is counted."
        ),
    ] = Mode.ENFORCE
    per_user: Annotated[PerUser | None, Field(description="Of each user.")] = None
    per_tenant: Annotated[PerTenant | None, Field(description="Of each tenant.")] = None
