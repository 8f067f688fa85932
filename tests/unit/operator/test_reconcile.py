"""The order in which a plan is written, and what still happens when one of the writes fails."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from penstock import names
from penstock.effects import Sums
from penstock.errors import PenstockError, StoreUnavailable
from penstock.names import AgentKey
from penstock.traffic import Route
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import ClusterError
from penstock_operator.cluster.kinds import DEPLOYMENT, RECORD, Kind, Object
from penstock_operator.cluster.reading import UnreadRollout
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.gather import Sources
from penstock_operator.reconcile.memory import Memory
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.reconciler import Reconciler
from penstock_operator.reconcile.world import World
from penstock_store.codec import route_record
from penstock_store.records import RevisionWork
from tests.routes import changed
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import V1, V2, serving, trying_v2
from tests.unit.operator.worlds import cut

KEY = AgentKey("acme", "support")
Step = tuple[str, str]


@dataclass
class Writes:
    """Cluster and store in one: every write is noted, and one of them may fail."""

    failing: Step | None = None
    error: Callable[[], Exception] = lambda: ClusterError(500, "no")
    steps: list[Step] = field(default_factory=list)
    put_routes: list[Route] = field(default_factory=list)
    replaced: list[tuple[int, int] | None] = field(default_factory=list)
    overdue: int = 0

    @property
    def routes(self) -> "Writes":
        return self

    queue = outcomes = ledger = escalations = routes

    def note(self, *step: str) -> None:
        """Remember a write, then fail if it is the one that fails."""
        self.steps.append((step[0], step[1]))
        if self.failing == step:
            raise self.error()

    async def get(self, *_: object) -> None:
        return None

    async def lapse(self, *_: object) -> int:
        return 0

    async def apply(self, kind: Kind, obj: Object, manager: str) -> Object:
        self.note("verdict" if manager == names.VERDICT_MANAGER else "child", kind.kind)
        return written(obj)

    async def replace_status(self, kind: Kind, obj: Object) -> Object:
        self.note("status", kind.kind)
        return written(obj)

    async def create(self, _kind: Kind, obj: Object) -> Object:
        self.note("event", obj["reason"])
        return obj

    async def delete(self, kind: Kind, _obj: Object) -> None:
        self.note("delete", kind.kind)

    async def put(
        self, _key: AgentKey, route: Route, *, instead_of: tuple[int, int] | None = None
    ) -> None:
        self.note("route", f"{route.split.percent} %")
        self.put_routes.append(route)
        self.replaced.append(instead_of)

    async def expire(self, _key: AgentKey, limit: int) -> int:
        self.note("expire", str(limit))
        self.overdue, ended = max(0, self.overdue - limit), min(self.overdue, limit)
        return ended

    async def give_up_overdue(self, _key: AgentKey) -> int:
        self.note("give up", "overdue")
        return 1

    async def rehome(self, _key: AgentKey, revision: str, _limit: int) -> int:
        self.note("rehome", revision)
        return 0


def written(obj: Object) -> Object:
    """What the API server answers to a write."""
    metadata = {"uid": "new", **obj["metadata"], "resourceVersion": "99"}
    return {**obj, "metadata": metadata}


async def carry_out(
    world: World, writes: Writes, memory: Memory | None = None, *, cached: bool = True
) -> None:
    """Plan a world and write the plan; not ``cached``: its records were deleted meanwhile."""
    cache = Cache()
    for record in world.records if cached else ():
        cache.observe(RECORD, record)
    sources = Sources(
        cast("Any", writes),
        cast("Any", writes),
        cache,
        cast("Any", None),
        worlds.INSTALLATION,
        3.0,
        Leadership.alone(),
    )
    reconciler = Reconciler(sources, lambda: datetime(2026, 11, 21, 10, tzinfo=UTC))
    await reconciler.apply(KEY, world.agent, plan_agent(world), memory or Memory())


def aborted(**more: object) -> World:
    """A rollout at 20 % that a person has just aborted."""
    made = trying_v2(**more)
    notes = {names.ANNOTATION_REQUEST: f"abort/{cut(V2).name}/1"}
    made.rollouts[0].obj["metadata"]["annotations"] = notes
    return made


#: The record of decisions, and the end of its chain.
DECIDED = [("child", "ConfigMap"), ("child", "ControllerRevision")]


async def test_a_rollback_is_written_status_then_verdict_then_route_then_report_then_event() -> (
    None
):
    writes = Writes()
    await carry_out(aborted(), writes)
    assert writes.steps == [
        ("status", "AgentRollout"),
        ("verdict", "ControllerRevision"),
        ("route", "0 %"),
        ("status", "Agent"),
        ("event", "RolledBack"),
        *DECIDED,
    ]


@pytest.mark.parametrize(
    ("done", "told"),
    [
        (Sums(12, 3, 9, {"refund": 1_350_000_000}), True),
        (Sums(), False),
        (None, False),
    ],
)
async def test_after_a_rollback_it_is_told_what_the_revision_has_done_to_the_world(
    done: Sums | None, told: bool
) -> None:
    writes = Writes()
    await carry_out(has_done(aborted(), done), writes)
    assert (("event", "EffectsLeft") in writes.steps) is told
    assert ("event", "RolledBack") in writes.steps


def has_done(made: World, done: Sums | None) -> World:
    """The world in which Redis says what the canary has done."""
    assert made.look is not None
    look = replace(made.look, effects=done, route_record=("", "", "", "", cut(V2).hash))
    return replace(made, look=look)


def test_what_was_done_is_one_sentence_and_what_nobody_knows_comes_first() -> None:
    words = Sums(12, 3, 9, {"refund": 1_350_000_000}).words()
    assert words == (
        "of 3 calls nobody knows whether they were made; 12 calls changed something, for 9 users, refund 1350"
    )
    assert Sums(1, 0, 1).words() == "1 call changed something, for 1 user"
    assert Sums(0, 1).words().endswith("; no call is known to have changed something")


@pytest.mark.parametrize(
    ("failing", "never"),
    [
        (("status", "AgentRollout"), ("route", "0 %")),
        (("status", "AgentRollout"), ("verdict", "ControllerRevision")),
        (("route", "0 %"), ("status", "Agent")),
    ],
)
async def test_what_follows_a_failed_write_is_not_written_before_it(
    failing: Step, never: Step
) -> None:
    writes = Writes(failing)
    with pytest.raises(PenstockError):
        await carry_out(aborted(), writes)
    assert never not in writes.steps


async def test_a_refused_deployment_stops_neither_rollback_nor_kill_switch() -> None:
    impossible = {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}
    declared = worlds.agent(V2, suspended=True, worker=impossible)
    made = aborted()
    spec = worlds.world(declared).spec
    writes = Writes(("child", "Deployment"), lambda: ClusterError(422, "requests above limits"))
    memory = Memory()
    await carry_out(replace(made, agent=declared, spec=spec), writes, memory)
    assert ("child", "Deployment") in writes.steps
    assert ("verdict", "ControllerRevision") in writes.steps
    assert [(route.split.percent, route.split.suspended) for route in writes.put_routes] == [
        (0, True)
    ]
    assert "requests above limits" in memory.refused
    told = plan_agent(replace(made, refused=memory.refused)).agent_status
    assert told is not None
    stalled = next(c for c in told.conditions if c.type == "Stalled")
    assert (stalled.status.value, stalled.reason) == ("True", "ChildRefused")


@pytest.mark.parametrize("failing", [None, ("child", "ControllerRevision"), ("status", "Agent")])
async def test_a_new_revision_is_told_when_its_record_was_written_and_only_then(
    failing: Step | None,
) -> None:
    writes = Writes(failing)
    with contextlib.suppress(ClusterError):
        await carry_out(worlds.world(worlds.agent(V1)), writes)
    assert ("child", "ControllerRevision") in writes.steps
    told = ("event", "RevisionCreated") in writes.steps
    assert told is (failing != ("child", "ControllerRevision"))


async def test_a_decision_on_record_is_told_even_when_redis_goes_away_meanwhile() -> None:
    writes = Writes(("route", "0 %"), lambda: StoreUnavailable("gone"))
    with pytest.raises(StoreUnavailable):
        await carry_out(aborted(), writes)
    assert ("event", "RolledBack") in writes.steps


async def test_while_redis_is_away_the_agent_says_so() -> None:
    writes = Writes()
    made = replace(trying_v2(), look=None, look_error="Redis did not answer")
    await carry_out(made, writes)
    assert writes.put_routes == []
    told = plan_agent(made).agent_status
    assert told is not None
    ready = next(c for c in told.conditions if c.type == "Ready")
    assert (ready.status.value, ready.reason) == ("False", "StoreUnavailable")


async def test_a_verdict_never_makes_a_record_that_is_gone() -> None:
    writes = Writes()
    await carry_out(aborted(), writes, cached=False)
    assert ("verdict", "ControllerRevision") not in writes.steps
    assert ("route", "0 %") in writes.steps


async def test_a_rollback_reaches_redis_even_when_stables_record_is_gone() -> None:
    writes = Writes()
    made = aborted()
    without_v1 = tuple(r for r in made.records if r["metadata"]["name"] != cut(V1).name)
    await carry_out(replace(made, records=without_v1, configmaps={}), writes)
    assert [(route.split.stable, route.split.percent) for route in writes.put_routes] == [
        (cut(V1).hash, 0)
    ]


async def test_the_same_route_is_not_written_twice() -> None:
    writes, memory = Writes(), Memory()
    made = trying_v2()
    await carry_out(made, writes, memory)
    assert made.look
    in_force = route_record(writes.put_routes[0])
    made = replace(made, look=replace(made.look, route_record=in_force))
    await carry_out(made, writes, memory)
    assert len(writes.put_routes) == 1


async def test_a_route_that_another_hand_has_changed_is_put_back() -> None:
    writes, memory = Writes(), Memory()
    made = trying_v2()
    await carry_out(made, writes, memory)
    assert made.look
    by_hand = route_record(changed(writes.put_routes[0], percent=100))
    strange = replace(made, look=replace(made.look, route_record=by_hand), instead_of=(7, 8))
    await carry_out(strange, writes, memory)
    assert writes.put_routes == [writes.put_routes[0]] * 2
    assert writes.replaced == [None, (7, 8)]


def waiting(seconds: float, **more: object) -> World:
    """An agent that serves, with one task in its queue for so long; its queueSeconds are 600."""
    return worlds.world(
        worlds.agent(**more),
        records=(worlds.record(V1, promoted=1),),
        projected_for=(V1,),
        status=serving(V1),
        route_version=3,
        work={V1: RevisionWork(queued=500, oldest_queued_ms=int(seconds * 1000))},
    )


async def test_tasks_that_waited_for_too_long_are_ended_in_batches_where_no_worker_does_it() -> (
    None
):
    writes = Writes(overdue=450)
    await carry_out(waiting(601), writes)
    assert writes.steps.count(("expire", "200")) == 4, "until there is none left"
    assert writes.steps.index(("status", "Agent")) < writes.steps.index(("expire", "200"))


async def test_tasks_that_may_still_wait_are_let_wait() -> None:
    for world in (waiting(599), waiting(5000, suspended=True)):
        writes = Writes(overdue=450)
        await carry_out(world, writes)
        assert ("expire", "200") not in writes.steps


@pytest.mark.parametrize("overdue", [True, False])
async def test_calls_that_are_open_past_their_time_are_given_up_where_no_worker_does_it(
    overdue: bool,
) -> None:
    world = waiting(10)
    assert world.look is not None
    writes = Writes()
    await carry_out(replace(world, look=replace(world.look, overdue_calls=overdue)), writes)
    assert (("give up", "overdue") in writes.steps) is overdue


async def test_an_agent_is_looked_at_again_when_its_oldest_task_has_waited_long_enough() -> None:
    assert plan_agent(waiting(570)).look_again_seconds == pytest.approx(30, abs=1)
    assert plan_agent(waiting(598)).look_again_seconds == pytest.approx(2, abs=1)
    idle = plan_agent(worlds.world(status=serving(V1), records=(worlds.record(V1, promoted=1),)))
    assert plan_agent(waiting(10)).look_again_seconds == idle.look_again_seconds


@pytest.mark.parametrize(("code", "told"), [(422, True), (500, False)])
async def test_the_verdict_of_a_record_that_takes_no_note_is_tried_again_and_holds_up_nothing(
    code: int, told: bool
) -> None:
    memory = Memory()
    writes = Writes(("verdict", "ControllerRevision"), lambda: ClusterError(code, "too large"))
    await carry_out(aborted(), writes, memory)
    assert ("route", "0 %") in writes.steps
    assert ("too large" in memory.refused) is told
    writes.failing = None
    writes.steps.clear()
    await carry_out(trying_v2(), writes, memory)
    assert writes.steps.count(("verdict", "ControllerRevision")) == 1
    assert not memory.unrecorded


async def test_an_agentrollout_that_cannot_be_told_holds_up_no_other() -> None:
    made = trying_v2()
    first = made.rollouts[0].obj
    second = {**first, "metadata": {**first["metadata"], "name": "z"}}
    spec = {"agentRef": {"name": "support"}, "unit": "Ring"}
    odd = {**second, "spec": spec}
    made = replace(
        made,
        rollouts=(made.rollouts[0],),
        unread_rollouts=(UnreadRollout.of(odd, "spec.unit is Ring"),),
    )
    made.rollouts[0].obj["metadata"]["annotations"] = {
        names.ANNOTATION_REQUEST: f"abort/{cut(V2).name}/1"
    }

    class Half(Writes):
        async def replace_status(self, kind: Kind, obj: Object) -> Object:
            if obj["metadata"]["name"] == "z":
                self.note("untold", kind.kind)
                raise ClusterError(422, "spec.unit is invalid")
            return await super().replace_status(kind, obj)

    writes = Half()
    await carry_out(made, writes)
    assert ("untold", "AgentRollout") in writes.steps
    assert ("route", "0 %") in writes.steps


async def test_a_child_that_cannot_be_deleted_holds_up_no_route() -> None:
    made = trying_v2()
    tampered = {**made.configmaps[cut(V1).name], "data": {"revision.json": "{}"}}
    made = replace(made, configmaps={**made.configmaps, cut(V1).name: tampered})
    writes = Writes(("delete", "ConfigMap"), lambda: ClusterError(403, "not allowed"))
    await carry_out(made, writes)
    assert ("delete", "ConfigMap") in writes.steps
    assert any(step[0] == "route" for step in writes.steps)


def test_the_route_says_how_many_tasks_may_wait_where_the_agent_does() -> None:
    made = waiting(1)
    plan = plan_agent(made)
    assert plan.route is not None
    assert plan.route.max_queued == 0
    assert made.spec is not None
    scaling = made.spec.scaling.model_copy(update={"max_queued_tasks": 7})
    spec = made.spec.model_copy(update={"scaling": scaling})
    bounded = plan_agent(replace(made, spec=spec))
    assert bounded.route is not None
    assert bounded.route.max_queued == 7


def test_the_queue_that_people_see_holds_tasks_that_wait_for_an_earlier_one_of_their_session() -> (
    None
):
    made = waiting(1)
    assert made.look is not None
    plan = plan_agent(replace(made, look=replace(made.look, waiting=30)))
    assert plan.agent_status is not None
    assert plan.agent_status.summary.queued == "530"
    wanted = [obj for kind, obj in plan.children if kind is DEPLOYMENT]
    alone = [obj for kind, obj in plan_agent(made).children if kind is DEPLOYMENT]
    assert wanted == alone, "no worker can take them yet"
