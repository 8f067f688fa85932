"""What an agent takes on has bounds, and reaching one is told in words."""

from __future__ import annotations

import pytest

from penstock import errors, task
from penstock_store.scripts import Retention

STABLE = "aaaa0000"
pytestmark = pytest.mark.redis


@pytest.fixture
def retention():
    return Retention(queued_tasks=6, waiting_per_session=3, sessions_per_tenant=4)


async def refused(desk, **fields):
    before = set(await desk.raw.keys(f"{desk.keys.tag}*"))
    with pytest.raises(errors.AdmissionRefused) as caught:
        await desk.admit(**fields)
    assert set(await desk.raw.keys(f"{desk.keys.tag}*")) == before, (
        "a refusal left something behind"
    )
    return caught.value


async def test_a_full_queue_refuses_until_a_worker_takes_something(desk):
    for _ in range(6):
        await desk.admit()
    problem = await refused(desk)
    assert (problem.problem, problem.retry_after_seconds) == ("queue-full", 5)
    assert problem.detail.startswith("6 tasks of agent acme/")
    await desk.claim(limit=2)
    for _ in range(2):
        await desk.admit()
    assert (await refused(desk)).problem == "queue-full"


async def test_an_agents_own_bound_takes_the_place_of_the_installations(desk):
    await desk.set_route(max_queued=2)
    for _ in range(2):
        await desk.admit()
    assert (await refused(desk)).problem == "queue-full"
    await desk.set_route(max_queued=0)
    await desk.admit()


async def test_both_revisions_of_a_rollout_share_the_bound(desk):
    await desk.set_route(percent=50, canary="bbbb1111")
    for number in range(6):
        await desk.admit(user=f"u{number}")
    assert (await refused(desk, user="u6")).problem == "queue-full"
    work = (await desk.store.routes.look(desk.agent, [STABLE, "bbbb1111"])).work
    assert sum(one.queued for one in work.values()) == 6


async def test_a_session_takes_on_only_so_many_tasks_behind_the_one_that_runs(desk):
    for _ in range(4):
        await desk.admit(session="s")
    problem = await refused(desk, session="s")
    assert (problem.problem, problem.retry_after_seconds) == ("session-queue-full", 5)
    await desk.admit(session="other")
    claim = await desk.claim_one()
    await desk.store.claims.finish(claim, task.Outcome(task.TaskStatus.SUCCEEDED), task.Usage())
    await desk.admit(session="s")


async def test_a_tenant_begins_only_so_many_sessions_and_goes_on_with_those_it_has(desk):
    await desk.set_route(max_queued=100)
    for number in range(4):
        await desk.admit(session=f"s{number}")
    assert (await refused(desk, session="s4")).problem == "too-many-sessions"
    await desk.admit(session="s0")
    await desk.admit()
    await desk.admit(session="s4", tenant="another")


async def test_the_same_submission_again_is_no_new_task_for_any_bound(desk):
    first = await desk.admit(idempotency_key="k")
    for _ in range(5):
        await desk.admit()
    assert (await desk.admit(idempotency_key="k")).task == first.task


# ------------------------------------------------------------------------------- whose a session is


async def test_a_session_belongs_to_the_user_with_whom_it_began(desk):
    await desk.admit(session="s", user="ann")
    await desk.admit(session="s", user="ann")
    for other in ("bob", ""):
        assert (await refused(desk, session="s", user=other)).problem == "session-of-another-user"
    await desk.admit(session="s", user="bob", tenant="another")


async def test_a_session_begun_without_a_user_or_as_shared_is_open_to_its_tenant(desk):
    await desk.admit(session="open")
    await desk.admit(session="open", user="ann")
    await desk.admit(session="open", user="bob")
    await desk.admit(session="shared", user="ann", shared_session=True)
    await desk.admit(session="shared", user="bob")


async def test_nobody_makes_a_session_his_own_or_shared_afterwards(desk):
    await desk.admit(session="s", user="ann")
    assert (await refused(desk, session="s", user="bob", shared_session=True)).problem == (
        "session-of-another-user"
    )
    await desk.admit(session="open")
    await desk.admit(session="open", user="ann")
    await desk.admit(session="open")


async def test_a_session_of_the_version_before_takes_its_next_user(desk):
    await desk.admit(session="s")
    await desk.raw.hdel(desk.keys.session("acme-token", "s"), "user", "shared")
    await desk.admit(session="s", user="ann")
    assert (await refused(desk, session="s", user="bob")).problem == "session-of-another-user"


# ------------------------------------------------------------------------------------ Redis' memory


async def test_the_store_says_what_redis_uses_and_may_use(server, store, raw):
    before = await store.memory()
    assert before.used > 100_000
    await raw.config_set("maxmemory", "777mb")
    assert (await store.memory()).limit == 777 << 20
    await raw.config_set("maxmemory", "0")
    assert (await store.memory()).limit == 0


async def test_a_full_redis_takes_nothing_on_and_lets_what_runs_end(desk, raw):
    await desk.admit(session="s")
    await desk.admit(session="s")
    await desk.admit()
    claim, other = await desk.claim(limit=2)
    cancelled = await desk.admit()
    used = (await raw.info("memory"))["used_memory"]
    await raw.config_set("maxmemory", str(used // 2))
    try:
        with pytest.raises(errors.StoreUnavailable, match=r"OOM|maxmemory"):
            await desk.admit()
        with pytest.raises(errors.StoreUnavailable, match=r"OOM|maxmemory"):
            await desk.store.claims.checkpoint(claim, b"x", task.Usage(), [])
        beats = await desk.store.claims.heartbeat([claim, other], "w1")
        assert set(beats.values()) == {"Continue"}
        assert await desk.finish(claim, history=b"h")
        await desk.store.tasks.cancel(cancelled.task, "acme-token")
        assert await desk.status(cancelled.task) is task.TaskStatus.CANCELLED
        assert len(await desk.claim(limit=2)) == 1, "the session's next task is not handed out"
    finally:
        await raw.config_set("maxmemory", "0")
