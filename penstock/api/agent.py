"""The Agent resource: what an agent is (its template) and how it is run."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from penstock.api.budgets import Budgets
from penstock.api.cache import Cache
from penstock.api.fields import (
    Block,
    DataKey,
    MapList,
    ModelName,
    Money,
    ObjectName,
    Rule,
    TokenRate,
)
from penstock.api.messages import Messages
from penstock.api.oversight import Oversight
from penstock.api.restrictions import Restrictions
from penstock.api.tiers import Tier
from penstock.api.tool import Tool
from penstock.api.worker import TemplateWorker, Worker


class Provider(StrEnum):
    """Who serves the model."""

    ANTHROPIC = "Anthropic"


class Effort(StrEnum):
    """How hard the model thinks before it answers."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"


class RolloutPolicy(StrEnum):
    """How an Agent that once had an AgentRollout releases without one."""

    GUARDED = "Guarded"
    IMMEDIATE = "Immediate"


class ConfigMapKeyRef(Block):
    """A key of a ConfigMap in the Agent's namespace."""

    name: Annotated[ObjectName, Field(description="Name of the ConfigMap.")]
    key: Annotated[DataKey, Field(description="Key inside the ConfigMap.")]


class SecretKeyRef(Block):
    """A key of a Secret in the Agent's namespace."""

    name: Annotated[ObjectName, Field(description="Name of the Secret.")]
    key: Annotated[DataKey, Field(description="Key inside the Secret.")]


class InstructionsSource(Block):
    """Where the instructions are read from."""

    config_map_key_ref: Annotated[
        ConfigMapKeyRef, Field(description="A ConfigMap key whose content is the instructions.")
    ]


class ModelPrice(Block):
    """What a million tokens of a model cost in USD, each a decimal string."""

    input_per_m_tok: Annotated[TokenRate, Field(description="A million tokens of input.")]
    output_per_m_tok: Annotated[TokenRate, Field(description="A million tokens of output.")]
    cached_input_per_m_tok: Annotated[
        TokenRate | None,
        Field(
            description="A million tokens of input that the vendor had in its cache; absent: the "
            "price of input."
        ),
    ] = None


_Price = Annotated[
    ModelPrice | None,
    Field(
        description="What it costs, for a model without a list price; absent: what the "
        "installation declares in the chart's prices, else the list price."
    ),
]
_BaseURL = Annotated[str, Field(max_length=512, pattern=r"^https?://[^\s/]\S*$")]


class Fallback(Block):
    """A model that is asked where those before it do not answer."""

    provider: Annotated[Provider, Field(description="Who serves the model.")] = Provider.ANTHROPIC
    name: Annotated[
        ModelName,
        Field(description="Model id, e.g. claude-haiku-5-5."),
    ]
    base_url: Annotated[
        _BaseURL | None,
        Field(
            description="Address of the model API; absent: where the model itself is asked.",
        ),
    ] = None
    credentials_secret_ref: Annotated[
        SecretKeyRef | None,
        Field(
            description="API key; absent: the model's own, or none where this entry has an address "
            "of its own."
        ),
    ] = None
    price: _Price = None


