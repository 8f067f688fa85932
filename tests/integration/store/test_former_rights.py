"""After an upgrade some processes still have the Redis user of the version before: they go on, and lose nothing."""

from __future__ import annotations

import os
import uuid

import pytest
from redis.asyncio import Redis

from penstock import errors, names, task, traffic
from penstock.guard import unguarded
from penstock_store import listing, users
from penstock_store.records import Directive
from penstock_store.store import Store

STABLE = "aaaa0000"
PASSWORD = "p" * 32
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
pytestmark = pytest.mark.redis

# What each kind of process might say before: rules that stand in ACL files of people, and in Redis until a new
# operator has made its users again.
CONNECTION = "ping select eval evalsha"
TASKS = """exists expire hdel hget hgetall hmget hset lpop lpush lrem ltrim publish time xack xadd xdel
xinfo|groups xlen zadd zrem del srem"""
FORMER = {
    "worker": f"""{CONNECTION} {TASKS} blpop hincrby xclaim xgroup|create xgroup|delconsumer
    xinfo|consumers xpending xrange xreadgroup""",
    "gateway": f"""{CONNECTION} {TASKS} get hexists hincrby persist pfadd rpush subscribe unsubscribe
    xrange""",
    "operator": f"""{CONNECTION} {TASKS} persist pfcount sadd scard set sismember smembers xpending
    xrange xrevrange zcard zremrangebyscore acl|deluser acl|getuser acl|setuser acl|users client|kill""",
}


@pytest.fixture
async def stores(server):
    """A store for each kind of process, with the rights that it had before."""
    raw = Redis.from_url(server.url, protocol=2)
    opened = {}
    for kind, commands in FORMER.items():
        name = f"{kind}-{uuid.uuid4().hex[:8]}"
        rules = (f"+{command}" for command in commands.split())
        await raw.execute_command(
            "ACL",
            "SETUSER",
            name,
            "reset",
            "resetchannels",
            "on",
            f">{PASSWORD}",
            "~{*",
            "&{*",
            *rules,
        )
        opened[kind] = Store.connect(
            users.with_user(server.url, name, PASSWORD), guard=unguarded, timeout_seconds=30
        )
    yield opened
    for store in opened.values():
        await store.aclose()
    await raw.aclose()


async def test_with_the_rights_of_the_version_before_a_task_lives_its_whole_life(stores):
    operator, gateway, worker = stores["operator"], stores["gateway"], stores["worker"]
    agent = names.AgentKey("acme", f"agent-{uuid.uuid4().hex[:8]}")
    limits = traffic.RevisionLimits(1000, 60, 60)
    routed = traffic.RoutedRevision(STABLE, traffic.Standing.OPEN, limits)
    await operator.routes.put(
        agent, traffic.Route("u", 1, 1, traffic.Split(STABLE), revisions={STABLE: routed})
    )

    async def admit(**fields):
        identifier = task.task_id(agent, os.urandom(16))
        return await gateway.tasks.admit(agent, identifier, task.Submission("hi", "t", **fields))

    first = await admit(session="s", user="u", idempotency_key="k")
    second = await admit(session="s", user="u")
    (claim,) = await worker.claims.take(agent, STABLE, "w1", 5)
    assert await worker.claims.heartbeat([claim], "w1") == {claim.id: Directive.CONTINUE}
    said = await worker.claims.checkpoint(claim, b"s" * 20_000, task.Usage(), [("model", {})])
    assert said is Directive.CONTINUE
    await worker.claims.checkpoint(claim, b"s" * 21_000, task.Usage(), [], intents=["refund"])
    await worker.claims.checkpoint(claim, b"s" * 22_000, task.Usage(), [])
    assert await worker.queue.part(agent, STABLE, 0) == 1
    (again,) = await worker.claims.take_suspects(agent, STABLE, "w2")
    assert again.checkpoint == b"s" * 22_000
    assert await worker.claims.release(again)
    (again,) = await worker.claims.take(agent, STABLE, "w2", 5)
    assert await worker.claims.finish(again, DONE, task.Usage(), history=b"h")
    assert [event.type for event in await gateway.notifications.events(first.task)][
        -1
    ] == "finished"
    (following,) = await worker.claims.take(agent, STABLE, "w2", 5)
    assert (following.task.id, following.history) == (second.task, b"h")
    assert await worker.queue.bury(agent, STABLE, "w2") == 1
    (held,) = await worker.claims.take_suspects(agent, STABLE, "w3")
    assert await worker.claims.leave(agent, STABLE, "w3") == 1
    assert not await worker.claims.finish(held, DONE, task.Usage())
    look = await operator.routes.look(agent, [STABLE])
    assert (look.work[STABLE].running, look.waiting) == (1, 0)
    assert await operator.queue.expire(agent) == 0
    assert await operator.memory() is None
    assert len((await operator.outcomes.page(agent)).rows) == 5
    assert await gateway.tasks.cancel(second.task, "t")
    assert await operator.routes.close(agent, "u") == 1


async def test_with_the_rights_of_the_version_before_looking_for_tasks_waits_for_the_new_ones(
    stores,
):
    agent = names.AgentKey("acme", f"agent-{uuid.uuid4().hex[:8]}")
    with pytest.raises(errors.StoreUnavailable, match="The operator makes Redis users again"):
        await stores["gateway"].tasks.recent(agent, listing.Wanted())
