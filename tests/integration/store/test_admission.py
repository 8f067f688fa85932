"""What admission promises: one step, one side per session, nothing half done."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from penstock import errors, names, outcomes, task, traffic

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis


async def refused(admission):
    with pytest.raises(errors.AdmissionRefused) as caught:
        await admission
    return caught.value


async def test_a_task_is_stored_queued_and_recorded_in_one_step(desk):
    admission = await desk.admit("hi", user="ann", type="question", metadata={"k": "ü"})
    assert (admission.revision, admission.arm, admission.existed) == (
        STABLE,
        traffic.Arm.STABLE,
        False,
    )
    stored = await desk.store.tasks.get(admission.task, "acme-token")
    assert (stored.status, stored.input, stored.metadata) == (
        task.TaskStatus.QUEUED,
        "hi",
        {"k": "ü"},
    )
    assert await desk.kinds() == "r"
    assert await desk.event_types(admission.task) == ["queued"]
    work = await desk.work()
    assert (work.queued, work.running, work.users, work.tasks) == (1, 0, 1, 1)


async def test_the_arm_bucket_and_version_of_a_row_are_those_of_the_route(desk):
    await desk.set_route(percent=50)
    sides = {}
    for number in range(40):
        admission = await desk.admit(user=f"user-{number}")
        sides[admission.task] = (*desk.route.split.pick(f"user-{number}"), desk.route.version)
    for row in await desk.store.outcomes.rows(desk.agent):
        assert (row.revision, row.arm, row.bucket, row.route_version) == sides[row.task]
    assert {side[1] for side in sides.values()} == set(traffic.Arm)


async def test_two_tabs_that_open_a_session_during_a_raise_are_on_the_same_side(desk):
    for number in range(60):
        session, percent = f"s{number}", 5 if number % 2 else 95
        first, _, second = await asyncio.gather(
            desk.admit(user=f"u{number}", session=session, shared_session=True),
            desk.set_route(percent=percent),
            desk.admit(user=f"other{number}", session=session, shared_session=True),
        )
        assert first.revision == second.revision
    seen = {row.revision for row in await desk.store.outcomes.rows(desk.agent)}
    assert seen == {STABLE, CANARY}


async def test_users_once_on_the_canary_stay_on_it_as_the_share_rises(desk):
    before = set()
    for percent in (5, 20, 50, 100):
        await desk.set_route(percent=percent)
        on_canary = {
            user for user in map(str, range(60)) if (await desk.admit(user=user)).revision == CANARY
        }
        assert before <= on_canary
        before = on_canary
    assert len(before) == 60


async def test_a_session_keeps_its_side_and_its_begin_version_when_the_share_falls(desk):
    await desk.set_route(percent=100)
    began = desk.route.version
    first = await desk.admit(session="s")
    await desk.set_route(percent=0)
    second = await desk.admit(session="s")
    assert (first.revision, second.revision) == (CANARY, CANARY)
    rows = await desk.store.outcomes.rows(desk.agent)
    assert [row.begin_version for row in rows] == [began, began]
    assert [row.route_version for row in rows] == [began, desk.route.version]
    assert (await desk.admit(session="another")).revision == STABLE


@pytest.mark.parametrize("standing", ["Draining", "Superseded", "Withdrawn"])
async def test_a_session_stays_on_a_revision_that_may_finish_its_work(desk, standing):
    await desk.set_route(percent=100)
    await desk.admit(session="s")
    await desk.set_route(canary="", percent=0, standings={CANARY: traffic.Standing(standing)})
    admission = await desk.admit(session="s")
    assert (admission.revision, admission.arm) == (CANARY, traffic.Arm.CANARY)


async def test_a_session_on_a_rejected_revision_moves_to_stable_and_says_so(desk):
    await desk.set_route(percent=100)
    await desk.admit(session="s")
    await desk.reject_canary()
    admission = await desk.admit(session="s")
    assert (admission.revision, admission.arm) == (STABLE, traffic.Arm.STABLE)
    events = await desk.store.notifications.events(admission.task)
    assert [event.type for event in events] == ["queued", "moved"]
    assert events[1].data == {"reason": "SessionMoved", "from": CANARY, "to": STABLE}
    assert (await desk.store.outcomes.rows(desk.agent))[-1].begin_version == 0
    assert (await desk.work(STABLE)).pinned == 1
    assert (await desk.work(CANARY)).pinned == 0
    assert await desk.event_types((await desk.admit(session="s")).task) == ["queued"]


async def test_a_session_on_a_revision_nobody_lists_any_more_moves_too(desk):
    await desk.set_route(percent=100)
    claimed = await desk.admit(session="s")
    await desk.finish(await desk.claim_one(CANARY))
    await desk.set_route(canary="", percent=0, standings={CANARY: None})
    assert claimed.revision == CANARY
    assert (await desk.admit(session="s")).revision == STABLE


async def test_an_idempotency_key_returns_the_task_in_its_present_state(desk):
    first = await desk.admit("pay", user="ann", idempotency_key="k1")
    again = await desk.admit("pay", user="ann", idempotency_key="k1", priority=task.Priority.BATCH)
    assert again == dataclasses.replace(first, existed=True)
    await desk.finish(await desk.claim_one())
    ended = await desk.admit("pay", user="ann", idempotency_key="k1")
    assert (ended.task, ended.status) == (first.task, task.TaskStatus.SUCCEEDED)
    assert await desk.kinds() == "rsf"


@pytest.mark.parametrize(
    "change",
    [
        {"text": "other"},
        {"user": "bob"},
        {"session": "s"},
        {"type": "t"},
        {"metadata": {"a": "b"}},
    ],
)
async def test_an_idempotency_key_with_another_body_is_refused(desk, change):
    await desk.admit(idempotency_key="k1", user="ann")
    again = {"user": "ann", "idempotency_key": "k1"} | change
    assert (await refused(desk.admit(**again))).problem == "idempotency-key-reused"
    assert await desk.kinds() == "r"


async def test_an_idempotency_key_is_the_tenants_own(desk):
    first = await desk.admit(idempotency_key="k1")
    other = await desk.admit(idempotency_key="k1", tenant="someone-else")
    assert first.task != other.task
    assert not other.existed


async def test_fifty_equal_posts_at_once_make_one_task(desk):
    admissions = await asyncio.gather(*(desk.admit(idempotency_key="k1") for _ in range(50)))
    assert len({admission.task for admission in admissions}) == 1
    assert sum(not admission.existed for admission in admissions) == 1
    assert (await desk.work()).queued == 1


async def test_an_admission_that_is_repeated_with_its_own_id_is_no_second_task(desk):
    identifier = desk.new_id()
    await desk.admit(identifier=identifier)
    assert (await desk.admit(identifier=identifier)).existed
    assert (await desk.work()).queued == 1


async def test_input_that_is_too_long_for_the_revision_leaves_nothing_behind(desk):
    before = await desk.raw.keys(f"{desk.keys.tag}*")
    refusal = await refused(desk.admit("ü" * 1001, session="s", user="u", idempotency_key="k"))
    assert refusal.problem == "input-too-long"
    assert "1000" in refusal.detail
    assert sorted(await desk.raw.keys(f"{desk.keys.tag}*")) == sorted(before)
    assert (await desk.admit("ü" * 1000, session="s", user="u", idempotency_key="k")).task


async def test_a_suspended_agent_accepts_nothing(desk):
    await desk.set_route(suspended=True)
    refusal = await refused(desk.admit())
    assert refusal.problem == "agent-suspended"
    assert refusal.retry_after_seconds
    await desk.set_route(suspended=False)
    assert (await desk.admit()).task


async def test_a_suspended_agent_still_answers_for_what_it_accepted_before(desk):
    identifier = desk.new_id()
    first = await desk.admit(identifier=identifier, idempotency_key="k1")
    await desk.set_route(suspended=True)
    for again in (await desk.admit(identifier=identifier), await desk.admit(idempotency_key="k1")):
        assert again.existed
        assert again.task == first.task
    refusal = await refused(desk.admit("something else", idempotency_key="k1"))
    assert refusal.problem == "idempotency-key-reused"
    assert (await refused(desk.admit(idempotency_key="k2"))).problem == "agent-suspended"


async def test_without_a_route_a_fresh_complete_index_tells_whether_the_agent_exists(desk):
    made = names.AgentKey("acme", "just-made")
    absent = names.AgentKey("acme", "absent")
    submission = task.Submission("hi", "t")

    async def problem(agent):
        identifier = task.task_id(agent, b"x" * 16)
        return (await refused(desk.store.tasks.admit(agent, identifier, submission))).problem

    assert await problem(absent) == "no-route"
    await desk.store.routes.set_index({made: "uid", desk.agent: "uid-1"})
    assert await problem(absent) == "agent-not-found"
    assert await problem(made) == "no-route"
    assert await desk.store.routes.index() == {made: "uid", desk.agent: "uid-1"}
    await desk.store.routes.set_index({})
    assert await desk.store.routes.index() == {}
    assert await problem(made) == "agent-not-found"


async def test_a_name_that_no_agent_can_have_is_not_found(desk):
    agent = names.AgentKey("acme", "x}:task:y")
    identifier = task.task_id(agent, b"x" * 16)
    refusal = await refused(desk.store.tasks.admit(agent, identifier, task.Submission("hi", "t")))
    assert refusal.problem == "agent-not-found"
    assert await desk.store.tasks.get(identifier, "t") is None
    assert await desk.store.notifications.events(identifier) == []
    assert await desk.store.notifications.wait(identifier, "", 5) == []
    assert await desk.store.tasks.cancel(identifier, "t") is None


async def test_a_task_of_another_tenant_does_not_exist(desk):
    admission = await desk.admit()
    assert await desk.store.tasks.get(admission.task, "someone-else") is None
    assert await desk.store.tasks.cancel(admission.task, "someone-else") is None
    assert await desk.store.tasks.get(desk.new_id(), "acme-token") is None
    assert await desk.status(admission.task) is task.TaskStatus.QUEUED


async def test_equal_session_names_of_two_tenants_are_two_sessions(desk):
    await desk.admit(session="b:c", tenant="a")
    await desk.admit(session="c", tenant="a:b")
    await desk.admit(session="c", tenant="a%3Ab")
    assert (await desk.work()).pinned == 3
    assert (await desk.work()).queued == 3


async def test_users_and_tasks_of_each_revision_are_counted(desk):
    await desk.set_route(percent=100)
    for number in range(30):
        await desk.admit(user=f"u{number % 10}")
    work = await desk.work(CANARY)
    assert (work.users, work.tasks) == (10, 30)
    assert {row.kind for row in await desk.store.outcomes.rows(desk.agent)} == {
        outcomes.RowKind.ROUTED
    }
