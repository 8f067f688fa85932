"""Redis users of namespaces on real servers: all that work needs, and nothing of a neighbour's."""

from __future__ import annotations

import dataclasses
import os
import uuid

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from penstock import errors, names, task, traffic
from penstock.guard import unguarded
from penstock_store import keys, testing, users
from penstock_store.store import Store
from tests.routes import changed

KEY = "k" * 32
TENANT = "acme-token"
REVISION, OTHER = "aaaa0000", "bbbb1111"
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
pytestmark = pytest.mark.redis


def route(agent_uid="uid-1", version=1, *, other=traffic.Standing.OPEN, suspended=False):
    limits = traffic.RevisionLimits(1000, 60, 60)
    standings = {REVISION: traffic.Standing.OPEN, OTHER: other}
    return traffic.Route(
        agent_uid,
        1,
        version,
        traffic.Split(REVISION, suspended=suspended),
        revisions={
            name: traffic.RoutedRevision(name, standing, limits)
            for name, standing in standings.items()
        },
    )


@dataclasses.dataclass
class Installation:
    """The operator's store, and stores and plain clients as a namespace's workers have them."""

    server: testing.RedisServer
    name: str
    operator: Store
    opened: list = dataclasses.field(default_factory=list)

    def url(self, namespace, key=KEY):
        password = users.derive_password(key, self.name, namespace)
        return users.with_user(self.server.url, users.user_of(self.name, namespace), password)

    async def permit(self, namespace, **more):
        password = users.derive_password(KEY, self.name, namespace)
        return await self.operator.users.permit(namespace, password, **more)

    def worker(self, namespace, key=KEY):
        store = Store.connect(
            self.url(namespace, key),
            guard=unguarded,
            installation=self.name,
            timeout_seconds=30,
        )
        self.opened.append(store)
        return store

    def client(self, namespace):
        client = Redis.from_url(self.url(namespace), protocol=2, driver_info=None)
        self.opened.append(client)
        return client

    async def admit(self, agent, **fields):
        identifier = task.task_id(agent, os.urandom(16))
        return await self.operator.tasks.admit(
            agent, identifier, task.Submission("hi", TENANT, **fields)
        )


@pytest.fixture
async def installation(server):
    name = f"i-{uuid.uuid4().hex[:8]}"
    operator = Store.connect(server.url, guard=unguarded, installation=name, timeout_seconds=30)
    made = Installation(server, name, operator)
    yield made
    for namespace in await operator.users.namespaces():
        await operator.users.dismiss(namespace)
    for one in (*made.opened, operator):
        await one.aclose()


@pytest.fixture
def agent():
    return names.AgentKey("acme", f"agent-{uuid.uuid4().hex[:8]}")


async def test_a_workers_whole_life_passes_under_its_namespaces_user(installation, agent):
    await installation.permit("acme")
    await installation.operator.routes.put(agent, route())
    worker = installation.worker("acme")
    await worker.ping()
    assert await worker.claims.take(agent, REVISION, "w1", 5) == []
    session = {"session": "s", "user": "u"}
    first = await installation.admit(agent, **session)
    await installation.admit(agent, **session)
    await worker.queue.wait_for_work(agent, REVISION, 1)
    (claim,) = await worker.claims.take(agent, REVISION, "w1", 5)
    assert claim.task.id == first.task
    assert await worker.claims.heartbeat([claim], "w1") == {claim.id: "Continue"}
    said = await worker.claims.checkpoint(claim, b"state", task.Usage(), [("step", {"n": 1})])
    assert said == "Continue"
    assert await worker.claims.release(claim)
    (claim,) = await worker.claims.take(agent, REVISION, "w1", 5)
    assert await worker.queue.part(agent, REVISION, 0) == 1
    (taken,) = await worker.claims.take_suspects(agent, REVISION, "w2")
    assert taken.task.id == claim.task.id
    assert await worker.claims.heartbeat([claim], "w1") == {claim.id: "Lost"}
    assert await worker.claims.finish(taken, DONE, task.Usage(), history=b"h")
    (following,) = await worker.claims.take(agent, REVISION, "w2", 5)
    assert following.history == b"h"
    assert await worker.claims.finish(following, DONE, task.Usage())
    left = (await installation.operator.routes.look(agent, [REVISION])).work[REVISION]
    assert (left.queued, left.running) == (0, 0)


