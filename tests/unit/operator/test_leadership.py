"""Who may write, in which epoch, and that no call is forgotten."""

import asyncio
import inspect
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from penstock.names import AgentKey
from penstock.traffic import Route, Split
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import Cluster
from penstock_operator.cluster.kinds import AGENT
from penstock_operator.leadership.election import Timing
from penstock_operator.leadership.leadership import Fenced, Leadership
from penstock_operator.reconcile.fence import fenced
from penstock_operator.reconcile.gather import highest_epoch
from penstock_operator.reconcile.memory import Memory
from penstock_operator.settings import Settings
from penstock_store.outcomes import Outcomes
from penstock_store.queue import Queue
from penstock_store.records import Look
from penstock_store.routes import Routes
from penstock_store.store import Store
from penstock_store.users import Users
from tests.unit.operator import worlds

#: What an operator may do with the store although it does not lead.
READS = {
    "routes.look", "routes.look_each", "routes.versions", "routes.index", "routes.knows_absent", "outcomes.rows",
    "outcomes.page", "outcomes.ends", "outcomes.kept", "users.namespaces", "queue.wait_for_work",
}  # fmt: skip

#: What the calls that write are given here.
ARGUMENTS = {
    "agent": AgentKey("acme", "support"),
    "agents": {},
    "consumer": "w1",
    "idle_ms": 1,
    "namespace": "acme",
    "password": "word",
    "revision": "aaaa1111",
    "route": Route(uid="u", epoch=1, version=1, split=Split("aaaa1111"), revisions={}),
    "uid": "u",
}


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def elected(clock: Clock, epoch: int = 5) -> Leadership:
    leadership = Leadership(Timing(), clock)
    leadership.grant(epoch, clock.now + 10)
    return leadership


def calls_of_the_operator() -> list[str]:
    clients = {"routes": Routes, "outcomes": Outcomes, "queue": Queue, "users": Users}
    return sorted(
        f"{client}.{name}"
        for client, calls in clients.items()
        for name, call in vars(calls).items()
        if inspect.iscoroutinefunction(call) and not name.startswith("_")
    )


@pytest.mark.parametrize("call", [name for name in calls_of_the_operator() if name not in READS])
async def test_a_call_that_writes_to_the_store_is_refused_without_the_lease(call: str) -> None:
    guard = Leadership(Timing(), Clock()).demand
    store = Store.connect("redis://127.0.0.1:1/0", guard=guard)
    client, name = call.split(".")
    method = getattr(getattr(store, client), name)
    needed = [
        name
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is inspect.Parameter.empty
    ]
    arguments: Any = {name: ARGUMENTS[name] for name in needed}
    with pytest.raises(Fenced):
        await method(**arguments)
    await store.aclose()


def test_the_reads_are_calls_of_the_store() -> None:
    assert set(calls_of_the_operator()) >= READS


async def test_every_write_to_the_api_server_is_refused_without_the_lease() -> None:
    class Silent:
        """A client that must never be asked to send anything."""

        async def param_serialize(self, **_: Any) -> tuple[()]:
            return ()

    silent: Any = Silent()
    cluster = Cluster(silent, Leadership(Timing(), Clock()).demand)
    agent = {"metadata": {"name": "support", "namespace": "acme", "uid": "1"}}
    for write in (
        cluster.apply(AGENT, agent, "penstock"),
        cluster.create(AGENT, agent),
        cluster.replace(AGENT, agent),
        cluster.replace_status(AGENT, agent),
        cluster.delete(AGENT, agent),
    ):
        with pytest.raises(Fenced):
            await write


def test_leading_ends_by_the_clock_alone() -> None:
    clock = Clock()
    leadership = elected(clock)
    leadership.demand()
    clock.now += 10
    with pytest.raises(Fenced):
        leadership.demand()


def test_a_leader_decides_in_its_own_epoch_and_not_while_a_higher_one_is_on_record() -> None:
    clock = Clock()
    leadership = elected(clock, epoch=5)
    assert leadership.epoch_over(0) == 5
    assert leadership.epoch_over(5) == 5
    with pytest.raises(Fenced, match="epoch 8 is on record"):
        leadership.epoch_over(8)
    assert leadership.at_least == 9


def test_a_second_wish_for_a_higher_epoch_waits_a_minute() -> None:
    clock = Clock()
    leadership = elected(clock)
    for seen, wished in ((8, 9), (12, 9)):
        with pytest.raises(Fenced):
            leadership.epoch_over(seen)
        assert leadership.at_least == wished
    clock.now += 60
    with pytest.raises(Fenced):
        leadership.epoch_over(12)
    assert leadership.at_least == 13


def test_an_epoch_that_no_leadership_can_have_holds_up_its_agent_alone() -> None:
    clock = Clock()
    leadership = elected(clock)
    with pytest.raises(Fenced):
        leadership.epoch_over(2**31 - 1)
    assert leadership.at_least == 0
    cache = Cache()
    for name, epoch in (("mad", 2**31 - 1), ("well", 12)):
        metadata = {"name": name, "namespace": "acme", "uid": name, "resourceVersion": "1"}
        cache.observe(AGENT, {"metadata": metadata, "status": {"traffic": {"epoch": epoch}}})
    assert highest_epoch(cache) == 12
    assert highest_epoch(Cache()) == 0


def test_a_route_of_a_higher_epoch_is_nobodys_when_the_lease_was_renewed_after_each_sight() -> None:
    clock = Clock()
    leadership, memory = elected(clock, epoch=5), Memory()
    made = worlds.world(route_version=7)
    look = made.look
    assert look
    strange = replace(look, route_epoch=6)

    def believed(seen: Look) -> tuple[int, int] | None:
        return fenced(replace(made, look=seen, decided_epoch=5), leadership, memory).instead_of

    for _ in range(2):
        with pytest.raises(Fenced, match="epoch 6, above ours, 5"):
            believed(strange)
        clock.now += 1
        leadership.grant(5, clock.now + leadership.timing.renew_seconds)
        assert believed(strange) == (6, 7)
        clock.now += 1
        assert believed(look) is None


def test_an_operator_without_election_goes_on_in_the_epoch_it_finds() -> None:
    alone = Leadership.alone()
    alone.demand()
    assert alone.epoch_over(0) == 0
    assert alone.epoch_over(7) == 7


async def test_a_leadership_begins_above_every_epoch_on_record() -> None:
    leadership = elected(Clock(), epoch=2)
    await asyncio.wait_for(leadership.outbid(1), 5)
    waiting = asyncio.create_task(leadership.outbid(2))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert leadership.at_least == 3
    leadership.grant(3, 200.0)
    await asyncio.wait_for(waiting, 5)


def test_the_main_loop_is_alive_as_long_as_it_beats() -> None:
    clock = Clock()
    leadership = Leadership(Timing(), clock)
    assert not leadership.alive()
    leadership.beat()
    clock.now += 9.9
    assert leadership.alive()
    clock.now += 0.1
    assert not leadership.alive()


def test_a_write_ends_before_another_can_lead() -> None:
    assert Leadership(Timing(15, 10, 2)).longest_write_seconds(10) == 5
    assert Leadership.alone().longest_write_seconds(10) == 10


def test_an_election_needs_a_namespace_and_possible_timings() -> None:
    with pytest.raises(ValidationError, match="PENSTOCK_NAMESPACE"):
        Settings(lease="penstock-operator")
    with pytest.raises(ValidationError, match="duration > renew > retry"):
        Settings(lease_renew_seconds=20)
