"""The route record: fenced by uid, epoch and version."""

from __future__ import annotations

import pytest

from penstock import errors, task, traffic
from penstock_store import codec
from tests.routes import changed

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis


@pytest.mark.parametrize("older", [(2, 4), (1, 99)])
async def test_an_older_route_is_refused_and_changes_nothing(desk, older):
    await desk.set_route(epoch=2, version=5, percent=20)
    epoch, version = older
    with pytest.raises(errors.StaleWrite, match=r"\(2, 5\)"):
        await desk.set_route(epoch=epoch, version=version, percent=100)
    look = await desk.store.routes.look(desk.agent, [])
    assert (look.route_uid, look.route_epoch, look.route_version) == ("uid-1", 2, 5)
    assert await desk.raw.hget(desk.keys.route, "percent") == b"20"


@pytest.mark.parametrize("newer", [(2, 6), (3, 1)])
async def test_a_newer_route_is_put_in_force(desk, newer):
    await desk.set_route(epoch=2, version=5, percent=20)
    epoch, version = newer
    await desk.set_route(epoch=epoch, version=version, percent=50)
    assert await desk.raw.hget(desk.keys.route, "percent") == b"50"


async def test_the_same_version_again_puts_back_what_another_hand_has_changed(desk):
    version = desk.route.version
    await desk.raw.hset(desk.keys.route, mapping={"percent": "100", "stable": CANARY})
    look = await desk.store.routes.look(desk.agent, [])
    assert look.route_record != codec.route_record(desk.route)
    await desk.set_route(
        version=version,
        standings={CANARY: traffic.Standing.WITHDRAWN},
        limits=traffic.RevisionLimits(5, 6, 7),
    )
    look = await desk.store.routes.look(desk.agent, [])
    assert look.route_record == codec.route_record(desk.route)
    stored = await desk.raw.hgetall(desk.keys.revision(CANARY))
    assert stored[b"standing"] == b"Withdrawn"
    assert (stored[b"inputChars"], stored[b"queueSeconds"], stored[b"wallSeconds"]) == (
        b"5",
        b"6",
        b"7",
    )


async def test_a_higher_route_gives_way_only_to_who_names_it(desk):
    route = desk.route
    await desk.raw.hset(desk.keys.route, mapping={"epoch": 2**40, "version": 7})
    for named in (None, (2**40, 8), (2**40 + 1, 7)):
        with pytest.raises(errors.StaleWrite):
            await desk.store.routes.put(desk.agent, route, instead_of=named)
    await desk.store.routes.put(desk.agent, route, instead_of=(2**40, 7))
    look = await desk.store.routes.look(desk.agent, [])
    assert look.route_record == codec.route_record(route)


@pytest.mark.parametrize("field", ["epoch", "version"])
@pytest.mark.parametrize("nonsense", ["", "seven", "-1", "1e3", "9" * 400, b"\xff"])
async def test_a_route_whose_counters_are_nonsense_is_seen_and_overwritten(desk, field, nonsense):
    await desk.raw.hset(desk.keys.route, field, nonsense)
    look = await desk.store.routes.look(desk.agent, [])
    found = (look.route_epoch, look.route_version)
    assert min(found) == 0
    await desk.store.routes.put(desk.agent, desk.route, instead_of=found)
    look = await desk.store.routes.look(desk.agent, [])
    assert look.route_record == codec.route_record(desk.route)


async def test_an_agent_without_a_route_has_none_to_look_at(desk):
    await desk.store.routes.close(desk.agent, "uid-1")
    look = await desk.store.routes.look(desk.agent, [STABLE])
    assert look.route_version is None
    assert look.work[STABLE].idle


async def test_a_new_agent_of_the_same_name_does_not_get_the_old_ones_tasks(desk):
    queued = await desk.admit()
    first_of_session, waiting = await desk.admit(session="s"), await desk.admit(session="s")
    await desk.set_route(uid="uid-2", epoch=1, version=1)
    for old in (queued, first_of_session, waiting):
        assert await desk.status(old.task) is task.TaskStatus.CANCELLED
    new = await desk.admit(session="s")
    (claim,) = await desk.claim()
    assert claim.task.id == new.task
    assert await desk.raw.smembers(f"{desk.keys.tag}:stale") == set()


