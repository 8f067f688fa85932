"""Gates outside of Penstock: what people declare, and what status keeps of them."""

from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, Timestamp

_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

#: A number as people write it: at most twelve digits, and six behind the point.
Bound = Annotated[str, Field(max_length=20, pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$")]


class ExternalGate(Block):
    """A number of a Prometheus that must keep its bounds before more users are given to a canary."""

    name: Annotated[
        str, Field(min_length=1, max_length=32, pattern=_LABEL, description="Name of the gate.")
    ]
    address: Annotated[
        str,
        Field(
            min_length=1,
            max_length=63,
            pattern=_LABEL,
            description="Which Prometheus is asked: a name out of operator.prometheus of the chart, "
            "never a URL.",
        ),
    ]
    query: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            description="PromQL with one number for an answer: a scalar, or exactly one series.",
        ),
    ]
    min: Annotated[
        Bound | None, Field(description="The least that lets it pass, as a decimal string.")
    ] = None
    max: Annotated[
        Bound | None, Field(description="The most that lets it pass, as a decimal string.")
    ] = None
    for_seconds: Annotated[
        int,
        Field(
            ge=0,
            le=86400,
            description="For how long the number must have kept its bounds, in this step, without a break.",
        ),
    ] = 0


class GateReport(Block):
    """What a gate says, and since when."""

    name: Annotated[str, Field(max_length=32, description="Name of the gate.")]
    value: Annotated[
        str, Field(max_length=32, description="The number last answered; empty: none.")
    ] = ""
    verdict: Annotated[
        str,
        Field(
            max_length=32,
            description="Passing: within its bounds. Outside: not. Missing: there is no number.",
        ),
    ]
    since: Annotated[Timestamp, Field(description="Since when it says so, without a break.")]
    at: Annotated[Timestamp, Field(description="When it was last asked, as of these numbers.")]
    message: Annotated[
        str, Field(max_length=256, description="Why there is no number; empty where there is.")
    ] = ""
