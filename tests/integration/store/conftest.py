"""Every test here runs on each redis-server there is: the bundled one (6.2) and the system's."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from dataclasses import dataclass, field

import pytest
from redis.asyncio import Redis

from penstock import names, task, traffic
from penstock.guard import unguarded
from penstock_store import keys, scripts, testing
from penstock_store.store import Store
from tests.routes import changed

STABLE, CANARY = "aaaa0000", "bbbb1111"
TENANT = "acme-token"
SERVERS = {"bundled": testing.bundled_server(), "system": testing.system_server()}
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
NOTHING = task.Usage()
DEADLINE_SECONDS = 60.0


@dataclass
class Desk:
    """One agent of its own, and the calls on it that tests repeat."""

    store: Store
    raw: Redis
    agent: names.AgentKey
    route: traffic.Route = field(
        default_factory=lambda: traffic.Route("uid-1", 1, 1, traffic.Split(STABLE))
    )

    @property
    def keys(self):
        return keys.AgentKeys(self.agent)

    async def set_route(self, *, standings=None, limits=None, ways_back=None, **changes):
        """Change the route: one version on, unless the change names a version or epoch."""
        if not {"version", "epoch", "uid"} & changes.keys():
            changes["version"] = self.route.version + 1
        limits = limits or traffic.RevisionLimits(1000, 60, 60)
        standings = {STABLE: traffic.Standing.OPEN, CANARY: traffic.Standing.OPEN} | (
            standings or {}
        )
        revisions = {
            name: traffic.RoutedRevision(
                name,
                standing,
                limits,
                way_back=(ways_back or {}).get(name, traffic.WayBack.UNKNOWN),
            )
            for name, standing in standings.items()
            if standing
        }
        route = changed(self.route, revisions=revisions, **changes)
        await self.store.routes.put(self.agent, route)
        self.route = route

    async def reject_canary(self):
        await self.set_route(canary="", percent=0, standings={CANARY: traffic.Standing.REJECTED})

    def new_id(self):
        return task.task_id(self.agent, os.urandom(16))

    async def admit(self, text="hello", identifier="", tenant=TENANT, **fields):
        submission = task.Submission(text, tenant, **fields)
        return await self.store.tasks.admit(self.agent, identifier or self.new_id(), submission)

    async def claim(self, revision=STABLE, limit=10, consumer="w1"):
        return await self.store.claims.take(self.agent, revision, consumer, limit)

    async def claim_one(self, revision=STABLE, consumer="w1"):
        (claim,) = await self.claim(revision, 1, consumer)
        return claim

    async def reclaim(self, revision=STABLE, consumer="w2", idle_ms=0):
        """Take over what silent workers hold: parted into groups of suspects, all of them taken."""
        await self.store.queue.part(self.agent, revision, idle_ms)
        claims = []
        while group := await self.store.claims.take_suspects(self.agent, revision, consumer):
            claims += group
        return claims

    async def silent_for(self, claim, milliseconds):
        """Make a claim look as if its worker had last renewed it so long ago."""
        queue = self.keys.queue(claim.revision, claim.lane)
        await self.raw.xclaim(
            queue, "w", claim.consumer, 0, [claim.entry], idle=milliseconds, justid=True
        )

    async def finish(self, claim, outcome=DONE, usage=NOTHING, history=None):
        return await self.store.claims.finish(claim, outcome, usage, history)

    async def status(self, identifier):
        found = await self.store.tasks.get(identifier, TENANT)
        return found.status

    async def work(self, revision=STABLE):
        return (await self.store.routes.look(self.agent, [revision])).work[revision]

    async def kinds(self, identifier=None):
        """Kinds of outcome rows, in order, of all tasks or of one."""
        rows = await self.store.outcomes.rows(self.agent)
        return "".join(row.kind for row in rows if identifier in (None, row.task))

    async def event_types(self, identifier):
        return [event.type for event in await self.store.notifications.events(identifier)]


@pytest.fixture(scope="session", params=[name for name, binary in SERVERS.items() if binary])
def server(request):
    """A redis-server of each version, for the whole session."""
    with testing.redis_server(SERVERS[request.param]) as running:
        yield running


@pytest.fixture
def retention():
    """What the store keeps; a test module may override it."""
    return scripts.Retention()


@pytest.fixture
async def store(server, retention):
    opened = Store.connect(
        server.url,
        guard=unguarded,
        installation=uuid.uuid4().hex,
        retention=retention,
        timeout_seconds=30,
    )
    yield opened
    await opened.aclose()


@pytest.fixture
async def raw(server):
    """A plain client, to see what is really stored."""
    client = Redis.from_url(server.url, protocol=2)
    yield client
    await client.aclose()


@pytest.fixture
async def desk(store, raw):
    """An agent with a stable revision and a canary without a share."""
    made = Desk(store, raw, names.AgentKey("acme", f"agent-{uuid.uuid4().hex[:12]}"))
    await made.set_route(canary=CANARY, salt="salt", version=1)
    return made


async def seen(probe, wanted, deadline_seconds=DEADLINE_SECONDS):
    """Poll until ``wanted(what probe gives)``; fails with what it gave last."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        found = await probe()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, f"still {found!r}"
        await asyncio.sleep(0.02)


@pytest.fixture
def eventually():
    return seen
