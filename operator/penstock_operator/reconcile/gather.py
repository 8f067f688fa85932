"""Gathering the world of one agent: the only place that reads, before anything is decided."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from penstock import inputs, names, revision
from penstock.analysis.evidence import Observation
from penstock.analysis.gates import Answer
from penstock.api import budgets, validation
from penstock.api.agent import AgentSpec, AgentTemplate
from penstock.api.agent_status import AgentStatus
from penstock.api.rollout import AgentRef, AgentRolloutSpec, AgentRolloutStatus
from penstock.errors import StoreRefused, StoreUnavailable
from penstock.money.prices import EMPTY
from penstock.names import AgentKey
from penstock.rollout import path
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
from penstock_operator.cluster.reading import Rollout, UnreadRollout
from penstock_operator.external.gates import Gates
from penstock_operator.leadership import election
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile import manifests, podwords
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.reconcile.measure import Measure, StoreClock, last_moment
from penstock_operator.reconcile.memory import Cuts, Memory, Once, Quiet, object_version
from penstock_operator.reconcile.rest import Basis, stamps
from penstock_operator.reconcile.world import World
from penstock_operator.tenancy.prices import UNREADABLE, PriceFile, Prices
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
    price_file: PriceFile = field(default_factory=lambda: PriceFile(None))
    gates: Gates | None = None  # without it nobody can be asked: no gate opens


def basis(sources: Sources, key: AgentKey) -> Basis:
    """What ``gather`` would read of an agent beside Redis, by what tells whether it is still the same.

    ConfigMaps of other owners, which instructions come from, and pods are not in it: where they
    are read, the agent is not at rest.
    """
    kinds = (AGENT, ROLLOUT, RECORD, CONFIGMAP, DEPLOYMENT)
    tenants = sources.tenants
    return Basis(
        objects=stamps(obj for kind in kinds for obj in sources.cache.of_agent(kind, key)),
        epoch=sources.leadership.epoch,
        provided=tenants is None or tenants.provided(key.namespace),
        prices=sources.price_file.read(),
    )


async def gather(sources: Sources, key: AgentKey, memory: Memory, now: datetime) -> World | None:
    """The world of an agent; None when the Agent does not exist or is being deleted.

    ``now`` is this machine's time; it is taken only where Redis has never said what time it is.
    Nothing is written, and what is decided in (``epoch``) is left to the fence of the pass.
    """
    cache = sources.cache
    agent = cache.get(AGENT, key.namespace, key.name)
    if agent is None or agent["metadata"].get("deletionTimestamp"):
        return None  # what it owned goes with it
    memory.once.begin()
    references, missing = await _references(sources, key, agent)
    configmaps = _mine(cache.of_agent(CONFIGMAP, key), uid_of(agent))
    prices = sources.price_file.read()
    spec, problem = _judged(memory.once, agent, references, prices, configmaps)
    records = tuple(cache.of_agent(RECORD, key))
    deployments = _mine(cache.of_agent(DEPLOYMENT, key), uid_of(agent))
    rollouts, unread = _governing(memory.once, cache.of_agent(ROLLOUT, key))
    status = memory.once.of("status", object_version(agent), lambda: reading.agent_status(agent))
    charge = rollouts[0] if rollouts else None
    look, look_error = await _look(sources, key, records)
    now = _now(sources, look, charge, now)
    observation, observation_error = await _observe(
        sources,
        key,
        uid_of(agent),
        look,
        _measured_for(key, charge, status.value),
        _all_limits(records, memory.cuts),
        expected_micro_usd=budgets.expected_micro_usd(spec.budgets) if spec else None,
    )
    pods = await _pods(sources, key, deployments)
    made_from = _inputs(memory.once, agent, references)
    quiet = memory.quiet.then(made_from, now) if memory.quiet else Quiet(made_from, now)
    refers = inputs.source(agent) is not None
    unprovided = _unprovided(sources, key, look)
    return World(
        now=now,
        agent=agent,
        installation=sources.installation,
        spec=spec,
        status=status.value,
        status_lost=status.lost,
        problem=problem,
        rollouts=rollouts,
        unread_rollouts=unread,
        records=records,
        configmaps=configmaps,
        deployments=deployments,
        references=references,
        prices=prices.text,
        missing=missing,
        settled=not records or quiet.settled(now, sources.settle_seconds, refers=refers),
        look=look,
        look_error=look_error,
        heard_seconds=sources.store_clock.heard_seconds(sources.leadership.clock()),
        observation=observation,
        observation_error=observation_error,
        external=_external(sources, key, charge, now),
        pods=pods,
        lulls=memory.lulls,
        name_conflict=memory.name_conflict,
        refused=memory.refused,
        unprovided=unprovided,
        no_redis_user=memory.no_redis_user if unprovided else "",
        fresh_salt=secrets.token_hex(8),
        decided_epoch=_decided_epoch(charge, status.value),
        quiet=quiet,
        answers=memory.answers,
        cuts=memory.cuts,
        once=memory.once,
    )


def _now(
    sources: Sources, look: Look | None, rollout: Rollout | None, machine: datetime
) -> datetime:
    """One clock for all operators, and the one that outcomes are stamped with: Redis'."""
    clock, at = sources.store_clock, sources.leadership.clock()
    if look:
        return clock.tell(look.now_ms, at)
    written = last_moment(rollout.status) if rollout else None
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