async def test_rollback_suspension_cancelling_and_deletion_reach_a_worker_under_its_user(
    installation, agent
):
    await installation.permit("acme")
    operator, worker = installation.operator, installation.worker("acme")
    await operator.routes.put(agent, changed(route(), stable=OTHER))
    for _ in range(3):
        await installation.admit(agent, session="s")
        await installation.admit(agent)
    claims = await worker.claims.take(agent, OTHER, "w1", 9)
    assert len(claims) == 4
    await operator.routes.put(agent, route(version=2, other=traffic.Standing.REJECTED))
    assert set((await worker.claims.heartbeat(claims, "w1")).values()) == {"GiveBack"}
    for claim in claims:
        assert await worker.claims.release(claim)
    moved = await worker.claims.take(agent, REVISION, "w2", 9)
    assert len(moved) == 4
    await operator.tasks.cancel(moved[0].task.id, TENANT)
    assert (await worker.claims.heartbeat(moved[:1], "w2"))[moved[0].id] == "Cancel"
    await operator.routes.put(agent, route(version=3, suspended=True))
    assert await worker.claims.release(moved[1])
    await operator.routes.close(agent, "uid-1")
    assert not await worker.claims.finish(moved[2], DONE, task.Usage())


async def test_a_worker_whose_redis_has_no_scripts_brings_its_own(installation, agent):
    await installation.permit("acme")
    await installation.operator.routes.put(agent, route())
    await installation.admit(agent)
    plain = Redis.from_url(installation.server.url)
    await plain.script_flush()
    await plain.aclose()
    assert len(await installation.worker("acme").claims.take(agent, REVISION, "w1", 5)) == 1


def attempts(key, other, channel):
    """Commands on a foreign key, by every way in which Redis lets one read, write or listen."""
    script = "return redis.call(ARGV[1], ARGV[2], unpack(ARGV, 3))"
    direct = [
        ("GET", key), ("SET", key, "x"), ("DEL", key), ("UNLINK", key), ("EXISTS", key),
        ("HGETALL", key), ("HGET", key, "f"), ("HMGET", key, "f"), ("HSET", key, "f", "v"),
        ("HDEL", key, "f"), ("HINCRBY", key, "n", "1"), ("EXPIRE", key, "1"), ("TYPE", key),
        ("LPUSH", key, "x"), ("LPOP", key), ("LREM", key, "0", "x"), ("LTRIM", key, "0", "0"),
        ("BLPOP", key, "0.01"), ("SREM", key, "x"), ("ZADD", key, "1", "x"), ("ZREM", key, "x"),
        ("XADD", key, "*", "f", "v"), ("XDEL", key, "0-1"), ("XLEN", key),
        ("XRANGE", key, "-", "+"), ("XACK", key, "w", "0-1"), ("XCLAIM", key, "w", "c", "0", "0-1"),
        ("XPENDING", key, "w"), ("XGROUP", "CREATE", key, "w", "0", "MKSTREAM"),
        ("XGROUP", "DELCONSUMER", key, "w", "c"), ("XGROUP", "DESTROY", key, "w"),
        ("XINFO", "GROUPS", key), ("XINFO", "CONSUMERS", key, "w"), ("XINFO", "STREAM", key),
        ("XREADGROUP", "GROUP", "w", "c", "STREAMS", key, ">"), ("XREAD", "STREAMS", key, "0"),
        ("DUMP", key), ("RESTORE", key, "0", "x"), ("RENAME", key, other), ("COPY", key, other),
        ("COPY", other, key), ("MIGRATE", "127.0.0.1", "1", key, "0", "1"), ("OBJECT", "ENCODING", key),
        ("SORT", other, "BY", f"{key}->f"), ("MEMORY", "USAGE", key), ("WATCH", key),
        ("PUBLISH", channel, "x"), ("SUBSCRIBE", channel), ("PSUBSCRIBE", "*"),
        ("PSUBSCRIBE", channel), ("EVAL", "return 1", "1", key),
    ]  # fmt: skip
    # The same inside a script that declares nothing, or a key of its own.
    scripted = [
        ("EVAL", script, "1", other, *command)
        for command in direct
        if command[0] not in ("SUBSCRIBE", "PSUBSCRIBE", "BLPOP", "WATCH", "MIGRATE", "EVAL")
    ]
    return direct + scripted


