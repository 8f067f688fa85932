"""Waiting for results and for work: woken at once, on few connections, across broken lines."""

from __future__ import annotations

import asyncio

import pytest

from penstock import task
from penstock.guard import unguarded
from penstock_store import news as news_of_redis
from penstock_store.news import News
from penstock_store.store import Store

STABLE = "aaaa0000"
pytestmark = pytest.mark.redis


async def last_event(desk, identifier):
    return (await desk.store.notifications.events(identifier))[-1].id


async def test_a_caller_that_waits_gets_each_event_in_order_and_resumes_after_one(desk):
    admission = await desk.admit()
    (queued,) = await desk.store.notifications.wait(admission.task, "", 5)
    waiting = asyncio.create_task(desk.store.notifications.wait(admission.task, queued.id, 30))
    claim = await desk.claim_one()
    (started,) = await waiting
    assert (queued.type, started.type) == ("queued", "started")
    waiting = asyncio.create_task(desk.store.notifications.wait(admission.task, started.id, 30))
    await desk.finish(claim)
    (finished,) = await waiting
    assert (finished.type, finished.data) == (
        "finished",
        {"status": "Succeeded", "reason": "", "message": ""},
    )
    assert await desk.store.notifications.events(admission.task, after=queued.id) == [
        started,
        finished,
    ]
    with pytest.raises(ValueError, match="no event id"):
        await desk.store.notifications.events(admission.task, after="x")


async def test_waiting_ends_with_nothing_after_its_time(desk):
    admission = await desk.admit()
    after = await last_event(desk, admission.task)
    assert await desk.store.notifications.wait(admission.task, after, 0.05) == []
    assert await desk.store.notifications.wait(admission.task, after, 0) == []
    assert await desk.store.notifications.wait(desk.new_id(), "", 0.05) == []


async def test_two_hundred_waiting_callers_share_a_few_connections(desk):
    admissions = [await desk.admit() for _ in range(200)]
    after = {one.task: await last_event(desk, one.task) for one in admissions}
    waiting = [
        asyncio.create_task(desk.store.notifications.wait(one, last, 60))
        for one, last in after.items()
    ]
    claims = await desk.claim(limit=200)
    first = await asyncio.gather(*waiting)
    assert {events[0].type for events in first} == {"started"}
    clients = await desk.raw.client_list()
    assert len(clients) <= 45
    waiting = [
        asyncio.create_task(desk.store.notifications.wait(claim.task.id, events[-1].id, 60))
        for claim, events in zip(claims, first, strict=True)
    ]
    for claim in claims:
        await desk.finish(claim)
    ended = await asyncio.gather(*waiting)
    assert {events[-1].type for events in ended} == {"finished"}


async def test_a_caller_is_woken_after_its_line_was_cut(desk, eventually):
    admission = await desk.admit()
    after = await last_event(desk, admission.task)
    waiting = asyncio.create_task(desk.store.notifications.wait(admission.task, after, 30))

    async def subscribers():
        return [client["id"] for client in await desk.raw.client_list(_type="pubsub")]

    before = await eventually(subscribers, len)
    for line in before:
        await desk.raw.client_kill_filter(_id=line)
    await eventually(subscribers, lambda now: now and not set(now) & set(before))
    await desk.claim_one()
    assert [event.type for event in await waiting] == ["started"]


async def subscribers(desk):
    """The connections that listen."""
    return {client["id"] for client in await desk.raw.client_list(_type="pubsub")}


async def subscribed(desk):
    """The agent's channel, while somebody listens to it."""
    return await desk.raw.pubsub_channels(f"{desk.keys.news}*")


async def test_callers_that_follow_one_another_share_one_line(desk, monkeypatch):
    monkeypatch.setattr(news_of_redis, "_LINGER_SECONDS", 60.0)
    identifier = (await desk.admit()).task
    others = await subscribers(desk)
    news = News(desk.store._connection)
    async with news.about(desk.keys.news, identifier):
        line = await subscribers(desk) - others
        assert len(line) == 1
    for _ in range(3):
        async with news.about(desk.keys.news, identifier) as listener:
            await desk.raw.publish(desk.keys.news, identifier)
            await asyncio.wait_for(listener.bell.wait(), 30)
        assert await subscribers(desk) - others == line
    await news.aclose()


