"""A real cluster of three nodes takes every script: each agent lives in one slot."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re

import pytest
from redis.asyncio import Redis

from penstock import errors, names, task, traffic
from penstock.guard import unguarded
from penstock.money.ledger import (
    Amount,
    Budget,
    Limit,
    Quote,
    Scope,
    Settlement,
    Unit,
    Window,
    Wish,
)
from penstock_store import keys, testing
from penstock_store.store import Store

STABLE = "aaaa0000"
BOUNDS = (0, 5461, 10923, 16384)
pytestmark = pytest.mark.redis


def route():
    limits = traffic.RevisionLimits(1000, 60, 60)
    open_ = traffic.RoutedRevision(STABLE, traffic.Standing.OPEN, limits)
    return traffic.Route("uid-1", 1, 1, traffic.Split(STABLE), revisions={STABLE: open_})


@pytest.fixture(scope="module")
def cluster():
    """Three masters of the newest server there is, each with a third of the slots."""
    binary = testing.system_server() or testing.bundled_server()
    with contextlib.ExitStack() as stack:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
        nodes = [stack.enter_context(testing.redis_server(binary, *options)) for _ in range(3)]
        yield nodes


async def form_cluster(nodes, eventually):
    clients = [Redis.from_url(node.url, protocol=2) for node in nodes]
    for number, client in enumerate(clients):
        slots = range(BOUNDS[number], BOUNDS[number + 1])
        await client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        await client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)

    async def states():
        infos = [await client.execute_command("CLUSTER", "INFO") for client in clients]
        return [dict(info) if isinstance(info, dict) else str(info) for info in infos]

    def formed(infos):
        return all(
            re.search(r"cluster_state\W+ok", str(info))
            and re.search(r"cluster_known_nodes\W+3", str(info))
            for info in infos
        )

    await eventually(states, formed)
    for client in clients:
        await client.aclose()


async def test_fifty_agents_live_on_a_cluster_of_three_nodes(cluster, eventually):
    await form_cluster(cluster, eventually)
    store = Store.connect(cluster[0].url, guard=unguarded, cluster=True, timeout_seconds=30)
    agents = [names.AgentKey("acme", f"agent-{number}") for number in range(50)]
    await store.routes.set_index(dict.fromkeys(agents, "uid-1"))
    for some in (agents[:10], agents[10:]):
        assert {keys.slot(keys.AgentKeys(agent).route) * 3 // 16384 for agent in some} == {0, 1, 2}
    for number, agent in enumerate(agents):
        await (live_fully if number < 10 else live_simply)(store, agent)
    with pytest.raises(errors.AdmissionRefused, match="there is no agent"):
        await store.tasks.admit(names.AgentKey("acme", "absent"), "x", task.Submission("hi", "t"))
    await store.aclose()


async def live_simply(store, agent):
    await store.routes.put(agent, route())
    identifier = task.task_id(agent, os.urandom(16))
    await store.tasks.admit(agent, identifier, task.Submission("hi", "t"))
    (claim,) = await store.claims.take(agent, STABLE, "w1", 5)
    assert await store.claims.finish(claim, task.Outcome(task.TaskStatus.SUCCEEDED), task.Usage())
    assert (await store.tasks.get(identifier, "t")).status is task.TaskStatus.SUCCEEDED


async def spend(store, agent, identifier):
    await store.ledger.declare(agent, Budget((Limit(Scope.USER, Window.DAY, Unit.MICRO_USD, 15),)))
    quote = Quote(Amount(1, 10), 1, 1, 0)
    first = await store.ledger.reserve(agent, identifier, Wish("one", quote, 60_000))
    waiting = asyncio.create_task(
        store.ledger.reserve(agent, identifier, Wish("two", quote, 60_000))
    )
    await asyncio.sleep(0.05)
    bill = Settlement("one", Amount(1, 5), first.at_ms)
    assert await store.ledger.settle(agent, identifier, [bill]) == [True]
    assert (await waiting).most == Amount(2, 10)
    assert await store.ledger.give_up_overdue(agent) == 0
    assert (await store.ledger.spending(agent)).windows[0].settled == Amount(1, 5)
    await store.ledger.declare(agent, None)


async def live_fully(store, agent):
    """Every script, on one agent."""
    await store.routes.put(agent, route())
    ids = [task.task_id(agent, os.urandom(16)) for _ in range(4)]
    for identifier in ids:
        await store.tasks.admit(
            agent, identifier, task.Submission("hi", "t", session="s", user="u")
        )
    await store.tasks.cancel(ids[3], "t")
    await spend(store, agent, ids[0])
    (claim,) = await store.claims.take(agent, STABLE, "w1", 5)
    waiting = asyncio.create_task(
        store.notifications.wait(ids[0], (await store.notifications.events(ids[0]))[-1].id, 20)
    )
    assert await store.claims.heartbeat([claim], "w1") == {claim.id: "Continue"}
    assert await store.claims.checkpoint(claim, b"s", task.Usage(), [("model", {})]) == "Continue"
    assert [event.type for event in await waiting] == ["model"]
    assert await store.claims.release(claim)
    await store.queue.wait_for_work(agent, STABLE, 1)
    await store.claims.take(agent, STABLE, "w1", 5)
    assert await store.queue.part(agent, STABLE, 0) == 1
    (claim,) = await store.claims.take_suspects(agent, STABLE, "w2")
    assert await store.claims.finish(
        claim, task.Outcome(task.TaskStatus.SUCCEEDED), task.Usage(), b"h"
    )
    assert await store.queue.rehome(agent, STABLE) == 0
    assert (await store.routes.look(agent, [STABLE])).work[STABLE].queued == 1
    assert (await store.tasks.get(ids[0], "t")).status is task.TaskStatus.SUCCEEDED
    assert len(await store.outcomes.rows(agent)) == 7
    assert await store.routes.close(agent, "uid-1") == 2