def _decided_epoch(rollout: Rollout | None, status: AgentStatus) -> int:
    """The highest epoch in which the statuses say that something was decided about the agent."""
    return max(_number(rollout.obj, "epoch") if rollout else 0, status.traffic.epoch)


def _governing(
    once: Once, found: list[Object]
) -> tuple[tuple[Rollout, ...], tuple[UnreadRollout, ...]]:
    """As ``reading.rollouts``, of the same objects once."""
    return once.of("rollouts", stamps(found), lambda: reading.rollouts(found))


def _inputs(once: Once, agent: Object, references: Mapping[str, str]) -> str:
    """What a revision would be cut from, as text."""
    declared = spec_of(agent).get("template")
    made_from = (object_version(agent), references)
    return once.of("inputs", made_from, lambda: revision.canonical([declared, references]))


def _judged(
    once: Once,
    agent: Object,
    references: Mapping[str, str],
    prices: Prices,
    configmaps: Mapping[str, Object],
) -> tuple[AgentSpec | None, tuple[str, str] | None]:
    """As ``judged``, of the same things once."""
    mounted = configmaps.get(names.prices_name(name_of(agent)))
    made_from = (
        object_version(agent),
        references,
        prices,
        object_version(mounted) if mounted else None,
    )
    return once.of("spec", made_from, lambda: judged(agent, references, prices, configmaps))


def judged(
    agent: Object,
    references: Mapping[str, str],
    prices: Prices,
    configmaps: Mapping[str, Object],
) -> tuple[AgentSpec | None, tuple[str, str] | None]:
    """As ``inputs.read_spec``, by what is known of the installation's own prices."""
    mounted = configmaps.get(names.prices_name(name_of(agent)), {})
    table = prices.table_for((mounted.get("data") or {}).get(names.PRICES_FILE))
    spec, problem = inputs.read_spec(agent, references, table or EMPTY)
    if table is None and problem and problem[0] == validation.Reason.UNKNOWN_MODEL:
        told = (
            f"the chart's price table cannot be read ({prices.unread}), and without it {problem[1]}"
        )
        return spec, (UNREADABLE, told)
    return spec, problem


def _mine(objects: list[Object], uid: str) -> dict[str, Object]:
    return {name_of(obj): obj for obj in objects if controller_uid(obj) == uid}


async def _references(sources: Sources, key: AgentKey, agent: Object) -> tuple[dict[str, str], str]:
    """Content of the ConfigMap the instructions come from; a sentence when it is missing."""
    wanted = inputs.source(agent)
    if wanted is None:
        return {}, ""
    ref = wanted.config_map_key_ref
    try:
        found = await sources.cluster.get(CONFIGMAP, key.namespace, ref.name)
    except ClusterError as error:
        return {}, f"ConfigMap {ref.name} cannot be read: {error}"
    return inputs.content(wanted, found, key.namespace)


async def _look(
    sources: Sources, key: AgentKey, records: tuple[Object, ...]
) -> tuple[Look | None, str]:
    hashes = [names.hash_of(name_of(record)) for record in records]
    try:
        return await sources.store.routes.look(key, hashes), ""
    except (StoreRefused, StoreUnavailable) as error:
        if isinstance(error, StoreUnavailable):
            sources.store_clock.away(sources.leadership.clock())
        return None, str(error)


def _unprovided(sources: Sources, key: AgentKey, look: Look | None) -> bool:
    """Whether the namespace has no way to Redis yet; Redis that is away is told elsewhere."""
    tenants = sources.tenants
    return tenants is not None and look is not None and not tenants.provided(key.namespace)


def _measured_for(
    key: AgentKey, rollout: Rollout | None, status: AgentStatus
) -> tuple[AgentRolloutSpec, AgentRolloutStatus]:
    """The AgentRollout in charge; without one, a blank one under which stable alone is watched."""
    if rollout:
        return rollout.spec, rollout.status
    blank = AgentRolloutSpec(agent_ref=AgentRef(name=key.name))
    return blank, AgentRolloutStatus(stable_revision=status.stable_revision)


async def _observe(
    sources: Sources,
    key: AgentKey,
    uid: str,
    look: Look | None,
    rollout: tuple[AgentRolloutSpec, AgentRolloutStatus],
    limits: dict[str, RevisionLimits],
    *,
    expected_micro_usd: int | None,
) -> tuple[Observation | None, str]:
    if look is None:
        return None, "Redis did not answer"
    try:
        seen = await sources.measure.observe(
            key, uid, look, *rollout, limits, expected_micro_usd=expected_micro_usd
        )
        return seen, ""
    except (StoreRefused, StoreUnavailable) as error:
        return None, str(error)


def _external(
    sources: Sources, key: AgentKey, rollout: Rollout | None, now: datetime
) -> Mapping[str, Answer]:
    """What is known of the gates by now: nobody waits for an answer here."""
    if sources.gates is None:
        return {}
    declared = rollout.spec.analysis.external if rollout else ()
    tried = rollout is not None and path.under_way(rollout.status)
    return sources.gates.look(key, declared, now, asks=tried)


def _all_limits(records: tuple[Object, ...], cuts: Cuts) -> dict[str, RevisionLimits]:
    """By revision name, of those that can be read."""
    found = {name_of(record): _limits(record, cuts) for record in records}
    return {name: limits for name, limits in found.items() if limits}


def _limits(record: Object, cuts: Cuts) -> RevisionLimits | None:
    """The limits of a record's revision; what was read before is not read again."""
    known = cuts.get(object_version(record))
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