async def test_a_channel_is_given_up_when_nobody_waits_and_heard_again_when_somebody_does(
    desk, eventually
):
    identifier = (await desk.admit()).task
    others = await subscribers(desk)
    news = News(desk.store._connection)

    async def lines():
        return await subscribers(desk) - others

    async with news.about("other", identifier):  # somebody waits on another channel
        async with news.about(desk.keys.news, identifier):
            line = await lines()
            assert len(line) == 1
        await eventually(lambda: subscribed(desk), lambda channels: not channels)
        assert await lines() == line
    await eventually(lines, lambda now: not now)
    async with news.about(desk.keys.news, identifier) as listener:
        await desk.raw.publish(desk.keys.news, identifier)
        await asyncio.wait_for(listener.bell.wait(), 30)
    await news.aclose()


async def test_who_waits_for_the_end_is_woken_by_nothing_else(desk):
    identifier = (await desk.admit()).task
    news = News(desk.store._connection)
    async with (
        news.about(desk.keys.news, identifier, for_end=True) as ending,
        news.about(desk.keys.news, identifier) as following,
    ):
        claim = await desk.claim_one()
        await desk.store.claims.checkpoint(claim, b"{}", task.Usage(), [("model", {})])
        await asyncio.wait_for(following.bell.wait(), 30)
        assert not ending.bell.is_set()
        await desk.finish(claim)
        await asyncio.wait_for(ending.bell.wait(), 30)
    await news.aclose()


@pytest.mark.parametrize("message", ["{id}", "{id} {kind}"])
async def test_a_writer_of_either_version_wakes_who_waits_for_the_end(desk, monkeypatch, message):
    """One of the version before sends the id alone, whatever has happened."""
    monkeypatch.setattr(news_of_redis, "_HEARD_SECONDS", 60.0)
    identifier = (await desk.admit()).task
    waiting = asyncio.create_task(desk.store.notifications.wait_for_end(identifier, 30))
    claim = await desk.claim_one()
    for _ in range(3):
        await desk.raw.publish(desk.keys.news, message.format(id=identifier, kind="model"))
        await asyncio.sleep(0.05)
    assert not waiting.done(), "it has not ended"
    await desk.finish(claim)
    await asyncio.wait_for(waiting, 30)  # sooner than it would have looked by itself


async def test_waiting_for_the_end_ends_at_once_where_there_is_nothing_to_wait_for(desk):
    ended = (await desk.admit()).task
    await desk.finish(await desk.claim_one())
    for identifier in (ended, f"{ended}x", "no task"):
        await asyncio.wait_for(desk.store.notifications.wait_for_end(identifier, 30), 5)
    await asyncio.wait_for(desk.store.notifications.wait_for_end((await desk.admit()).task, 0.1), 5)


async def test_a_worker_is_woken_by_new_work_and_only_for_its_revision(desk):
    waiting = asyncio.create_task(desk.store.queue.wait_for_work(desk.agent, STABLE, 30))
    other = asyncio.create_task(desk.store.queue.wait_for_work(desk.agent, "cccc2222", 0.2))
    await desk.admit()
    await asyncio.wait_for(waiting, 30)
    await other
    assert len(await desk.claim()) == 1
    assert await desk.raw.exists(desk.keys.bell(STABLE)) == 0


async def test_work_that_came_before_the_worker_waits_for_it(desk):
    await desk.admit()
    await asyncio.wait_for(desk.store.queue.wait_for_work(desk.agent, STABLE, 30), 10)


async def test_the_doorbell_does_not_grow_with_the_queue(desk):
    for _ in range(200):
        await desk.admit()
    assert await desk.raw.llen(desk.keys.bell(STABLE)) == 64


async def test_work_is_announced_when_an_agent_goes_on_after_a_suspension(desk):
    await desk.admit()
    await desk.set_route(suspended=True)
    await desk.raw.delete(desk.keys.bell(STABLE))
    waiting = asyncio.create_task(desk.store.queue.wait_for_work(desk.agent, STABLE, 30))
    await desk.set_route(suspended=False)
    await asyncio.wait_for(waiting, 30)
    assert len(await desk.claim()) == 1


async def test_events_of_a_long_task_are_bounded(server, desk):
    from penstock_store.scripts import Retention

    store = Store.connect(server.url, guard=unguarded, retention=Retention(event_rows=100))
    await desk.admit()
    claim = await desk.claim_one()
    for _ in range(20):
        await store.claims.checkpoint(claim, b"", task.Usage(), [("model", {})] * 25)
    assert 100 <= len(await store.notifications.events(claim.task.id)) < 250
    await store.aclose()


async def test_a_caller_cancelled_at_any_moment_waits_no_longer(desk):
    identifier = (await desk.admit()).task
    last = await last_event(desk, identifier)
    for turns in range(100):
        waiting = asyncio.create_task(desk.store.notifications.wait(identifier, last, 30))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        ended, _ = await asyncio.wait([waiting], timeout=5)
        assert ended, f"cancelled after {turns} turns of the loop, it waits on"