ADMINISTRATION = [
    ("KEYS", "*"), ("SCAN", "0"), ("DBSIZE",), ("RANDOMKEY",), ("FLUSHALL",), ("FLUSHDB",),
    ("SWAPDB", "0", "1"), ("CONFIG", "GET", "*"), ("CONFIG", "SET", "maxmemory", "1"),
    ("ACL", "LIST"), ("ACL", "USERS"), ("ACL", "GETUSER", "default"), ("ACL", "WHOAMI"),
    ("ACL", "SETUSER", "evil", "on", "nopass", "~*", "+@all"), ("ACL", "DELUSER", "default"),
    ("ACL", "SAVE"), ("ACL", "LOG"), ("SCRIPT", "FLUSH"), ("SCRIPT", "LOAD", "return 1"),
    ("SCRIPT", "KILL"), ("CLIENT", "LIST"), ("CLIENT", "KILL", "ID", "1"), ("CLIENT", "PAUSE", "1"),
    ("MONITOR",), ("INFO",), ("SHUTDOWN", "NOSAVE"), ("DEBUG", "SLEEP", "0"), ("SAVE",), ("BGSAVE",),
    ("BGREWRITEAOF",), ("REPLICAOF", "127.0.0.1", "1"), ("ROLE",), ("SLOWLOG", "GET"),
    ("LATENCY", "LATEST"), ("MODULE", "LIST"), ("CLUSTER", "INFO"), ("PUBSUB", "CHANNELS"),
    ("MULTI",), ("SYNC",), ("FAILOVER",), ("INFO",), ("INFO", "keyspace"), ("LASTSAVE",),
    ("FUNCTION", "LOAD", "x"), ("FCALL", "x", "0"), ("MEMORY", "STATS"), ("COMMAND",),
]  # fmt: skip


def refused(error):
    """Whether Redis refused for want of rights, also in a script; or knows no such command."""
    said = str(error)
    return isinstance(error, NoPermissionError) or any(
        words in said
        for words in (
            "No permissions", "has no permissions", "unknown command", "Unknown Redis command",
            "can't access", "can't run this", "not allowed from script", "can't publish",
            "command not allowed",
        )
    )  # fmt: skip


async def outcome(client, command):
    try:
        return f"done: {await client.execute_command(*command)!r}"
    except ResponseError as error:
        return "" if refused(error) else f"not refused for want of rights: {error}"


@pytest.mark.parametrize("neighbour", ["b", "ab", "a-b", "aa", "penstock"])
async def test_no_command_reaches_a_key_or_channel_of_another_namespace(installation, neighbour):
    await installation.permit("a")
    await installation.permit(neighbour)
    foreign = names.AgentKey(neighbour, "support")
    await installation.operator.routes.put(foreign, route())
    admitted = await installation.admit(foreign)
    theirs = keys.AgentKeys(foreign)
    own = keys.AgentKeys(names.AgentKey("a", "support"))
    client = installation.client("a")
    passed = {}
    for key in (theirs.task(admitted.task), theirs.route, keys.index(installation.name)):
        for command in attempts(key, own.route, theirs.news):
            if seen := await outcome(client, command):
                passed[command] = seen
    assert not passed
    # The same commands are its right on its own keys, so that it was the key that was refused.
    assert await client.execute_command("HSET", own.route, "f", "v") == 1
    assert await client.execute_command(
        "EVAL", "return redis.call('HGET', KEYS[1], 'f')", 1, own.route
    )
    assert await client.execute_command("PUBLISH", own.news, "x") == 0
    assert await client.execute_command("DEL", own.route) == 1


