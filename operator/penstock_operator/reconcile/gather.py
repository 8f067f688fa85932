"""Gathering the world of one agent: the only place that reads, before anything is decided."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from penstock import names, revision
from penstock.analysis.evidence import Observation
from penstock.api import validation
from penstock.api.agent import AgentSpec, AgentStatus, AgentTemplate, InstructionsSource
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.errors import InvalidResource, StoreRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock.rollout.situation import Pods
from penstock.traffic import RevisionLimits
from penstock_operator.cluster import reading
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import Cluster, ClusterError
from penstock_operator.cluster.kinds import (
    AGENT,
    CONFIGMAP,
    DEPLOYMENT,
    POD,
    RECORD,
    ROLLOUT,
    Object,
    controller_uid,
    labels_of,
    name_of,
    spec_of,
    uid_of,
)
from penstock_operator.leadership import election
from penstock_operator.leadership.leadership import Fenced, Leadership
from penstock_operator.reconcile import manifests, podwords
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.reconcile.measure import Measure, StoreClock, last_moment
from penstock_operator.reconcile.memory import Cuts, Memory, record_version
from penstock_operator.reconcile.world import World
from penstock_operator.tenancy.tenants import Tenants
from penstock_store.records import Look
from penstock_store.store import Store

log = structlog.get_logger("penstock.operator")


@dataclass(frozen=True)
class Sources:
    """Where the world is read from."""

    cluster: Cluster
    store: Store
    cache: Cache
    measure: Measure
    installation: Installation
    settle_seconds: float
    leadership: Leadership
    tenants: Tenants | None = None  # where each namespace has a Redis user of its own
    store_clock: StoreClock = field(default_factory=StoreClock)


async def gather(sources: Sources, key: AgentKey, memory: Memory, now: datetime) -> World | None:
    """The world of an agent; None when the Agent does not exist or is being deleted.

    Raises:
        Fenced: a higher epoch than ours is on record for it.

    ``now`` is this machine's time; it is taken only where Redis has never said what time it is.
    """
    cache = sources.cache
    agent = cache.get(AGENT, key.namespace, key.name)
    if agent is None or agent["metadata"].get("deletionTimestamp"):
        return None  # what it owned goes with it
    references, missing = await _references(sources, key, agent)
    spec, problem = read_spec(agent, references)
    records = tuple(cache.of_agent(RECORD, key))
    deployments = _mine(cache.of_agent(DEPLOYMENT, key), uid_of(agent))
    found = cache.of_agent(ROLLOUT, key)
    rollouts, status = in_order(found), reading.agent_status(agent)
    look, look_error = await _look(sources, key, records)
    now = _now(sources, look, rollouts, now)
    epoch = sources.leadership.epoch_over(_epoch_on_record(sources, rollouts, status.value, look))
    look, instead_of = _believed(sources.leadership, uid_of(agent), memory, epoch, look)
    observation, observation_error = await _observe(
        sources, key, agent, rollouts, look, _all_limits(records, memory.cuts)
    )
    pods = await _pods(sources, key, deployments)
    inputs = revision.canonical([spec_of(agent).get("template"), references])
    quiet = memory.quiet_seconds(inputs, now)
    return World(
        now=now,
        agent=agent,
        installation=sources.installation,
        spec=spec,
        status=status.value,
        status_lost=status.lost,
        problem=problem,
        rollouts=rollouts,
        unread_rollouts=unread(found),
        records=records,
        configmaps=_mine(cache.of_agent(CONFIGMAP, key), uid_of(agent)),
        deployments=deployments,
        references=references,
        missing=missing,
        settled=not records or quiet >= sources.settle_seconds,
        look=look,
        look_error=look_error,
        observation=observation,
        observation_error=observation_error,
        pods=pods,
        lulls=memory.lulls,
        name_conflict=memory.name_conflict,
        refused=memory.refused,
        no_redis_user=await _no_redis_user(sources, key, look),
        fresh_salt=secrets.token_hex(8),
        epoch=epoch,
        instead_of=instead_of,
        answers=memory.answers,
        cuts=memory.cuts,
    )


def _now(
    sources: Sources, look: Look | None, rollouts: tuple[Object, ...], machine: datetime
) -> datetime:
    """One clock for all operators, and the one that outcomes are stamped with: Redis'."""
    clock, at = sources.store_clock, sources.leadership.clock()
    if look:
        return clock.tell(look.now_ms, at)
    written = last_moment(reading.rollout_status(rollouts[0]).value) if rollouts else None
    return clock.now(at, written, machine)


