"""Who looks for tasks finds each that fits once, newest first, whatever happens between two pages."""

from __future__ import annotations

import pytest

from penstock import errors, names, task
from penstock_store import listing, scripts
from penstock_store.listing import Place, Wanted
from tests.integration.store.conftest import CANARY, STABLE, TENANT

pytestmark = pytest.mark.redis
FAILED = task.Outcome(task.TaskStatus.FAILED, task.OutcomeReason.MODEL_ERROR, "400 no such model")
ESCALATED = task.Outcome(task.TaskStatus.ESCALATED, task.OutcomeReason.APPROVAL, "a person, please")


@pytest.fixture
def retention():
    return scripts.Retention(recent_tasks=600)


async def all_pages(desk, wanted=Wanted(), most=50, between=None):  # noqa: B008 - frozen
    """Every page from the first to the last."""
    pages, place = [], Place()
    while place is not None:
        pages.append(await desk.store.tasks.recent(desk.agent, wanted, place, most))
        place = pages[-1].following and Place.read(pages[-1].following.token)
        if between and place:
            await between()
    return pages


async def found(desk, **wanted):
    """The ids of all that fit."""
    return [one.id for page in await all_pages(desk, Wanted(**wanted)) for one in page.tasks]


async def admitted(desk, count, **fields):
    """So many new tasks, in their order."""
    return [(await desk.admit(**fields)).task for _ in range(count)]


async def end(desk, identifier, outcome, revision=STABLE):
    (claim,) = await desk.claim(revision, 1)
    assert claim.task.id == identifier
    await desk.finish(claim, outcome, task.Usage(2, 1, 30, 4, 5, 60))


async def test_tasks_come_newest_first_and_say_how_they_ended_without_what_was_written(desk):
    first = (await desk.admit("my secret", user="ana", session="s", type="ask")).task
    second = (await desk.admit("other")).task
    await end(desk, first, task.Outcome(task.TaskStatus.SUCCEEDED, output="an answer"))
    (page,) = await all_pages(desk)
    assert [one.id for one in page.tasks] == [second, first]
    ended = page.tasks[1]
    assert (ended.user, ended.session, ended.type) == ("ana", "s", "ask")
    assert (ended.status, ended.usage.model_calls) == (task.TaskStatus.SUCCEEDED, 2)
    assert ended.finished_ms >= ended.created_ms > 0
    assert (ended.input, ended.outcome.output, page.unreadable) == ("", "", 0)


async def test_filters_are_combined(desk):
    ana, bob = [(await desk.admit(user=user)).task for user in ("ana", "bob")]
    other = (await desk.admit(tenant="globex", user="ana")).task
    await end(desk, ana, FAILED)
    await end(desk, bob, ESCALATED)
    await end(desk, other, FAILED)
    await desk.set_route(canary=CANARY, percent=100)
    late = (await desk.admit(user="ana")).task
    await end(desk, late, FAILED, CANARY)
    failed, escalated = task.TaskStatus.FAILED, task.TaskStatus.ESCALATED
    model, approval = task.OutcomeReason.MODEL_ERROR, task.OutcomeReason.APPROVAL
    assert await found(desk) == [late, other, bob, ana]
    assert await found(desk, tenant=TENANT) == [late, bob, ana]
    assert await found(desk, tenant=TENANT, revision=STABLE) == [bob, ana]
    assert await found(desk, user="ana", revision=STABLE) == [other, ana]
    assert await found(desk, statuses=(failed,), tenant="globex") == [other]
    assert await found(desk, statuses=(failed, escalated), revision=STABLE, tenant=TENANT) == [
        bob,
        ana,
    ]
    assert await found(desk, reasons=(approval,)) == [bob]
    assert await found(desk, reasons=(model,), user="bob") == []
    assert await found(desk, statuses=(task.TaskStatus.QUEUED,)) == []


async def test_since_is_told_as_a_moment_or_as_a_time_back_by_the_clock_of_redis(desk):
    old = (await desk.admit()).task
    await desk.raw.hset(desk.keys.task(old), "createdAt", 1_000)
    young = (await desk.admit()).task
    created = (await desk.store.tasks.get(young, None)).created_ms
    assert await found(desk, since_ms=created) == [young]
    assert await found(desk, since_ms=created + 1) == []
    assert await found(desk, ago_ms=3_600_000) == [young]
    assert await found(desk, since_ms=1_000) == [young, old]


