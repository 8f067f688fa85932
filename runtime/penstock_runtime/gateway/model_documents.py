"""The shape in which an agent's models are told."""

from typing import Annotated

from pydantic import Field

from penstock.money.asked import PriceSource
from penstock.money.endpoints import BreakerPosition, LimitSource
from penstock_runtime.gateway.documents import Document, Timestamp


class ModelUse(Document):
    """Which revision asks a model, and as what."""

    revision: str
    role: Annotated[str, Field(description="stable, canary; empty: it ends what it has.")]
    as_: Annotated[
        list[str], Field(alias="as", description="primary, fallback and its number, tier NAME.")
    ]


class ModelBreaker(Document):
    """Whether the workers of the namespace ask a model."""

    state: BreakerPosition
    failures_in_row: Annotated[int, Field(description="Outages; an answer to anybody ends them.")]
    open_until: Annotated[
        Timestamp | None, Field(description="When it is tried again; null: it is not open.")
    ]
    last_failure: Annotated[
        str,
        Field(
            description="Class of the last outage, with the status of the answer where there was one; empty: none is "
            "remembered, or a worker of a version before met it."
        ),
    ]
    last_failure_at: Timestamp | None


class ModelLimit(Document):
    """How much may be asked in a minute."""

    limit: Annotated[int, Field(description="0: it is not bounded.")]
    source: Annotated[
        LimitSource, Field(description="declared: prices of the chart; learned: vendor's headers.")
    ]
    used: Annotated[int, Field(description="Of a minute's worth: taken, and not back yet.")]


class ModelPool(Document):
    """What may be asked of a model with one credential, by all Agents of the namespace together."""

    account: Annotated[
        str, Field(description="A digest that tells the credential from others; no part of it.")
    ]
    requests: ModelLimit
    input_tokens: ModelLimit
    output_tokens: ModelLimit
    waiting: Annotated[list[str], Field(description="Agents of which calls wait for it now.")]
    told_to_wait_until: Annotated[
        Timestamp | None, Field(description="The vendor has said so; null: it has not.")
    ]


class ModelPrices(Document):
    """US dollars per million tokens, as decimal strings."""

    input_per_m_tok: Annotated[str, Field(alias="inputPerMTok")]
    cached_input_per_m_tok: Annotated[str, Field(alias="cachedInputPerMTok")]
    output_per_m_tok: Annotated[str, Field(alias="outputPerMTok")]
    source: PriceSource
    release: Annotated[str, Field(description="Of the price list; empty: it is not listed.")]
    since: Annotated[str, Field(description="The day from which it holds; empty: since ever.")]


class ModelSpend(Document):
    """What the agent's ended tasks have cost for a model, in US dollars (UTC)."""

    today_usd: Annotated[str, Field(alias="todayUSD")]
    month_usd: Annotated[str, Field(alias="monthUSD")]


class AgentModel(Document):
    """A model at an address; pools and spend are null to callers who see the tasks of one tenant alone."""

    provider: str
    address: str
    model: str
    used_by: list[ModelUse]
    breaker: ModelBreaker
    pools: list[ModelPool] | None
    prices: Annotated[list[ModelPrices], Field(description="Empty: unknown.")]
    spend: ModelSpend | None


class FormerModel(ModelSpend):
    """A model that was asked this month, and is asked by no revision now."""

    model: str


class ModelList(Document):
    """The models that an agent's revisions ask, as of now."""

    namespace: str
    agent: str
    as_of: Timestamp
    models: list[AgentModel]
    silent: Annotated[
        list[str],
        Field(
            description="Revisions whose workers have not said which they ask: none has run, or those of a version before."
        ),
    ]
    former: list[FormerModel] | None
    unattributed_today_usd: Annotated[
        str | None,
        Field(
            alias="unattributedTodayUSD",
            description="Cost of today's ended tasks of which the model is not known.",
        ),
    ]
