"""One pass over one agent: gather, plan, apply, and when to look again."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from penstock import names
from penstock.api.rollout import AgentRolloutStatus
from penstock.errors import PenstockError
from penstock.names import AgentKey
from penstock.revision import canonical
from penstock.rollout import path
from penstock.rollout.situation import Happening
from penstock.rollout.words import aftermath
from penstock_operator import metrics
from penstock_operator.cluster import reading
from penstock_operator.cluster.client import ClusterError
from penstock_operator.cluster.kinds import (
    AGENT,
    EVENT,
    RECORD,
    ROLLOUT,
    Kind,
    Object,
    annotations_of,
    controller_uid,
    name_of,
    namespace_of,
)
from penstock_operator.reconcile import decisions, events, idle, shown
from penstock_operator.reconcile.fence import fenced
from penstock_operator.reconcile.gather import Sources, basis, gather
from penstock_operator.reconcile.lasting import holds_seconds
from penstock_operator.reconcile.memory import Memory
from penstock_operator.reconcile.plan import Plan, plan_agent
from penstock_operator.reconcile.rest import Basis, Rest, lasting
from penstock_operator.reconcile.world import World
from penstock_store.codec import route_record

log = structlog.get_logger("penstock.operator")

_NUMBERS_WAIT: Final = timedelta(seconds=60)
_REHOME_BATCH: Final = 200
_REHOME_BATCHES: Final = 50


class NameTaken(PenstockError):
    """A child's name belongs to an object of another owner."""


@dataclass(frozen=True)
class Again:
    """When a key is to be looked at again, and whether before all others then."""

    seconds: float
    urgent: bool