async def test_no_worker_administers_redis_or_looks_around_in_it(installation):
    await installation.permit("a")
    client = installation.client("a")
    script = "return redis.call(unpack(ARGV))"
    scripted = [("EVAL", script, "0", *command) for command in ADMINISTRATION]
    passed = {}
    for command in ADMINISTRATION + scripted:
        if seen := await outcome(client, command):
            passed[command] = seen
    assert not passed
    assert await installation.operator.users.namespaces() == {"a"}


async def test_a_neighbours_password_opens_nothing(installation):
    await installation.permit("a")
    await installation.permit("b")
    mixed = users.with_user(
        installation.server.url,
        users.user_of(installation.name, "b"),
        users.derive_password(KEY, installation.name, "a"),
    )
    client = Redis.from_url(mixed)
    with pytest.raises(AuthenticationError):
        await client.ping()
    await client.aclose()


async def test_making_a_user_again_changes_nothing_and_puts_right_what_somebody_changed(
    installation,
):
    plain = Redis.from_url(installation.server.url, protocol=2)
    name = users.user_of(installation.name, "acme")
    shown = []
    for _ in range(2):
        await installation.permit("acme", keep_former=True)
        shown.append(await plain.execute_command("ACL", "LIST"))
    await plain.execute_command("ACL", "SETUSER", name, "+@all", "~*", "&*", "nopass", "off")
    await installation.permit("acme")
    shown.append(await plain.execute_command("ACL", "LIST"))
    assert shown[0] == shown[1] == shown[2]
    (line,) = [line.decode() for line in shown[0] if name in line.decode()]
    assert "nopass" not in line
    assert installation.url("acme").split(":")[2].split("@")[0] not in line, "only its sha256"
    await plain.aclose()


async def test_a_new_key_lets_workers_of_the_old_one_go_on_until_it_is_dropped(installation):
    new_key = "n" * 32
    await installation.permit("acme")
    old, new = installation.worker("acme"), installation.worker("acme", new_key)
    await old.ping()
    password = users.derive_password(new_key, installation.name, "acme")
    assert await installation.operator.users.permit("acme", password, keep_former=True)
    await new.ping()
    await installation.worker("acme").ping()
    assert not await installation.operator.users.permit("acme", password)
    await installation.operator.users.disconnect("acme")
    for store in (old, installation.worker("acme")):
        with pytest.raises(errors.StoreUnavailable, match=r"did not do PING: .*password"):
            await store.ping()
    await new.ping()


async def test_a_dismissed_namespace_is_shut_out_at_once(installation):
    await installation.permit("acme")
    worker = installation.worker("acme")
    await worker.ping()
    await installation.operator.users.dismiss("acme")
    with pytest.raises(errors.StoreUnavailable, match="operator makes Redis users again"):
        await worker.ping()
    assert await installation.operator.users.namespaces() == set()


async def test_only_an_installations_own_users_are_its_namespaces(installation, server):
    other = Store.connect(server.url, guard=unguarded, installation=f"{installation.name}-b")
    await other.users.permit("acme", "p" * 64)
    assert await installation.operator.users.namespaces() == set()
    assert await other.users.namespaces() == {"acme"}
    await other.users.dismiss("acme")
    await other.aclose()


async def test_a_right_that_is_not_there_yet_is_waited_for_and_not_a_crash(installation, agent):
    await installation.permit("acme")
    worker = installation.worker("acme")
    plain = Redis.from_url(installation.server.url, protocol=2)
    name = users.user_of(installation.name, "acme")
    for taken in ("-evalsha", "-hgetall", "resetkeys"):
        await plain.execute_command("ACL", "SETUSER", name, taken)
        with pytest.raises(errors.StoreUnavailable, match="operator makes Redis users again"):
            await worker.claims.take(agent, REVISION, "w1", 1)
        await installation.permit("acme")
        assert await worker.claims.take(agent, REVISION, "w1", 1) == []
    await plain.aclose()


