"""Everything one reconcile may look at, gathered before anything is decided."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from penstock.analysis.evidence import Observation
from penstock.analysis.gates import Answer
from penstock.api.agent import AgentSpec, RolloutPolicy
from penstock.api.agent_status import AgentStatus
from penstock.rollout.situation import Pods
from penstock_operator.cluster.drift import Answers
from penstock_operator.cluster.kinds import Object, spec_of
from penstock_operator.cluster.reading import Rollout, UnreadRollout
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.reconcile.memory import Cuts, Lull, Once, Quiet
from penstock_store.records import Look


@dataclass(frozen=True)
class World:
    """One agent and all that belongs to it, as it is now.

    ``spec`` is None when the Agent cannot be read, with ``problem`` (reason, sentence) saying why;
    ``rollouts`` are those that name this Agent, the one in charge first;
    ``unread_rollouts`` those whose spec cannot be read. ``status_lost`` are the places of the Agent's
    status that could not be read. ``references`` holds the content of referenced objects, ``prices``
    the installation's own as text (None while nobody can read them), ``missing`` a sentence when one is not there. ``settled``: the
    revision's inputs have been quiet for long enough to cut one, or need not be. ``look`` is None when Redis did
    not answer (``look_error``); ``heard_seconds``: for how long it has answered since it was away, as
    far as this operator has seen. ``lulls``: revisions, by name, that have more workers than they
    need, as the pass before saw it. ``name_conflict``: a child that belongs to another owner;
    ``refused``: a child that the API server would not take, in its words. ``unprovided``: nobody has
    yet seen to it that the workers of this namespace can reach Redis; ``no_redis_user``: why the
    pass before could not. ``decided_epoch`` is the highest that Kubernetes has on record for the
    agent. ``external`` is what is known of the gates of the rollout in charge. ``epoch`` is the leadership in which is decided, not below that one, and ``instead_of``
    the (epoch, version) of a route in Redis that no leader wrote: both come from the fence of the
    pass. ``quiet`` is what a revision would be cut from, to be remembered. ``answers`` are those of the API server that
    are not quite what was applied. ``cuts`` are what records of this very version held, by uid and
    resourceVersion; it is filled in as they are read. ``once`` keeps what was made of objects.
    """

    now: datetime
    agent: Object
    installation: Installation
    spec: AgentSpec | None
    status: AgentStatus
    problem: tuple[str, str] | None = None
    rollouts: tuple[Rollout, ...] = ()
    unread_rollouts: tuple[UnreadRollout, ...] = ()
    status_lost: tuple[str, ...] = ()
    records: tuple[Object, ...] = ()
    configmaps: Mapping[str, Object] = field(default_factory=dict)
    deployments: Mapping[str, Object] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    prices: str | None = ""
    missing: str = ""
    settled: bool = True
    look: Look | None = None
    look_error: str = ""
    heard_seconds: float = math.inf
    observation: Observation | None = None
    observation_error: str = ""
    external: Mapping[str, Answer] = field(default_factory=dict)
    pods: Mapping[str, Pods] = field(default_factory=dict)
    lulls: Mapping[str, Lull] = field(default_factory=dict)
    name_conflict: str = ""
    refused: str = ""
    unprovided: bool = False
    no_redis_user: str = ""
    fresh_salt: str = ""
    decided_epoch: int = 0
    epoch: int = 0
    instead_of: tuple[int, int] | None = None
    quiet: Quiet | None = None
    answers: Answers = field(default_factory=dict)
    cuts: Cuts = field(default_factory=dict)
    once: Once = field(default_factory=Once)

    @property
    def uid(self) -> str:
        """The Agent's uid."""
        return str(self.agent["metadata"]["uid"])

    @property
    def name(self) -> str:
        """The Agent's name."""
        return str(self.agent["metadata"]["name"])

    @property
    def generation(self) -> int:
        """metadata.generation of the Agent."""
        return int(self.agent["metadata"].get("generation", 0))

    @property
    def suspended(self) -> bool:
        """The kill switch, read as written: it holds even where the rest cannot be read."""
        return spec_of(self.agent).get("suspended") is True

    @property
    def guarded(self) -> bool:
        """Whether nothing is released after the AgentRollout is gone; so unless said otherwise."""
        return bool(spec_of(self.agent).get("rolloutPolicy") != RolloutPolicy.IMMEDIATE)

    @property
    def rollout(self) -> Rollout | None:
        """The AgentRollout in charge, if there is one."""
        return self.rollouts[0] if self.rollouts else None

    def ready(self, revision: str) -> int:
        """Ready workers of a revision."""
        return self.pods.get(revision, Pods()).ready