def highest_epoch(cache: Cache) -> int:
    """The highest epoch in which any status in the cache was decided, as far as it is believed."""
    rollouts = [_number(obj, "epoch") for obj in cache.all(ROLLOUT)]
    agents = [_number(obj, "traffic", "epoch") for obj in cache.all(AGENT)]
    return max(n for n in (0, *rollouts, *agents) if n <= election.HIGHEST_BELIEVED)


def _number(obj: Object, *path: str) -> int:
    """A number in a status, 0 when it is not there."""
    found: Any = obj.get("status")
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return reading.whole(found)


def _epoch_on_record(
    sources: Sources, rollouts: tuple[Object, ...], status: AgentStatus, look: Look | None
) -> int:
    """The highest epoch that a decision about this agent was made in.

    With election that is what Kubernetes knows: a decision is there before it is in Redis, where
    who holds the Secret of the namespace could write any number.
    """
    decided = _number(rollouts[0], "epoch") if rollouts else 0
    routed = look.route_epoch if look and not sources.leadership.elected else 0
    believed = routed if routed <= election.HIGHEST_BELIEVED else 0
    return max(decided, status.traffic.epoch, believed)


def _believed(
    leadership: Leadership, uid: str, memory: Memory, epoch: int, look: Look | None
) -> tuple[Look | None, tuple[int, int] | None]:
    """The look as far as it is believed, and the (epoch, version) of a route that no leader wrote.

    A route of an epoch above ours was written by a leader after us, or by somebody who is none, or
    in a life of the cluster that a backup has taken back. It was no later leader if the Lease is
    renewed after it was seen.

    Raises:
        Fenced: which of these it is, is not known yet.
    """
    if look is None or look.route_version is None:
        return look, None
    found = (look.route_epoch, look.route_version)
    above = look.route_uid == uid and look.route_epoch > epoch
    if not above:
        memory.strange = None  # should it come back, it is asked about anew
    if above and not _nobodys(leadership, memory, found):
        raise Fenced(f"the route is of epoch {found[0]}, above ours, {epoch}: asking the Lease")
    if look.route_version > election.HIGHEST_BELIEVED:
        return replace(look, route_version=None), found
    return look, found if above else None


def _nobodys(leadership: Leadership, memory: Memory, found: tuple[int, int]) -> bool:
    """Whether the Lease was renewed by us since this strange route was first seen."""
    if memory.strange != found:
        memory.strange, memory.strange_at = found, leadership.clock()
    return leadership.confirmed_since(memory.strange_at)


def read_spec(
    agent: Object, references: Mapping[str, str]
) -> tuple[AgentSpec | None, tuple[str, str] | None]:
    """The Agent's spec, or why it cannot be honoured (reason, sentence)."""
    try:
        spec = validation.parse_agent(agent)
    except InvalidResource as error:
        return None, ("Invalid", str(error))
    problem = validation.template_problem(agent["spec"]["template"], references)
    return spec, (problem.reason.value, problem.message) if problem else None


def in_order(rollouts: list[Object]) -> tuple[Object, ...]:
    """AgentRollouts that can be read, the one in charge (the oldest) first."""
    readable = [rollout for rollout in rollouts if not _unreadable(rollout)]
    return tuple(
        sorted(readable, key=lambda obj: (obj["metadata"]["creationTimestamp"], name_of(obj)))
    )


def unread(rollouts: list[Object]) -> tuple[tuple[Object, str], ...]:
    """AgentRollouts whose spec cannot be read, and why: they govern nothing until mended.

    They may have been stored before the schema forbade it, or by a newer Penstock.
    """
    return tuple((rollout, why) for rollout in rollouts if (why := _unreadable(rollout)))


def _unreadable(rollout: Object) -> str:
    try:
        validation.parse_rollout(rollout)
    except InvalidResource as error:
        return str(error)
    return ""


def _mine(objects: list[Object], uid: str) -> dict[str, Object]:
    return {name_of(obj): obj for obj in objects if controller_uid(obj) == uid}