async def test_each_task_comes_once_though_new_ones_are_added_and_old_ones_fall_off(desk):
    kept = await admitted(desk, 40)

    async def between():
        await admitted(desk, 3)

    pages = await all_pages(desk, most=7, between=between)
    ids = [one.id for page in pages for one in page.tasks]
    assert ids == kept[::-1]

    known = [*kept, *await admitted(desk, 600)][:-601:-1]

    async def many_more():
        await admitted(desk, 220)  # of the 600 that the index holds

    pages = await all_pages(desk, most=100, between=many_more)
    ids = [one.id for page in pages for one in page.tasks]
    assert ids == known[: len(ids)]
    assert 100 < len(ids) < 600, "the oldest were taken out before their page was asked for"


async def test_a_page_reads_a_bounded_number_of_tasks_and_says_where_the_next_one_goes_on(desk):
    mine = (await admitted(desk, 1))[0]
    await admitted(desk, listing.MOST_READ + 20, tenant="globex")
    first, second = await all_pages(desk, Wanted(tenant=TENANT))
    assert (first.tasks, first.unreadable) == ((), 0)
    assert [one.id for one in second.tasks] == [mine]
    assert first.following
    assert "." not in first.following.token
    assert mine.rpartition(".")[2] not in first.following.token
    with pytest.raises(ValueError):
        Place.read("x" + first.following.token)


async def test_what_is_kept_no_longer_is_passed_over_and_what_cannot_be_read_is_counted(desk):
    gone, strange, newer, alien, huge, good = await admitted(desk, 6, user="ana")
    key = desk.keys.task
    await desk.raw.delete(key(gone))
    await desk.raw.delete(key(strange))
    await desk.raw.set(key(strange), "no hash")
    await desk.raw.hset(key(newer), "v", 99)
    await desk.raw.hset(key(alien), "status", "Dreaming")
    await desk.raw.hset(key(huge), "type", "x" * (listing.MOST_FIELD_BYTES + 1))
    before = await desk.raw.dump(key(strange))
    (page,) = await all_pages(desk)
    assert ([one.id for one in page.tasks], page.unreadable) == ([good], 4)
    (page,) = await all_pages(desk, Wanted(tenant=TENANT))
    assert ([one.id for one in page.tasks], page.unreadable) == ([good], 3)
    (page,) = await all_pages(desk, Wanted(tenant="globex"))
    assert (page.tasks, page.unreadable) == ((), 0)
    assert await desk.raw.dump(key(strange)) == before, "reading changes nothing"


async def test_a_long_message_is_cut_between_characters(desk):
    identifier = (await desk.admit()).task
    message = "ü€" * listing.MOST_FIELD_BYTES
    await end(desk, identifier, task.Outcome(task.TaskStatus.FAILED, message=message))
    (page,) = await all_pages(desk)
    shown = page.tasks[0].outcome.message
    assert message.startswith(shown)
    assert listing.MOST_FIELD_BYTES - 4 < len(shown.encode()) <= listing.MOST_FIELD_BYTES


async def test_an_agent_that_is_not_there_is_told_from_one_without_tasks(desk, store):
    assert (await store.tasks.recent(desk.agent, Wanted())).tasks == ()
    absent = names.AgentKey("acme", "nobody")
    assert (await store.tasks.recent(absent, Wanted())).tasks == (), "nobody knows yet"
    await store.routes.set_index({desk.agent: "uid-1"})
    with pytest.raises(errors.AdmissionRefused) as refused:
        await store.tasks.recent(absent, Wanted())
    assert refused.value.problem == "agent-not-found"
    with pytest.raises(errors.AdmissionRefused):
        await store.tasks.recent(names.AgentKey("a}b", "x"), Wanted())


async def test_in_a_full_redis_tasks_can_be_looked_for(desk):
    identifier = (await desk.admit()).task
    used = (await desk.raw.info("memory"))["used_memory"]
    await desk.raw.config_set("maxmemory", max(used // 2, 1))
    try:
        assert await found(desk) == [identifier]
    finally:
        await desk.raw.config_set("maxmemory", 0)
