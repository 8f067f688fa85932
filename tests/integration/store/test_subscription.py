"""Following many agents on one line, and looking at all of them in one call, on a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
import uuid

import pytest

from penstock.errors import StoreRefused, StoreUnavailable
from penstock.guard import unguarded
from penstock.names import AgentKey
from penstock_store import testing, users
from penstock_store.scripts import Script
from penstock_store.store import Store
from tests.integration.store.conftest import STABLE

PASSWORD = "p" * 32
pytestmark = pytest.mark.redis


@contextlib.asynccontextmanager
async def following(store, *agents):
    """A subscription that runs, what it was told so far, and the agents that it follows."""
    told = []
    line = store.notifications.subscription(told.append, time.monotonic)
    running = asyncio.create_task(line.run())
    try:
        await line.follow(agents)
        yield line, told
    finally:
        running.cancel()
        await asyncio.wait([running])


def heard(line, *agents):
    async def probe():
        return [line.heard_since(agent) for agent in agents]

    return probe


def all_heard(moments):
    return all(moment < math.inf for moment in moments)


async def test_who_is_followed_is_told_of_and_nobody_else(desk, eventually):
    other = AgentKey("acme", "another")
    async with following(desk.store, other) as (line, told):
        await eventually(heard(line, other), all_heard)
        await line.follow([desk.agent])
        await eventually(heard(line, desk.agent), all_heard)
        assert line.heard_since(other) == math.inf
        await desk.raw.publish("{acme/another}:news", "x")
        await desk.admit()
        await eventually(lambda: asyncio.sleep(0, told), lambda found: desk.agent in found)
        assert set(told) == {desk.agent}


async def test_a_line_that_breaks_is_made_anew_and_says_from_when_on_it_hears(desk, eventually):
    async with following(desk.store, desk.agent) as (line, told):
        (before,) = await eventually(heard(line, desk.agent), all_heard)
        await desk.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        (after,) = await eventually(
            heard(line, desk.agent), lambda moments: before < moments[0] < math.inf
        )
        assert after > before
        await desk.admit()
        await eventually(lambda: asyncio.sleep(0, told), bool)


async def test_a_user_that_may_not_subscribe_hears_nothing_and_does_no_harm(server, desk, raw):
    name = f"former-{uuid.uuid4().hex[:8]}"
    commands = [word for word in users.OPERATOR_COMMANDS if "subscribe" not in word]
    rules = ["reset", "resetchannels", "on", f">{PASSWORD}", "~{*", "&{*"]
    await raw.execute_command("ACL", "SETUSER", name, *rules, *(f"+{one}" for one in commands))
    store = Store.connect(users.with_user(server.url, name, PASSWORD), guard=unguarded)
    try:
        async with following(store, desk.agent) as (line, told):
            await desk.admit()
            (look,) = await store.routes.look_each([(desk.agent, [STABLE])])
            await asyncio.sleep(0.1)
            assert look.work[STABLE].queued == 1
            assert line.heard_since(desk.agent) == math.inf
            assert not told
    finally:
        await store.aclose()


# ---------------------------------------------------------------------------- looks in one call


def lasting(look):
    return {**vars(look), "now_ms": 0}


async def test_looks_in_one_call_say_what_single_ones_say(desk):
    await desk.admit()
    nobody = AgentKey("acme", "nobody")
    found = await desk.store.routes.look_each([(desk.agent, [STABLE]), (nobody, [])])
    alone = [
        await desk.store.routes.look(desk.agent, [STABLE]),
        await desk.store.routes.look(nobody, []),
    ]
    ages = [look.work.pop(STABLE, None) for look in (found[0], alone[0])]
    assert [work.queued for work in ages] == [1, 1]
    assert [lasting(look) for look in found] == [lasting(look) for look in alone]
    assert await desk.store.routes.look_each([]) == []


async def test_a_server_that_has_forgotten_its_scripts_is_given_them_again(desk):
    await desk.raw.script_flush()
    looks = await desk.store.routes.look_each([(desk.agent, [STABLE])] * 3)
    assert [look.route_version for look in looks] == [1, 1, 1]


async def test_one_that_is_refused_holds_up_no_other(desk):
    text = "return redis.call('GET', KEYS[1])"
    reads = Script("reads", text, hashlib.sha1(text.encode()).hexdigest(), guarded=False)
    connection = desk.store.routes._scripts.connection
    await desk.raw.set(f"{desk.keys.tag}:text", "here")
    odd, even = [desk.keys.route], [f"{desk.keys.tag}:text"]
    first, second = await connection.run_each(reads, [(odd, ()), (even, ())])
    assert isinstance(first, StoreRefused)
    assert second == b"here"


async def test_a_redis_that_is_away_is_away_for_all(server):
    store = Store.connect(
        f"redis://127.0.0.1:{testing.free_port()}/0", guard=unguarded, timeout_seconds=0.5
    )
    with pytest.raises(StoreUnavailable):
        await store.routes.look_each([(AgentKey("acme", "a"), [])])
    await store.aclose()