class Model(Block):
    """Which model answers, and how it is called."""

    provider: Annotated[Provider, Field(description="Who serves the model.")] = Provider.ANTHROPIC
    name: Annotated[
        ModelName,
        Field(description="Model id, e.g. claude-sonnet-5-5."),
    ]
    max_tokens: Annotated[
        int, Field(ge=1, le=64000, description="Most tokens of one reply of the model.")
    ] = 2048
    effort: Annotated[
        Effort | None, Field(description="How hard the model thinks; absent: the model's own.")
    ] = None
    base_url: Annotated[
        _BaseURL | None,
        Field(
            description="Address of the model API; absent: the installation's endpoint.",
        ),
    ] = None
    credentials_secret_ref: Annotated[
        SecretKeyRef | None,
        Field(description="API key; absent only where the installation's endpoint needs none."),
    ] = None
    price: _Price = None
    timeout_seconds: Annotated[
        int, Field(ge=1, le=600, description="Longest wait for one model call, in seconds.")
    ] = 60
    retries: Annotated[
        int,
        Field(ge=0, le=10, description="How often a failed model call is tried again."),
    ] = 3
    fallbacks: Annotated[
        list[Fallback],
        Field(
            max_length=4,
            description="Models that are asked in this order while the model is away: when its "
            "breaker is open or its retries are spent on outages and rate limits.",
        ),
    ] = []

    @property
    def asked(self) -> tuple["Model", ...]:
        """This model and those that stand in for it, in order, each with all that it is asked with."""
        return (self, *map(self._standing_in, self.fallbacks))

    def _standing_in(self, entry: Fallback) -> "Model":
        key = entry.credentials_secret_ref
        if key is None and entry.base_url is None:
            key = self.credentials_secret_ref
        own: dict[str, Any] = {
            "provider": entry.provider,
            "name": entry.name,
            "base_url": entry.base_url or self.base_url,
            "credentials_secret_ref": key,
            "price": entry.price,
            "fallbacks": [],
        }
        return self.model_copy(update=own)


class Limits(Block):
    """What one task may use at most; reaching any of them ends the task as LimitExceeded."""

    model_calls: Annotated[int, Field(ge=1, le=1000, description="Calls of the model.")] = 10
    tool_calls: Annotated[int, Field(ge=0, le=1000, description="Calls of tools.")] = 5
    identical_actions: Annotated[
        int,
        Field(ge=1, le=100, description="The same tool with the same input so often is a loop."),
    ] = 3
    input_tokens: Annotated[
        int, Field(ge=1, le=10_000_000, description="Tokens sent to the model, cached ones too.")
    ] = 40000
    output_tokens: Annotated[
        int, Field(ge=1, le=10_000_000, description="Tokens the model wrote.")
    ] = 8000
    cost_usd: Annotated[Money, Field(description="What all model calls cost in USD.")] = "0.50"
    wall_seconds: Annotated[
        int, Field(ge=1, le=86400, description="Processing time in seconds, from the first claim.")
    ] = 120
    queue_seconds: Annotated[
        int, Field(ge=1, le=86400, description="Waited longer in the queue: ends as Expired.")
    ] = 600
    input_chars: Annotated[
        int, Field(ge=1, le=1_000_000, description="Characters of the input; longer is refused.")
    ] = 20000
    context_tokens: Annotated[
        int | None,
        Field(
            ge=1000,
            le=10_000_000,
            description="Tokens of a session's history; past them its finished turns are summarised. "
            "Absent: they are not.",
        ),
    ] = None