@dataclass
class Reconciler:
    """Brings one agent at a time to what is declared; every pass starts from what is."""

    sources: Sources
    clock: Callable[[], datetime]
    memories: dict[AgentKey, Memory] = field(default_factory=dict)

    async def reconcile(self, key: AgentKey) -> Again | None:
        """One pass; returns when to look again, None when nothing is left to do."""
        memory = self.memories.get(key) or self.memories.setdefault(key, self._begun(key))
        read = basis(self.sources, key)  # before anything is read: what comes meanwhile is news
        rest, now = memory.rest, self.sources.leadership.clock()
        if rest and rest.goes_on(read, now):
            return Again(rest.until - now, rest.urgent)
        memory.rest = None
        seen = await gather(self.sources, key, memory, self.clock())
        if seen is None:
            await self._gone(key)
            return None
        memory.quiet = seen.quiet
        world = fenced(seen, self.sources.leadership, memory)
        plan = plan_agent(world)
        memory.lulls = plan.lulls
        metrics.show(key, shown.of_agent(key, world, plan))
        await self.apply(key, world.agent, plan, memory)
        told = bool(memory.no_redis_user) == bool(world.no_redis_user)
        memory.rest = self._rest(world, plan, memory, read)
        if memory.rest:
            return Again(memory.rest.until - now, plan.in_flight)
        return Again(plan.look_again_seconds if told else 0.0, urgent=plan.in_flight)

    def _rest(self, world: World, plan: Plan, memory: Memory, read: Basis) -> Rest | None:
        """The rest that an agent goes to after a plan that holds for a while; None where it does not."""
        seconds = holds_seconds(world, plan)
        if not seconds or world.look is None or _owes(memory):
            return None
        revisions = tuple(names.hash_of(name_of(record)) for record in world.records)
        until = self.sources.leadership.clock() + seconds
        look = lasting(world.look)
        return Rest(read, revisions, look, until, plan.in_flight, plan.closely)

    def _begun(self, key: AgentKey) -> Memory:
        """What is remembered of an Agent before the first pass over it."""
        agent = self.sources.cache.get(AGENT, key.namespace, key.name)
        return Memory.after(reading.agent_status(agent).value) if agent else Memory()

    def in_flight(self, key: AgentKey) -> bool:
        """Whether a canary has users, by what the cache holds: its passes come first."""
        found = self.sources.cache.of_agent(ROLLOUT, key)
        statuses = [reading.rollout_status(rollout).value for rollout in found]
        return any(path.under_way(status) and status.split.tries for status in statuses)

    async def _gone(self, key: AgentKey) -> None:
        """Report to AgentRollouts that name an Agent which does not exist."""
        self.memories.pop(key, None)
        self.sources.measure.forget(key)
        if self.sources.gates:
            self.sources.gates.forget(key)
        orphans = self.sources.cache.of_agent(ROLLOUT, key)
        metrics.show(key, shown.of_nobody(key) if orphans else {})
        for rollout in orphans:
            now = reading.rollout_status(rollout)
            wanted = idle.orphan_status(rollout, now.value, key.name, self.clock())
            if wanted != now.value or now.lost:
                await self._report_idle(rollout, wanted)

    async def apply(self, key: AgentKey, agent: Object, plan: Plan, memory: Memory) -> None:
        """Write a plan: the way to Redis, children, decision, verdicts, route, report, Events.

        The decision is one write, of one status. The next operator goes on from there, whoever dies after it.
        A child that is refused holds up nothing else: a rollback or a kill switch must act even
        where a Deployment cannot be written. It is told in a condition and tried again.
        """
        await self._provide(key, plan, memory)
        await self._children(agent, plan, memory)
        await self._decide(agent, plan, memory)
        await self._record_verdicts(plan, memory)
        for rollout, status in plan.idle_statuses:
            await self._report_idle(rollout, status)
        try:
            await self._carry_out(key, agent, plan, memory)
        finally:  # it is decided: that is told even if Redis has just gone away
            await self._tell(key, plan)
            await self._keep_decisions(key, plan, memory)
            await self._keep_effects(key, plan, memory)
        for kind, obj in plan.deletions:
            await self._try_to_delete(kind, obj)

    async def _decide(self, agent: Object, plan: Plan, memory: Memory) -> None:
        """The status that decides: of the AgentRollout, without one of the Agent."""
        for rollout, status in plan.rollout_statuses:
            await self._write_status(ROLLOUT, rollout, status.wire())
        if not plan.governed:
            await self._report(agent, plan, memory)

    async def _carry_out(self, key: AgentKey, agent: Object, plan: Plan, memory: Memory) -> None:
        """The route, and the report where that is not the decision."""
        await self._route(key, plan, memory)
        if plan.governed:
            await self._report(agent, plan, memory)
        await self._rehome(key, plan)
        if plan.expire:
            await self._expire(key)
        if plan.give_up:
            given_up = await self.sources.store.ledger.give_up_overdue(key)
            log.info(
                "calls count what they held: nobody has settled them",
                agent=str(key),
                calls=given_up,
            )

    async def _tell(self, key: AgentKey, plan: Plan) -> None:
        for about, happening in plan.events:
            await self._post(about, happening)
        count(key, plan)

    async def _provide(self, key: AgentKey, plan: Plan, memory: Memory) -> None:
        """See that the namespace's workers can reach Redis; the next pass tells where they cannot."""
        tenants = self.sources.tenants if plan.provide else None
        memory.no_redis_user = await tenants.provide(key.namespace) if tenants else ""

    async def _children(self, agent: Object, plan: Plan, memory: Memory) -> None:
        conflict = refused = ""
        for kind, obj in plan.replaced:
            await self._try_to_delete(kind, obj)
        for kind, obj in plan.children:
            try:
                made = await self._ensure(kind, obj, agent, memory)
                if made and kind is RECORD:
                    await self._post(agent, events.revision_created(name_of(obj)))
            except NameTaken as error:
                conflict = str(error)
                if conflict != memory.name_conflict:
                    await self._post(agent, events.name_conflict(kind.kind, name_of(obj)))
            except ClusterError as error:
                if error.conflict:
                    raise
                refused = f"{kind.kind} {name_of(obj)}: {error}"
                log.warning("child refused", kind=kind.kind, name=name_of(obj), error=str(error))
        memory.name_conflict, memory.refused = conflict, refused

    async def _record_verdicts(self, plan: Plan, memory: Memory) -> None:
        """Note what was decided on the records; one that takes no note is tried again with each pass.

        Nothing waits for that: the next operator, too, notes what stands in the status and not there.
        """
        memory.unrecorded |= {name_of(patch): patch for patch in plan.verdicts}
        for name, patch in list(memory.unrecorded.items()):
            try:
                await self._record_verdict(patch)
            except ClusterError as error:
                if error.refusal:
                    memory.refused = f"verdict on {name}: {error}"
                log.warning("verdict not noted", record=name, error=str(error))
                continue
            del memory.unrecorded[name]

    async def _record_verdict(self, patch: Object) -> None:
        """Annotate a record, and never make one: an apply by uid fails where there is none."""
        live = self.sources.cache.get(RECORD, namespace_of(patch), name_of(patch))
        if live is None:
            log.warning("no record to keep the verdict on", record=name_of(patch))
            return
        body = {**patch, "metadata": {**patch["metadata"], "uid": live["metadata"]["uid"]}}
        await self._write(RECORD, body, names.VERDICT_MANAGER)

    async def _keep_decisions(self, key: AgentKey, plan: Plan, memory: Memory) -> None:
        """Add decisions to the records of revisions; what cannot be written is tried again with each pass.

        Nothing waits for that. Where the operator dies before, a number is missing, and shows.
        """
        unkept = memory.unkept
        for name in dict.fromkeys(entry.revision for entry in plan.entries):
            new = tuple(entry for entry in plan.entries if entry.revision == name)
            unkept[name] = (*unkept.get(name, ()), *new)[-decisions.MOST_ENTRIES :]
        for name, entries in list(unkept.items()):
            live = self.sources.cache.get(RECORD, key.namespace, name)
            try:
                if live is not None:
                    written = await decisions.keep(self.sources.cluster, live, entries)
                    self.sources.cache.observe(RECORD, written)
            except ClusterError as error:
                if error.refusal:
                    memory.refused = f"ConfigMap {names.decisions_name(name)}: {error}"
                log.warning("decisions not kept", record=name, error=str(error))
                continue
            del unkept[name]

    async def _keep_effects(self, key: AgentKey, plan: Plan, memory: Memory) -> None:
        """Note on the record of a canary that was taken off what it has done, unless that stands there."""
        status = plan.course.rollout_status if plan.course else None
        left = status.effects if status else None
        memory.owes_effects = False
        if left is None or left.at is None:
            return
        live = self.sources.cache.get(RECORD, key.namespace, left.revision)
        text = canonical(aftermath.document(left))
        if live is None or annotations_of(live).get(names.ANNOTATION_EFFECTS) == text:
            return
        try:
            written = await decisions.keep_effects(self.sources.cluster, live, text)
            self.sources.cache.observe(RECORD, written)
        except ClusterError as error:
            memory.owes_effects = True
            log.warning("effects not kept", record=left.revision, error=str(error))

    async def _delete(self, kind: Kind, obj: Object) -> None:
        await self.sources.cluster.delete(kind, obj)
        self.sources.cache.forget(kind, obj)

    async def _try_to_delete(self, kind: Kind, obj: Object) -> None:
        """Delete one of several; what cannot be deleted holds up nothing else."""
        try:
            await self._delete(kind, obj)
        except ClusterError as error:
            if not error.refusal:
                raise
            log.warning("not deleted", kind=kind.kind, name=name_of(obj), error=str(error))

    async def _ensure(self, kind: Kind, obj: Object, agent: Object, memory: Memory) -> bool:
        """Apply a child; whether there was none before. Raises NameTaken if it is another's."""
        cache = self.sources.cache
        live = cache.get(kind, namespace_of(obj), name_of(obj))
        if live is None:
            live = await self.sources.cluster.get(kind, namespace_of(obj), name_of(obj))
        uid = str(agent["metadata"]["uid"])
        if live is not None and controller_uid(live) != uid:
            raise NameTaken(
                f"{kind.kind} {name_of(obj)} exists and belongs to another owner; "
                "remove or rename it"
            )
        written = await self._write(kind, obj, names.MANAGER)
        if kind is not RECORD and memory.answered(obj, written):
            log.warning("child stored otherwise than applied", kind=kind.kind, name=name_of(obj))
        return live is None

    async def _write(self, kind: Kind, obj: Object, manager: str) -> Object:
        written = await self.sources.cluster.apply(kind, obj, manager)
        self.sources.cache.observe(kind, written)
        return written

    async def _write_status(self, kind: Kind, obj: Object, status: dict[str, object]) -> None:
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        written = await self.sources.cluster.replace_status(kind, {**head, **obj, "status": status})
        self.sources.cache.observe(kind, written)

    async def _report_idle(self, rollout: Object, status: AgentRolloutStatus) -> None:
        """Tell an AgentRollout that it governs nothing; where it cannot be told, others go on."""
        try:
            await self._write_status(ROLLOUT, rollout, status.wire())
        except ClusterError as error:
            log.warning("not told", about=f"AgentRollout/{name_of(rollout)}", error=str(error))

    async def _report(self, agent: Object, plan: Plan, memory: Memory) -> None:
        """Write the Agent's status when it says something new; numbers alone wait a minute.

        What has become of the Agent is told once its status keeps the next pass from telling it.
        """
        if plan.agent_status is None:
            return
        now = self.clock()
        waited = memory.numbers_at is None or now - memory.numbers_at >= _NUMBERS_WAIT
        if not plan.news and not (waited and plan.differs):
            return
        memory.numbers_at = now
        await self._write_status(AGENT, agent, plan.agent_status.wire())
        for happening in plan.transitions:
            await self._post(agent, happening)

    async def _route(self, key: AgentKey, plan: Plan, memory: Memory) -> None:
        """Put the route in force, unless Redis has this very one."""
        route = plan.route
        if route is None or (plan.route_in_force == route_record(route) and memory.told == route):
            return
        if memory.told == route and any(plan.route_in_force):
            log.warning("the route in Redis is not the one that was put there", agent=str(key))
        if route.budget_mark != plan.budget_in_force:
            await self.sources.store.ledger.declare(key, plan.budget)
        await self.sources.store.routes.put(key, route, instead_of=plan.instead_of)
        memory.told = route

    async def _rehome(self, key: AgentKey, plan: Plan) -> None:
        """Move work that goes back to stable, a bounded part of it in one pass."""
        for revision in plan.rehome:
            for _ in range(_REHOME_BATCHES):
                moved = await self.sources.store.queue.rehome(key, revision, _REHOME_BATCH)
                if not moved:
                    break
                log.info("work re-homed", agent=str(key), revision=revision, moved=moved)

    async def _expire(self, key: AgentKey) -> None:
        """End what waits for a worker for too long, let time decide what waits for a person; so many at once."""
        ended = 0
        for _ in range(_REHOME_BATCHES):
            some = await self.sources.store.queue.expire(key, _REHOME_BATCH)
            ended += some
            if not some:
                break
        if ended:
            log.info("tasks expired", agent=str(key), ended=ended)
        for _ in range(_REHOME_BATCHES):
            lapsed = await self.sources.store.escalations.lapse(key, _REHOME_BATCH)
            if lapsed:
                log.info("calls decided by time", agent=str(key), decided=lapsed)
            if lapsed < _REHOME_BATCH:
                break

    async def _post(self, about: Object, happening: Happening) -> None:
        """Post an Event; a lost Event is no reason to do the work again."""
        obj = events.event(about, happening, now=self.clock(), suffix=secrets.token_hex(6))
        log.info(
            happening.reason, about=f"{about['kind']}/{name_of(about)}", message=happening.message
        )
        try:
            await self.sources.cluster.create(EVENT, obj)
        except ClusterError as error:
            log.warning("event not posted", error=str(error))


def _owes(memory: Memory) -> bool:
    """Whether something was decided, or seen, that is not written or mended yet."""
    return bool(memory.unrecorded or memory.unkept or memory.owes_effects or memory.strange)


def count(key: AgentKey, plan: Plan) -> None:
    """Count the verdicts of a pass; all that may be counted of the Agent begins at 0."""
    if plan.governed:
        metrics.expect_verdicts(key)
    for verdict in plan.course.decision.verdicts if plan.course else ():
        metrics.VERDICTS.labels(key.namespace, key.name, verdict.result, verdict.reason).inc()
