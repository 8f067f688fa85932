"""Whether answers of the model are kept, and for how long."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block


class CacheMode(StrEnum):
    """Whether the very same request is answered from what was kept."""

    DISABLED = "Disabled"
    EXACT = "Exact"


class Cache(Block):
    """The response cache of a revision."""

    mode: Annotated[
        CacheMode,
        Field(
            description="Exact: a request that is equal to an earlier one of the same tenant, to the "
            "last byte and of the same revision, is answered with what the model said then. Disabled: none is."
        ),
    ] = CacheMode.DISABLED
    ttl_seconds: Annotated[
        int, Field(ge=1, le=604_800, description="How long an answer is kept, in seconds.")
    ] = 3600
