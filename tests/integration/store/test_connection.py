"""The way to Redis: deadlines, words for what failed, restarts, one slot per call."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import socket

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from penstock import errors, names, task, traffic
from penstock.guard import unguarded
from penstock_store import keys, queue, scripts, testing
from penstock_store.connection import Connection
from penstock_store.store import Store
from penstock_store.wiring import Wiring

STABLE, CANARY = "aaaa0000", "bbbb1111"
AGENT = names.AgentKey("acme", "support")
pytestmark = pytest.mark.redis


def route(stable=STABLE, canary=traffic.Standing.OPEN):
    limits = traffic.RevisionLimits(1000, 60, 60)
    standings = {STABLE: traffic.Standing.OPEN, CANARY: canary}
    revisions = {
        name: traffic.RoutedRevision(name, standing, limits) for name, standing in standings.items()
    }
    return traffic.Route("uid-1", 1, 1, traffic.Split(stable), revisions=revisions)


async def admit(store, text="hi"):
    identifier = task.task_id(AGENT, os.urandom(16))
    return await store.tasks.admit(AGENT, identifier, task.Submission(text, "t"))


async def test_a_call_on_keys_of_two_slots_is_refused_before_it_is_sent(server):
    connection = Connection(Wiring(server.url, 5), unguarded)
    script = scripts.Scripts(scripts.Retention())["look"]
    own, foreign = keys.AgentKeys(AGENT), keys.AgentKeys(names.AgentKey("acme", "billing"))
    with pytest.raises(ValueError, match="not in one slot"):
        await connection.run(script, [own.tag, own.route, foreign.outcomes])
    await connection.aclose()


async def test_a_server_that_forgot_the_scripts_gets_them_again(desk):
    await desk.admit()
    await desk.raw.script_flush()
    await desk.admit()
    assert (await desk.work()).queued == 2


async def test_nobody_at_the_address_is_said_in_words(unused_tcp_port):
    store = Store.connect(
        f"redis://:secret@127.0.0.1:{unused_tcp_port}", guard=unguarded, timeout_seconds=1
    )
    for call in (store.ping(), admit(store), store.routes.put(AGENT, route())):
        with pytest.raises(errors.StoreUnavailable) as caught:
            await call
        assert str(unused_tcp_port) in str(caught.value)
        assert "secret" not in str(caught.value)
        assert "Check that" in str(caught.value)
    await store.aclose()


async def test_a_server_that_does_not_answer_is_given_up_at_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store.connect(
            f"redis://127.0.0.1:{silent.getsockname()[1]}", guard=unguarded, timeout_seconds=0.2
        )
        with pytest.raises(errors.StoreUnavailable):
            await asyncio.wait_for(admit(store), 5)
        with pytest.raises(errors.StoreUnavailable):
            await asyncio.wait_for(store.queue.wait_for_work(AGENT, STABLE, 0.1), 8)
        await store.aclose()


async def test_a_full_server_is_said_in_words_and_takes_no_half_of_a_task(server):
    with testing.redis_server(server.binary) as full:
        store, raw = Store.connect(full.url, guard=unguarded), Redis.from_url(full.url, protocol=2)
        await store.routes.put(AGENT, route())
        before = set(await raw.keys())
        await raw.config_set("maxmemory", 1)
        with pytest.raises(errors.StoreUnavailable, match=r"OOM|maxmemory"):
            await admit(store)
        await raw.config_set("maxmemory", 0)
        assert set(await raw.keys()) == before
        await admit(store)
        await raw.aclose()
        await store.aclose()


@pytest.mark.parametrize(
    "word",
    ["OOM", "MISCONF", "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "BUSY", "TRYAGAIN"],
)
async def test_a_server_that_cannot_answer_now_is_unavailable_and_no_mistake(word):
    async def refuse(reader, writer):
        while sent := await reader.read(65536):
            for _ in re.findall(rb"^\*\d+\r$", sent, re.MULTILINE):
                writer.write(f"-{word} not now\r\n".encode())
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        store = Store.connect(
            f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", guard=unguarded
        )
        with pytest.raises(errors.StoreUnavailable, match="not now"):
            await admit(store)
        await store.aclose()


async def test_a_server_that_is_busy_with_a_script_is_unavailable_until_it_is_done(server):
    with testing.redis_server(server.binary, "--lua-time-limit", "1") as own:
        store, raw = Store.connect(own.url, guard=unguarded), Redis.from_url(own.url, protocol=2)
        await store.routes.put(AGENT, route())
        endless = asyncio.create_task(raw.eval("while true do end", 0))
        with pytest.raises(errors.StoreUnavailable, match="BUSY"):
            await busy(store)
        await raw.script_kill()
        with pytest.raises(ResponseError):
            await endless
        await admit(store)
        await raw.aclose()
        await store.aclose()


async def test_what_somebody_else_wrote_to_the_keys_is_said_in_words_and_is_no_outage(desk):
    await desk.admit()
    await desk.raw.delete(desk.keys.outcomes)
    await desk.raw.set(desk.keys.outcomes, "a")
    with pytest.raises(errors.StoreRefused, match="WRONGTYPE") as caught:
        await desk.store.outcomes.rows(desk.agent)
    assert not isinstance(caught.value, errors.StoreUnavailable)
    assert "who else writes" in str(caught.value)
    assert desk.store._connection.seconds_since_failure() > 1000


async def busy(store):
    """Admit until it fails: the endless script may begin a moment later."""
    async with asyncio.timeout(10):
        while True:
            await admit(store)


async def test_a_read_survives_a_connection_that_broke(desk, raw):
    admission = await desk.admit()
    await raw.client_kill_filter(_type="normal", skipme=True)
    assert await desk.status(admission.task) is task.TaskStatus.QUEUED


async def test_a_restart_of_redis_loses_nothing(server):
    with testing.redis_server(server.binary) as own:
        store = Store.connect(own.url, guard=unguarded, retention=scripts.Retention(quiet_ms=0))
        await store.routes.put(AGENT, route())
        accepted = [(await admit(store)).task for _ in range(60)]
        running = await store.claims.take(AGENT, STABLE, "w1", 20)
        await store.claims.checkpoint(running[0], b"\x00state", task.Usage(1), [("model", {})])
        for claim in running[10:]:
            await store.claims.finish(claim, task.Outcome(task.TaskStatus.SUCCEEDED), task.Usage())
        before = await store.outcomes.rows(AGENT)
        own.stop()
        with pytest.raises(errors.StoreUnavailable):
            await admit(store)
        own.start()
        assert await store.outcomes.rows(AGENT) == before
        beats = await store.claims.heartbeat(running[:10], "w1")
        assert set(beats.values()) == {"Continue"}
        assert await store.queue.part(AGENT, STABLE, 0) == 2
        half = await store.claims.take_suspects(AGENT, STABLE, "w2")
        rest = [*half, *await store.claims.take_suspects(AGENT, STABLE, "w2")]
        assert {claim.checkpoint for claim in rest} == {b"\x00state", None}
        rest += await store.claims.take(AGENT, STABLE, "w2", 100)
        for claim in rest:
            assert await store.claims.finish(
                claim, task.Outcome(task.TaskStatus.SUCCEEDED), task.Usage()
            )
        done = {(await store.tasks.get(identifier, "t")).status for identifier in accepted}
        assert done == {task.TaskStatus.SUCCEEDED}
        rows = await store.outcomes.rows(AGENT)
        assert sorted(row.task for row in rows if row.kind == "f") == sorted(accepted)
        await store.aclose()


async def test_after_an_outage_claimed_tasks_stay_until_their_workers_could_say_they_live(
    server, monkeypatch
):
    with testing.redis_server(server.binary) as own:
        store = Store.connect(
            own.url, guard=unguarded, retention=scripts.Retention(orphan_idle_ms=0, quiet_ms=0)
        )
        await store.routes.put(AGENT, route(CANARY))
        claimed, queued = await admit(store), await admit(store)
        (claim,) = await store.claims.take(AGENT, CANARY, "w1", 1)
        own.stop()
        with pytest.raises(errors.StoreUnavailable):
            await store.routes.look(AGENT, [])
        own.start()
        rejected = route(STABLE, traffic.Standing.REJECTED)
        await store.routes.put(AGENT, dataclasses.replace(rejected, version=2))
        assert await store.queue.rehome(AGENT, CANARY) == 1
        assert [one.task.id for one in await store.claims.take(AGENT, STABLE, "w2", 9)] == [
            queued.task
        ]
        assert await store.claims.heartbeat([claim], "w1") == {claim.id: "GiveBack"}
        monkeypatch.setattr(queue, "_OUTAGE_SECONDS", 0)
        assert await store.queue.rehome(AGENT, CANARY) == 1
        assert [one.task.id for one in await store.claims.take(AGENT, STABLE, "w2", 9)] == [
            claimed.task
        ]
        await store.aclose()


async def test_every_key_in_redis_is_one_that_the_key_functions_spell(desk):
    await desk.set_route(percent=50)
    for number in range(10):
        await desk.admit(session="s", user="u", idempotency_key=f"k{number}")
        await desk.admit(priority=task.Priority.BATCH)
    for revision in ("aaaa0000", "bbbb1111"):
        for claim in await desk.claim(revision, limit=3):
            await desk.finish(claim, history=b"h")
    identifiers = {row.task for row in await desk.store.outcomes.rows(desk.agent)}
    own = desk.keys
    spelled = {own.route, own.outcomes, own.session("acme-token", "s")}
    spelled |= {own.waiting("acme-token", "s"), own.sessions("acme-token")}
    spelled |= {
        f"{own.tag}:{name}" for name in ("revisions", "versions", "recent", "waits", "tail")
    }
    spelled |= {own.idempotency("acme-token", f"k{number}") for number in range(10)}
    for identifier in identifiers:
        spelled |= {own.task(identifier), own.events(identifier)}
    for revision in ("aaaa0000", "bbbb1111"):
        spelled |= {own.queue(revision, lane) for lane in task.LANES}
        spelled |= {own.bell(revision), own.pins(revision), own.users(revision)}
        spelled |= {own.revision(revision)}
    stored = {key.decode() for key in await desk.raw.keys(f"{own.tag}*")}
    assert stored <= spelled
    assert len(stored) > 50


@pytest.fixture
def unused_tcp_port():
    return testing.free_port()
