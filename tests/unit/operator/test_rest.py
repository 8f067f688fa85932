"""An agent at rest costs nothing: until there is news, or the time has come, nothing is read and nothing planned."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from penstock.access import Access, Heard
from penstock.analysis.evidence import Observation, Stratum
from penstock.effects import HarmDone, Sums
from penstock.money.ledger import Amount, Limit, Scope, Spending, Spent, Stop, Unit, Window
from penstock.protocol import Spoken
from penstock.rollout.situation import Pods
from penstock.shadow import Trial
from penstock_operator.cluster.kinds import AGENT, DEPLOYMENT, RECORD
from penstock_operator.reconcile import lasting, plan
from penstock_operator.reconcile.memory import Lull
from penstock_operator.reconcile.rest import lasting as without_moments
from penstock_operator.reconcile.world import World
from penstock_operator.tenancy.prices import Prices
from penstock_store.records import Look, RevisionWork
from tests.unit.operator import worlds
from tests.unit.operator.calm import KEY, Calm, settled
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.test_plan import V1, serving, trying_v2
from tests.unit.operator.worlds import cut

#: What gather puts into a world, and what tells an agent at rest that it is another one.
TOLD_BY = {
    "objects": {
        "agent", "spec", "status", "status_lost", "problem", "rollouts", "unread_rollouts", "records",
        "configmaps", "deployments", "decided_epoch", "quiet",
    },
    "epoch": {"epoch"},
    "provided": {"unprovided", "no_redis_user"},
    "prices": {"prices"},
    "the look of the round": {"look", "look_error", "observation", "observation_error", "instead_of"},
    "no rest with it": {"references", "missing", "lulls", "name_conflict", "refused", "settled", "pods"},
    "the end of a canary's rest, which is ten seconds long": {"external"},
    "nothing: it is a clock, a chance, a constant, or what was read": {
        "now", "heard_seconds", "fresh_salt", "installation", "answers", "cuts", "once",
    },
}  # fmt: skip


@pytest.fixture(params=["alone", "governed", "asleep"])
def calm(request: pytest.FixtureRequest) -> tuple[Calm, Any]:
    """An agent without an AgentRollout, with one, and one that may be scaled to nothing."""
    made = Calm()
    rollouts = [rollout()] if request.param == "governed" else []
    spec = {"scaling": {"minReplicas": 0}} if request.param == "asleep" else {}
    return made, made.reconciler(*rollouts, **spec)


async def test_a_pass_over_an_agent_at_rest_asks_nobody_anything(calm: tuple[Calm, Any]) -> None:
    everything, passes = calm
    await settled(passes, everything)
    for _ in range(5):
        everything.boot.seconds += 60
        again = await passes.reconcile(KEY)
        assert again is not None
    assert not everything.asked
    assert again.seconds == pytest.approx(300)


def written_by_another(passes: Any, everything: Calm, kind: Any) -> None:
    cache = passes.sources.cache
    cache.observe(kind, everything.written(cache.of_agent(kind, KEY)[0]))


@pytest.mark.parametrize("kind", [AGENT, RECORD, DEPLOYMENT], ids=lambda kind: kind.kind)
async def test_an_object_that_was_written_ends_the_rest(calm: tuple[Calm, Any], kind: Any) -> None:
    everything, passes = calm
    await settled(passes, everything)
    written_by_another(passes, everything, kind)
    await passes.reconcile(KEY)
    assert everything.asked["look"] == 1


async def test_an_object_that_is_gone_ends_it(calm: tuple[Calm, Any]) -> None:
    everything, passes = calm
    await settled(passes, everything)
    cache = passes.sources.cache
    cache.forget(DEPLOYMENT, cache.of_agent(DEPLOYMENT, KEY)[0])
    await passes.reconcile(KEY)
    assert everything.asked["apply"] == 1, "it is put back"


async def test_another_leadership_ends_it(calm: tuple[Calm, Any]) -> None:
    everything, passes = calm
    await settled(passes, everything)
    passes.sources.leadership.epoch += 1
    await passes.reconcile(KEY)
    assert everything.asked["look"] == 1


async def test_a_way_to_redis_that_is_lost_ends_it(calm: tuple[Calm, Any]) -> None:
    everything, passes = calm
    await settled(passes, everything)
    everything.has_way = False
    await passes.reconcile(KEY)
    assert everything.asked["provide"] == 1


async def test_other_prices_end_it(calm: tuple[Calm, Any]) -> None:
    everything, passes = calm
    await settled(passes, everything)
    passes.sources.price_file._prices = Prices(text="{}")
    await passes.reconcile(KEY)
    assert everything.asked["look"] == 1


async def test_its_time_ends_it_whatever_was_missed(calm: tuple[Calm, Any]) -> None:
    everything, passes = calm
    await settled(passes, everything)
    everything.boot.seconds += lasting.LONGEST_SECONDS
    await passes.reconcile(KEY)
    assert everything.asked["look"] == 1
    assert passes.memories[KEY].rest


async def test_an_agent_that_is_gone_is_not_at_rest(calm: tuple[Calm, Any]) -> None:
    everything, passes = calm
    await settled(passes, everything)
    cache = passes.sources.cache
    cache.forget(AGENT, cache.of_agent(AGENT, KEY)[0])
    assert await passes.reconcile(KEY) is None
    assert KEY not in passes.memories


async def test_a_pass_that_fails_ends_it(
    calm: tuple[Calm, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, passes = calm
    await settled(passes, everything)
    written_by_another(passes, everything, AGENT)
    monkeypatch.setattr(everything, "look", None)
    with pytest.raises(TypeError):
        await passes.reconcile(KEY)
    assert passes.memories[KEY].rest is None


async def test_what_comes_while_a_pass_reads_is_news_for_the_next(
    calm: tuple[Calm, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, passes = calm
    await settled(passes, everything)
    everything.boot.seconds += lasting.LONGEST_SECONDS
    look = everything.look

    async def written_meanwhile(*asked: Any) -> Look:
        monkeypatch.setattr(everything, "look", look)
        written_by_another(passes, everything, AGENT)
        return await look(*asked)

    monkeypatch.setattr(everything, "look", written_meanwhile)
    await passes.reconcile(KEY)
    everything.asked.clear()
    await passes.reconcile(KEY)
    assert everything.asked["look"] == 1


async def test_a_canary_without_traffic_is_looked_at_each_ten_seconds_and_when_its_hold_is_over() -> (
    None
):
    everything = Calm()
    steps = [{"percent": percent, "holdSeconds": 300, "minTasks": 1} for percent in (5, 50)]
    passes = everything.reconciler(rollout(strategy={"steps": steps}))
    await settled(passes, everything)
    cache = passes.sources.cache
    edited = {**cache.of_agent(AGENT, KEY)[0], "spec": worlds.agent("Be brief.")["spec"]}
    cache.observe(AGENT, everything.written(edited))
    await settled(passes, everything)
    rest = passes.memories[KEY].rest
    assert everything.stored[5] == "5", "it has users"
    assert rest.urgent, "its news goes before all others"
    for _ in range(20):
        everything.boot.seconds += 0.4
        await passes.reconcile(KEY)
    assert not everything.asked
    everything.boot.seconds += 2.1
    await passes.reconcile(KEY)
    assert everything.asked["look"] == 1
    everything.boot.seconds += 283  # all but the hold's last seconds
    await passes.reconcile(KEY)
    left = passes.memories[KEY].rest.until - everything.boot.seconds
    assert 0 < left < 10


async def test_workers_that_are_not_ready_keep_it_from_resting() -> None:
    everything = Calm(ready=False)
    passes = everything.reconciler()
    with pytest.raises(AssertionError, match="not at rest"):
        await settled(passes, everything)


def test_whatever_is_gathered_is_told_by_something() -> None:
    fields = {field.name for field in dataclasses.fields(World)}
    told = [name for names in TOLD_BY.values() for name in names]
    assert sorted(told) == sorted(fields), "say in TOLD_BY what tells that it is another one"


LIMIT = (Scope.AGENT, Window.DAY, Unit.MICRO_USD)
SPENT = Spent(Scope.AGENT, Window.DAY, Amount(1, 1), Amount(1, 1), 2_000_000)
MARKS = {(Scope.USER, Window.DAY, 50): 1}
#: A look in which nothing is empty, and what of it changes by itself, with time or each heartbeat.
LOOK = Look(
    1_000_000, 3, 7, "uid", ("record",), "1-0", "2-0",
    work={"a": RevisionWork(1, 1, 1, 1, 1, 1, 1)}, waiting=1, rows_trimmed=True, overdue_calls=True,
    parked=1, lapses_in_ms=5000, waits_ms=1000,
    heard={"a": Heard(Access.ACCEPTED, 990_000)}, spoken={"a": Spoken(5, 990_000)},
    cost_today={"a": 1}, spending=Spending(1_000_000, (SPENT,), {LIMIT: 1}, MARKS),
    stops=(Stop(Limit(*LIMIT, 1), 1),), harm=HarmDone(1, 1, 1, 1, 1),
    effects=Sums(1, 1, 1, {"refund": 1}, 1, 1, 1), trial=Trial(1, 1, 1, 1, 1, 1, 1, 1),
)  # fmt: skip
#: What is spent comes with an end of a task, whose row tells of it; a day and a window end by themselves.
MONEY = {"cost_today", "spending.now_ms", "spending.windows", "spending.refusals", "spending.marks"}
BY_ITSELF = {"now_ms", "heard.at_ms", "spoken.at_ms"} | MONEY
WITHOUT_REST = {
    "work.oldest_queued_ms",
    "lapses_in_ms",
    "waits_ms",
}  # while a task waits its agent does not rest
NEWS = {"work.turned_away_ms"}  # a caller who is refused, as a task that comes
ONCE = {"trial.begun_ms"}  # with the first copy


def places(value: Any, path: str = "") -> dict[str, Any]:
    """Each place of a look, by its fields, and the same look with something else there."""
    if dataclasses.is_dataclass(value):
        found = {}
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            assert inner, f"say in LOOK what {field.name} may be"
            below = places(inner, f"{path}.{field.name}".lstrip("."))
            for name, other in below.items():
                found[name] = replace(value, **{field.name: other})  # type: ignore[type-var]
        return found
    if isinstance(value, dict):
        ((key, inner),) = value.items()
        return {name: {key: other} for name, other in places(inner, path).items()}
    if isinstance(value, bool):
        return {path: not value}
    if isinstance(value, Access):
        return {path: Access.MODEL_NOT_FOUND}
    return {path: value + {int: 4, str: "x", tuple: ("x",)}[type(value)]}


@pytest.mark.parametrize("place", places(LOOK))
def test_what_changes_by_itself_in_a_look_ends_no_rest_and_all_else_does(place: str) -> None:
    moment = place.endswith("_ms")
    assert not moment or place in BY_ITSELF | WITHOUT_REST | NEWS | ONCE, (
        "say whether it changes by itself"
    )
    same = without_moments(places(LOOK)[place]) == without_moments(LOOK)
    assert same is (place in BY_ITSELF)


# ------------------------------------------------------------------------------ how long it holds

BLANK = Observation(now_ms=1_000_000)


def at_rest(**more: Any) -> World:
    made = worlds.world(
        records=(worlds.record(V1, promoted=1),),
        projected_for=(V1,),
        ready_for=(V1,),
        status=serving(V1),
        route_version=3,
        observation=BLANK,
        **more,
    )
    for _ in range(2):
        made = worlds.later_pass(made)
    return made


def seconds(made: World) -> float:
    return lasting.holds_seconds(made, plan.plan_agent(made))


def test_with_nothing_in_the_window_it_holds_for_long_else_for_a_minute() -> None:
    made = at_rest()
    assert seconds(made) == lasting.LONGEST_SECONDS
    stratum = Stratum(200, 3, {})
    for seen in (
        replace(BLANK, window=(stratum,)),
        replace(BLANK, older=(stratum,)),
        replace(BLANK, gap=True),
    ):
        assert seconds(replace(made, observation=seen)) == lasting.MEASURED_SECONDS


def looked(made: World, **more: Any) -> World:
    assert made.look is not None
    return replace(made, look=replace(made.look, **more))


def waiting(**more: Any) -> dict[str, RevisionWork]:
    return {cut(V1).hash: RevisionWork(**more)}


NEVER = {
    "a task waits": lambda made: looked(made, work=waiting(queued=1, oldest_queued_ms=5)),
    "a task runs": lambda made: looked(made, work=waiting(running=1)),
    "a task waits for its session": lambda made: looked(made, waiting=1),
    "Redis is away": lambda made: replace(made, look=None, look_error="away", observation=None),
    "outcomes cannot be read": lambda made: replace(made, observation=None),
    "workers start": lambda made: replace(made, pods={cut(V1).name: Pods(0, 1)}),
    "a reference is followed": lambda made: replace(made, references={"configmap/a/b": "c"}),
    "a child is refused": lambda made: replace(made, refused="no"),
    "a name is taken": lambda made: replace(made, name_conflict="no"),
    "the way to Redis is missing": lambda made: replace(made, unprovided=True),
    "the route is another": lambda made: looked(made, route_record=("x",)),
    "there are too many workers": lambda made: replace(
        made,
        lulls={cut(V1).name: Lull(worlds.NOW, 1, 5)},
        deployments={cut(V1).name: worlds.projected(V1, replicas=5)[1]},
    ),
    "the projection is gone": lambda made: replace(made, configmaps={}),
    "the status could not be read": lambda made: replace(made, status_lost=("spec",)),
}


@pytest.mark.parametrize("change", NEVER.values(), ids=NEVER)
def test_a_plan_does_not_hold_while(change: Any) -> None:
    assert seconds(change(at_rest())) == 0


@pytest.mark.parametrize("work", [{"queued": 1, "oldest_queued_ms": 5}, {"running": 1}])
def test_nor_does_it_once_the_report_of_the_tasks_is_written(work: dict[str, Any]) -> None:
    made = looked(at_rest(), work=waiting(**work))
    for _ in range(2):
        made = looked(worlds.later_pass(made), work=waiting(**work))
    assert not plan.plan_agent(made).differs
    assert seconds(made) == 0


def test_new_workers_that_have_said_nothing_yet_are_listened_to_closely() -> None:
    made = at_rest()
    metadata = made.deployments[cut(V1).name]["metadata"]
    assert not plan.plan_agent(made).closely
    metadata["creationTimestamp"] = "2026-11-21T09:55:00Z"
    assert plan.plan_agent(made).closely
    assert seconds(made) == lasting.LONGEST_SECONDS


def test_a_plan_does_not_hold_while_a_canary_is_tried() -> None:
    made = replace(trying_v2(), observation=BLANK)
    assert seconds(made) == 0


def test_a_look_is_the_same_however_often_a_worker_says_the_same() -> None:
    def heard(first: int, second: int) -> Look:
        words = {"a": Heard(Access.ACCEPTED, first), "b": Heard(Access.MODEL_NOT_FOUND, second)}
        return Look(first + second, None, 0, "", (), "", "", heard=words)

    assert without_moments(heard(1000, 2000)) == without_moments(heard(1004, 2009))
    assert without_moments(heard(1000, 2000)) != without_moments(heard(3000, 2000)), (
        "which of two words is the newer one counts"
    )