async def test_operator_and_gateway_work_under_the_users_of_the_acl_file(server, tmp_path):
    passwords = {"penstock-operator": "o" * 40, "penstock-gateway": "g" * 40}
    (tmp_path / "users.acl").write_text(users.acl_file(passwords))
    with testing.redis_server(server.binary) as own:
        # Its tests of readiness would not get past a server without a default user.
        plain = Redis.from_url(own.url, protocol=2)
        lines = users.acl_file(passwords).splitlines()
        for line in lines[1:]:
            await plain.execute_command("ACL", "SETUSER", *line.split()[1:])
        stores = {
            name: Store.connect(
                users.with_user(own.url, name, password), guard=unguarded, installation="i"
            )
            for name, password in passwords.items()
        }
        operator, gateway = stores["penstock-operator"], stores["penstock-gateway"]
        await everything_the_operator_does(operator, gateway)
        for store in stores.values():
            await store.aclose()
        await plain.aclose()


async def everything_the_operator_does(operator, gateway):
    key = names.AgentKey("acme", "support")
    await operator.routes.set_index({key: "uid-1"})
    assert await operator.routes.index() == {key: "uid-1"}
    await operator.routes.put(key, route())
    identifier = task.task_id(key, os.urandom(16))
    submission = task.Submission("hi", TENANT, session="s", idempotency_key="k")
    await gateway.tasks.admit(key, identifier, submission)
    waiting = await gateway.tasks.admit(
        key, task.task_id(key, os.urandom(16)), task.Submission("hi", TENANT, session="s")
    )
    assert (await gateway.notifications.wait(identifier, "", 1))[0].type == "queued"
    assert await gateway.notifications.wait(identifier, "9999999999999-0", 0.3) == []
    unknown = names.AgentKey("acme", "unknown")
    with pytest.raises(errors.AdmissionRefused, match="there is no agent"):
        await gateway.tasks.admit(unknown, task.task_id(unknown, os.urandom(16)), submission)
    assert (await gateway.tasks.cancel(waiting.task, TENANT)).status == "Cancelled"
    assert (await gateway.tasks.get(identifier, TENANT)).status == "Queued"
    assert len(await operator.outcomes.rows(key)) == 3
    await operator.routes.put(key, changed(route(version=2), stable=OTHER))
    await operator.routes.put(
        key,
        changed(
            route(version=3),
            stable=OTHER,
            revisions={
                REVISION: dataclasses.replace(
                    route().revisions[REVISION], standing=traffic.Standing.REJECTED
                ),
                OTHER: route().revisions[OTHER],
            },
        ),
    )
    assert await operator.queue.rehome(key, REVISION) == 1
    assert (await operator.routes.look(key, [OTHER])).work[OTHER].queued == 1
    await operator.users.permit("acme", "p" * 64, keep_former=True)
    await operator.users.disconnect("acme")
    await operator.users.dismiss("acme")
    assert await operator.routes.close(key, "uid-1") == 1
    await operator.routes.set_index({})
    with pytest.raises(errors.StoreUnavailable, match="did not do ACL"):
        await gateway.users.permit("acme", "p" * 64)


async def test_the_acl_file_is_one_that_a_server_takes(server, tmp_path):
    path = tmp_path / "users.acl"
    path.write_text(users.acl_file({"penstock-operator": "o" * 40, "penstock-gateway": "g" * 40}))
    with testing.redis_server(server.binary) as own:
        plain = Redis.from_url(own.url, protocol=2)
        await plain.execute_command("ACL", "SETUSER", "default", "on", "nopass", "~*", "+@all")
        await plain.aclose()
    options = ("--aclfile", str(path))
    with testing.redis_server(server.binary, *options) as own:
        nobody = Redis.from_url(own.url, protocol=2)
        with pytest.raises(AuthenticationError):
            await nobody.ping()
        await nobody.aclose()
        url = users.with_user(own.url, "penstock-operator", "o" * 40)
        store = Store.connect(url, guard=unguarded, installation="i")
        await store.users.permit("acme", "p" * 64)
        assert await store.users.namespaces() == {"acme"}
        await store.aclose()
