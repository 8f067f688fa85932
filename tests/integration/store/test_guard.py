"""What writes asks the guard first; what only reads is answered to everybody."""

import pytest
from redis.asyncio import Redis

from penstock.guard import unguarded
from penstock_store import scripts, testing
from penstock_store.store import Store
from tests.integration.store.conftest import STABLE
from tests.integration.store.test_connection import AGENT, admit, route

pytestmark = pytest.mark.redis
UNGUARDED = {
    "effects",
    "ends",
    "escalation",
    "escalations",
    "look",
    "models",
    "recent",
    "spent",
    "kept",
}


class NotNow(Exception):
    """What a guard raises."""


def shut() -> None:
    raise NotNow


@pytest.fixture
async def used(server):
    """The URL of a Redis with an agent and a task, where nothing else changes anything."""
    with testing.redis_server(server.binary) as own:
        store = Store.connect(own.url, guard=unguarded)
        await store.routes.put(AGENT, route())
        await admit(store)
        yield own.url
        await store.aclose()


async def changes(raw: Redis) -> int:
    return int((await raw.info("persistence"))["rdb_changes_since_last_save"])


async def test_reading_asks_no_guard_and_changes_nothing(used):
    store, raw = Store.connect(used, guard=shut), Redis.from_url(used, protocol=2)
    await store.routes.look(
        AGENT, [STABLE]
    )  # Redis itself keeps a count of users that was asked for
    before = await changes(raw)
    look = await store.routes.look(AGENT, [STABLE])
    assert look.work[STABLE].queued == 1
    assert await store.outcomes.rows(AGENT)
    assert not await store.outcomes.ends(AGENT, ["acme/support.unknown"])
    assert await store.users.namespaces() == set()
    assert await changes(raw) == before
    await raw.aclose()
    await store.aclose()


async def test_nothing_is_written_that_the_guard_refuses(used):
    store, raw = Store.connect(used, guard=shut), Redis.from_url(used, protocol=2)
    before = await changes(raw)
    for write in (
        store.routes.put(AGENT, route()),
        store.routes.close(AGENT, "uid"),
        store.queue.rehome(AGENT, STABLE),
        store.queue.expire(AGENT),
        store.ledger.declare(AGENT, None),
        store.ledger.give_up_overdue(AGENT),
        store.routes.set_index({AGENT: "uid"}),
        store.users.permit("acme", "word", keep_former=True),
        store.users.dismiss("acme"),
        store.users.disconnect("acme"),
        admit(store),
    ):
        with pytest.raises(NotNow):
            await write
    assert await changes(raw) == before
    await raw.aclose()
    await store.aclose()


def test_every_other_script_is_guarded():
    composed = scripts.Scripts(scripts.Retention())
    assert {name for name in scripts.names() if not composed[name].guarded} == UNGUARDED