async def _references(sources: Sources, key: AgentKey, agent: Object) -> tuple[dict[str, str], str]:
    """Content of the ConfigMap the instructions come from; a sentence when it is missing."""
    source = _source(agent)
    if source is None:
        return {}, ""
    ref = source.config_map_key_ref
    try:
        found = await sources.cluster.get(CONFIGMAP, key.namespace, ref.name)
    except ClusterError as error:
        return {}, f"ConfigMap {ref.name} cannot be read: {error}"
    if found is None:
        return {}, f"ConfigMap {ref.name} is not in namespace {key.namespace}"
    content = (found.get("data") or {}).get(ref.key)
    if not content:
        return {}, f"ConfigMap {ref.name} has no key {ref.key}"
    return {f"configmap/{ref.name}/{ref.key}": content}, ""


def _source(agent: Object) -> InstructionsSource | None:
    """Where the instructions come from; None where they stand in the Agent, or nobody can tell."""
    template = spec_of(agent).get("template")
    written = template.get("instructionsFrom") if isinstance(template, dict) else None
    try:
        return InstructionsSource.model_validate(written) if written else None
    except ValidationError:
        return None  # which the spec's own reading tells


async def _look(
    sources: Sources, key: AgentKey, records: tuple[Object, ...]
) -> tuple[Look | None, str]:
    hashes = [names.hash_of(name_of(record)) for record in records]
    try:
        return await sources.store.look(key, hashes), ""
    except (StoreRefused, StoreUnavailable) as error:
        return None, str(error)


async def _no_redis_user(sources: Sources, key: AgentKey, look: Look | None) -> str:
    """Before any worker of the namespace is started; Redis that is away is told elsewhere."""
    if sources.tenants is None or look is None:
        return ""
    return await sources.tenants.provide(key.namespace)


async def _observe(
    sources: Sources,
    key: AgentKey,
    agent: Object,
    rollouts: tuple[Object, ...],
    look: Look | None,
    limits: dict[str, RevisionLimits],
) -> tuple[Observation | None, str]:
    if look is None:
        return None, "Redis did not answer"
    rollout = rollouts[0] if rollouts else None
    spec = AgentRolloutSpec.model_validate(
        rollout["spec"] if rollout else {"agentRef": {"name": key.name}}
    )
    if rollout:
        status = reading.rollout_status(rollout).value
    else:
        serving = reading.agent_status(agent).value.stable_revision
        status = AgentRolloutStatus(stable_revision=serving)
    try:
        return await sources.measure.observe(key, uid_of(agent), look, spec, status, limits), ""
    except (StoreRefused, StoreUnavailable) as error:
        return None, str(error)


def _all_limits(records: tuple[Object, ...], cuts: Cuts) -> dict[str, RevisionLimits]:
    """By revision name, of those that can be read."""
    found = {name_of(record): _limits(record, cuts) for record in records}
    return {name: limits for name, limits in found.items() if limits}


def _limits(record: Object, cuts: Cuts) -> RevisionLimits | None:
    """The limits of a record's revision; what was read before is not read again."""
    known = cuts.get(record_version(record))
    if isinstance(known, revision.Revision):
        return known.limits
    template = _template(record)
    return revision.limits_of(template) if template else None


def _template(record: Object) -> AgentTemplate | None:
    try:
        return AgentTemplate.model_validate(record["data"]["resolved"]["template"])
    except (LookupError, TypeError, ValidationError):
        return None


async def _pods(
    sources: Sources, key: AgentKey, deployments: Mapping[str, Object]
) -> dict[str, Pods]:
    found = {name: podwords.readiness(live) for name, live in deployments.items()}
    unready = [name for name, pods in found.items() if pods.wanted and not pods.ready]
    if not unready:
        return found
    try:
        pods, _ = await sources.cluster.listing(POD, key.namespace, manifests.selector(key.name))
    except ClusterError as error:  # only their words are missing, and no decision waits for words
        log.warning("pods not listed", agent=str(key), error=str(error))
        return found
    by_hash: dict[str, list[dict[str, Any]]] = {}
    for pod in pods:
        by_hash.setdefault(labels_of(pod).get(names.LABEL_REVISION, ""), []).append(pod)
    for name in unready:
        message = podwords.message(by_hash.get(names.hash_of(name), []))
        found[name] = Pods(0, found[name].wanted, message or found[name].message)
    return found