class AgentTemplate(Block):
    """What a revision is: any change in here goes out as a new immutable revision."""

    version: Annotated[
        str | None,
        Field(
            max_length=63,
            pattern=r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$",
            description="A name of your own for this revision, shown and accepted beside its hash.",
        ),
    ] = None
    instructions: Annotated[
        str | None, Field(min_length=1, max_length=65536, description="The system prompt.")
    ] = None
    instructions_from: Annotated[
        InstructionsSource | None, Field(description="Read the system prompt from elsewhere.")
    ] = None
    model: Annotated[Model, Field(description="Which model answers, and how it is called.")]
    tiers: Annotated[
        list[Tier],
        MapList("name"),
        Field(
            max_length=8,
            description="Models for some tasks: the first tier that fits a task answers it, else the "
            "model itself.",
        ),
    ] = []
    tools: Annotated[
        list[Tool],
        MapList("name"),
        Field(max_length=32, description="What the model may ask to be done."),
    ] = []
    limits: Annotated[Limits, Field(description="What one task may use at most.")] = Limits()
    messages: Annotated[
        Messages | None,
        Field(
            description="What an end user reads instead of an answer; absent: what there is of one."
        ),
    ] = None
    oversight: Annotated[
        Oversight | None,
        Field(
            description="When a person must decide, and what holds when nobody does. Absent: as the tools "
            "declare; a call waits for an hour, and is denied then."
        ),
    ] = None
    cache: Annotated[
        Cache | None,
        Field(
            description="Whether a request that comes again is answered from a cache. Absent: it is not."
        ),
    ] = None
    worker: Annotated[
        TemplateWorker, Field(description="What of the worker belongs to a revision.")
    ] = TemplateWorker()

    def of_tier(self, name: str) -> "AgentTemplate":
        """The template with the model of one of its tiers.

        Raises:
            KeyError: it has no such tier.
        """
        tier = {one.name: one for one in self.tiers}[name]
        same = tier.model == self.model.name
        own: dict[str, Any] = {
            "name": tier.model,
            "max_tokens": tier.max_tokens or self.model.max_tokens,
            "price": self.model.price if same else None,
        }
        return self.model_copy(update={"model": self.model.model_copy(update=own)})

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the Secrets that it refers to, each once."""
        keys = [model.credentials_secret_ref for model in self.model.asked]
        headers = [tool.headers_secret for tool in self.tools]
        return tuple(dict.fromkeys(ref.name for ref in (*keys, *headers) if ref))


class Scaling(Block):
    """How many workers each open revision gets."""

    min_replicas: Annotated[
        int, Field(ge=0, le=1000, description="Never fewer; 0 sleeps until a task is queued.")
    ] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000, description="Never more.")] = 20
    queued_tasks_per_replica: Annotated[
        int, Field(ge=1, le=100000, description="Waiting tasks that one replica answers for.")
    ] = 16
    max_queued_tasks: Annotated[
        int | None,
        Field(
            ge=1,
            le=1_000_000,
            description="Tasks that may wait for a worker, all revisions together; a further one "
            "is answered with 503 and Retry-After. Absent: 50000, the installation's own bound.",
        ),
    ] = None
    replicas: Annotated[
        int | None,
        Field(
            ge=0,
            le=1000,
            description="The number of workers when a person, an HPA or KEDA decides it instead of "
            "the backlog. Set it with: kubectl scale agent NAME --replicas=3; null gives it back. "
            "Reading the scale subresource is an error until it has been set once, so set it "
            "before an HPA takes over.",
        ),
    ] = None


class AgentSpec(Block):
    """What people declare of an agent."""

    template: Annotated[
        AgentTemplate,
        Rule(
            "has(self.instructions) != has(self.instructionsFrom)",
            "exactly one of instructions and instructionsFrom must be set",
        ),
        Rule(
            "!has(self.oversight) || !has(self.oversight.handover) || !self.oversight.handover || "
            "!has(self.tools) || self.tools.all(t, t.name != 'escalate')",
            "oversight.handover offers a tool escalate: no tool of the Agent's may have that name",
        ),
        Field(description="What a revision is; any change here goes out as a new revision."),
    ]
    restrictions: Annotated[
        Restrictions | None,
        Field(
            description="What is forbidden for the time being, for all revisions; acts at the next step "
            "of running tasks. Absent: nothing."
        ),
    ] = None
    budgets: Annotated[
        Budgets | None,
        Field(
            description="What may be used at most, all revisions together; acts at once. Absent: no "
            "budget."
        ),
    ] = None
    scaling: Annotated[
        Scaling,
        Rule(
            "!has(self.minReplicas) || self.minReplicas <= (has(self.maxReplicas) ? "
            "self.maxReplicas : 20)",
            "minReplicas must not exceed maxReplicas",
        ),
        Field(description="How many workers each open revision gets."),
    ] = Scaling()
    worker: Annotated[Worker, Field(description="How worker pods run; acts at once.")] = Worker()
    revision_history_limit: Annotated[
        int, Field(ge=1, le=100, description="Closed revisions whose record is kept.")
    ] = 10
    rollout_policy: Annotated[
        RolloutPolicy,
        Field(
            description="Guarded: after its AgentRollout was deleted, nothing new is released "
            "until there is one again. Immediate: a new revision takes all traffic once it serves."
        ),
    ] = RolloutPolicy.GUARDED
    suspended: Annotated[
        bool, Field(description="Kill switch: admits nothing, running tasks stop at the next step.")
    ] = False