async def test_a_running_task_of_a_former_agent_ends_and_its_worker_hears_lost(desk):
    admission = await desk.admit(session="s")
    claim = await desk.claim_one()
    await desk.set_route(uid="uid-2", epoch=1, version=1)
    assert await desk.status(admission.task) is task.TaskStatus.CANCELLED
    assert await desk.store.claims.heartbeat([claim], "w1") == {claim.id: "Lost"}
    assert not await desk.finish(claim)
    assert (await desk.admit(session="s")).task
    assert len(await desk.claim()) == 1


async def test_closing_an_agent_ends_all_its_tasks_and_leaves_only_keys_that_expire(desk):
    for number in range(250):
        await desk.admit(session=f"s{number % 3}", user="u")
        await desk.admit()
    running = await desk.claim_one()
    assert await desk.store.routes.close(desk.agent, "another-uid") == 0
    assert await desk.store.routes.close(desk.agent, "uid-1") == 500
    assert (await desk.store.claims.checkpoint(running, b"", task.Usage(), [])) == "Lost"
    assert not await desk.finish(running)
    for key in await desk.raw.keys(f"{desk.keys.tag}*"):
        assert await desk.raw.ttl(key) > 0, key
    kinds = await desk.kinds()
    assert kinds.count("r") == kinds.count("f") == 500


async def test_a_revision_that_is_not_listed_any_more_is_forgotten_once_it_is_empty(desk):
    await desk.set_route(percent=100)
    admission = await desk.admit()
    claim = await desk.claim_one(CANARY)
    await desk.set_route(canary="", percent=0, standings={CANARY: None})
    assert (await desk.store.claims.heartbeat([claim], "w1"))[claim.id] == "GiveBack"
    assert await desk.store.claims.release(claim)
    (again,) = await desk.claim(STABLE)
    assert again.task.id == admission.task
    await desk.set_route(standings={CANARY: None})
    assert await desk.raw.keys(f"{desk.keys.tag}*{CANARY}*") == []


async def test_an_idempotency_key_of_a_former_agent_is_free_again(desk):
    before = await desk.admit(idempotency_key="k")
    await desk.set_route(uid="uid-2", epoch=1, version=1)
    after = await desk.admit(idempotency_key="k")
    assert after.task != before.task
    assert not after.existed


async def put(desk, **versions):
    """A route with revisions that declare these versions."""
    limits = traffic.RevisionLimits(1000, 60, 60)
    revisions = {
        revision: traffic.RoutedRevision(revision, traffic.Standing.OPEN, limits, version)
        for revision, version in versions.items()
    }
    version = desk.route.version + 1
    desk.route = changed(desk.route, version=version, revisions=revisions, canary="")
    await desk.store.routes.put(desk.agent, desk.route)


async def test_declared_versions_are_those_of_the_routes_revisions(desk):
    await put(desk, aaaa0000="v1", bbbb1111="", cccc2222="v1")
    assert await desk.store.routes.versions(desk.agent) == {
        "aaaa0000": "v1", "bbbb1111": "", "cccc2222": "v1",
    }  # fmt: skip
    await put(desk, aaaa0000="v1")
    assert await desk.store.routes.versions(desk.agent) == {"aaaa0000": "v1"}


async def test_declared_versions_expire_with_their_agent_and_live_on_with_one_made_again(desk):
    await put(desk, aaaa0000="v1")
    await desk.store.routes.close(desk.agent, "uid-1")
    assert await desk.raw.ttl(desk.keys.versions) > 0
    await desk.set_route(uid="uid-2", version=1)
    assert await desk.raw.ttl(desk.keys.versions) == -1


@pytest.mark.parametrize("command", [("del",), ("set", "x")])
async def test_versions_that_nobody_wrote_or_another_hand_are_not_known(desk, command):
    name, *more = command
    await getattr(desk.raw, name if name == "set" else "delete")(desk.keys.versions, *more)
    assert await desk.store.routes.versions(desk.agent) == {}
    await put(desk, aaaa0000="v1")
    assert await desk.store.routes.versions(desk.agent) == {"aaaa0000": "v1"}
