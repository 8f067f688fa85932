"""What is not Penstock's, or is a newer version's, is dealt with alone: it costs no other task anything."""

from __future__ import annotations

import asyncio

import pytest

from penstock import errors, names, task
from penstock_store import codec
from penstock_store.scripts import COMPENSATION_VERSION

STABLE, CANARY = "aaaa0000", "bbbb1111"
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
pytestmark = pytest.mark.redis

NEIGHBOURS = {
    "a usage of a newer version": {"usage": '{"model_calls":1,"thinking_tokens":7}'},
    "a usage that is none": {"usage": "[1]"},
    "a lane nobody knows": {"lane": "Express"},
    "another's revision": {"revision": "cccc2222", "entry": "1-1"},
    "a priority of its own": {"lane": "Batch"},
    "no number": {"createdAt": "soon"},
    "no text": {"input": b"\xff\xfe"},
    "metadata that is not JSON": {"metadata": "{"},
    "a newer layout": {"v": str(COMPENSATION_VERSION + 1)},
    "fields nobody knows": {"mood": "good", "verifier": "{}"},
}
READABLE = {
    "a usage of a newer version", "fields nobody knows", "a lane nobody knows", "another's revision",
    "a priority of its own",
}  # fmt: skip


@pytest.mark.parametrize("what", NEIGHBOURS)
async def test_a_task_that_cannot_be_read_is_claimed_with_its_problem_and_others_as_ever(
    desk, what
):
    before, odd, after = [(await desk.admit()).task for _ in range(3)]
    await desk.raw.hset(desk.keys.task(odd), mapping=NEIGHBOURS[what])
    if what == "no number":  # scripts reckon with it as well
        await desk.raw.hset(desk.keys.task(odd), "createdAt", "1e3")
    claims = {claim.task.id: claim for claim in await desk.claim()}
    assert set(claims) == {before, odd, after}
    assert bool(claims[odd].problem) is (what not in READABLE)
    assert not claims[before].problem + claims[after].problem
    failed = task.Outcome(task.TaskStatus.FAILED, task.OutcomeReason.INTERNAL, claims[odd].problem)
    for claim in claims.values():
        assert await desk.finish(claim, failed if claim.problem else DONE)
    assert await desk.status(after) is task.TaskStatus.SUCCEEDED
    assert (await desk.work()).running == 0


async def test_a_task_that_cannot_be_read_is_refused_alone_to_who_asks_for_it(desk):
    odd, other = [(await desk.admit()).task for _ in range(2)]
    await desk.raw.hset(desk.keys.task(odd), "status", "Pondering")
    with pytest.raises(errors.StoreRefused, match="cannot be read"):
        await desk.store.tasks.get(odd, "acme-token")
    assert await desk.status(other) is task.TaskStatus.QUEUED


@pytest.mark.parametrize("key", ["task", "events", "session", "waiting", "pins", "users", "bell"])
@pytest.mark.parametrize("content", ["a text", "another type"])
async def test_a_key_that_another_hand_overwrote_stops_neither_its_task_nor_others(
    desk, key, content
):
    odd = await desk.admit(session="s")
    following = await desk.admit(session="s")
    others = [(await desk.admit()).task for _ in range(3)]
    own = desk.keys
    name = {
        "task": own.task(odd.task),
        "events": own.events(odd.task),
        "session": own.session("acme-token", "s"),
        "waiting": own.waiting("acme-token", "s"),
        "pins": own.pins(STABLE),
        "users": own.users(STABLE),
        "bell": own.bell(STABLE),
    }[key]
    await desk.raw.delete(name)
    await (desk.raw.set(name, "x") if content == "a text" else desk.raw.sadd(name, "x"))
    await desk.admit()
    claims = await desk.claim()
    assert {*others} <= {claim.task.id for claim in claims}
    for claim in claims:
        assert await desk.finish(claim, history=b"h" if claim.task.session else None)
    for identifier in others:
        assert await desk.status(identifier) is task.TaskStatus.SUCCEEDED
    work = await desk.work()
    assert work.running == 0
    if key not in ("task", "waiting", "session"):  # what these held is gone
        assert [claim.task.id for claim in await desk.claim()] == [following.task]


async def test_an_end_is_written_whole_or_not_at_all(desk):
    """The session's next task came only when nothing in the script failed midway."""
    first = await desk.admit(session="s")
    second = await desk.admit(session="s")
    claim = await desk.claim_one()
    await desk.raw.delete(desk.keys.events(first.task))
    await desk.raw.set(desk.keys.events(first.task), "x")
    assert await desk.finish(claim)
    assert await desk.raw.ttl(desk.keys.task(first.task)) > 0
    assert (await desk.claim_one()).task.id == second.task


# ------------------------------------------------------------------------------------------ rows

ROW = {
    "v": "2", "kind": "f", "task": "x", "arm": "S", "revision": STABLE, "route": "3", "begin": "3",
    "bucket": "17", "counting": "Error", "latency": "12", "cost": "5", "tenant": "acme", "usage": "{}",
}  # fmt: skip


async def test_rows_of_both_layouts_are_read_and_odd_ones_passed_over_and_counted(desk):
    await desk.admit()
    await desk.finish(await desk.claim_one())
    odd = [
        {"e": "t|S|aaaa0000|1|1|17"},
        {"r": "t|S|aaaa0000|1|1"},
        {"r": "t|X|aaaa0000|1|1|17"},
        {"f": "t|S|aaaa0000|1|1|17|Good|soon|0"},
        {"f": b"\xff|S|aaaa0000|1|1|17|Good|1|0"},
        {**ROW, "v": "3"},
        {**ROW, "cost": "9" * 400},
        {**ROW, "latency": "-1"},
        {**ROW, "counting": "Superb"},
        {key: value for key, value in ROW.items() if key != "arm"},
        {"": ""},
    ]
    for fields in odd:
        await desk.raw.xadd(desk.keys.outcomes, fields)
    await desk.raw.xadd(desk.keys.outcomes, ROW)
    page = await desk.store.outcomes.page(desk.agent)
    assert [row.kind for row in page.rows] == ["r", "s", "f", "f"]
    assert (page.unreadable, page.more) == (len(odd), False)
    last = page.rows[-1]
    assert (last.counting, last.latency_ms, last.cost_micro_usd) == (task.Counting.ERROR, 12, 5)
    assert last.task == task.task_id(desk.agent, b"") + "x"


async def test_a_page_of_unreadable_rows_alone_says_where_to_go_on(desk):
    for _ in range(5):
        await desk.raw.xadd(desk.keys.outcomes, {"?": "?"})
    await desk.admit()
    first = await desk.store.outcomes.page(desk.agent, limit=3)
    assert (first.rows, first.unreadable) == ((), 3)
    assert first.more
    second = await desk.store.outcomes.page(desk.agent, first.through, limit=4)
    assert ([row.kind for row in second.rows], second.more) == (["r"], False)


async def test_rows_are_written_so_that_the_version_before_reads_them(desk):
    await desk.admit()
    await desk.finish(await desk.claim_one())
    for _, fields in await desk.raw.xrange(desk.keys.outcomes):
        ((kind, content),) = fields.items()
        assert kind in (b"r", b"s", b"f")
        assert len(content.split(b"|")) == (9 if kind == b"f" else 6)


# --------------------------------------------------------------------------------- news and events


async def test_a_message_that_is_no_text_silences_nobody(desk, eventually):
    admission = await desk.admit()
    after = (await desk.store.notifications.events(admission.task))[-1].id
    waiting = asyncio.create_task(desk.store.notifications.wait(admission.task, after, 30))

    async def subscribers():
        return len(await desk.raw.client_list(_type="pubsub"))

    before = await eventually(subscribers, lambda count: count > 0)
    for content in (b"\xff\xfe", b"", b"\x00" * 100_000, "\U0001f6a2".encode()):
        await desk.raw.publish(desk.keys.news, content)
    await desk.raw.publish(desk.keys.news, b"\xff\xfe")
    assert await subscribers() == before
    await desk.claim_one()
    assert [event.type for event in await waiting] == ["started"]


async def test_an_event_that_is_none_is_passed_over(desk):
    admission = await desk.admit()
    stream = desk.keys.events(admission.task)
    for fields in ({"model": "{"}, {"model": "[]"}, {b"\xff": "{}"}, {"model": b"\xff"}):
        await desk.raw.xadd(stream, fields)
    await desk.finish(await desk.claim_one())
    assert await desk.event_types(admission.task) == ["queued", "started", "finished"]
    await desk.raw.delete(stream)
    assert (await desk.event_types(admission.task))[-1] == "finished"


async def test_an_event_kept_under_a_strange_id_is_passed_over_by_who_resumes(desk):
    admission = await desk.admit()
    await desk.finish(await desk.claim_one())
    await desk.raw.delete(desk.keys.events(admission.task))
    kept = '[["soon","model","{}"],["99-x","model","{}"],["5-1","finished","{}"]]'
    await desk.raw.hset(desk.keys.task(admission.task), "events", kept)
    assert [event.id for event in await desk.store.notifications.events(admission.task, "4-0")] == [
        "5-1"
    ]


async def test_a_submission_that_meets_a_task_nobody_can_read_is_refused_alone(desk):
    first = await desk.admit(idempotency_key="k")
    await desk.raw.hset(desk.keys.task(first.task), "status", "Pondering")
    with pytest.raises(errors.StoreRefused, match="cannot be read"):
        await desk.admit(idempotency_key="k")
    await desk.admit(idempotency_key="other")


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"[[1,2,3]]", b'[["1-0"]]', b"\xff", None])
def test_kept_events_that_are_none_are_none(text):
    assert codec.kept_events(text) == []


async def test_what_names_no_agent_in_the_index_is_passed_over(store, raw):
    key, _ = store.routes._index_keys
    agent = names.AgentKey("acme", "support")
    await store.routes.set_index({agent: "uid-1"})
    odd = {"": "x", "acme": "x", "a/b/c": "x", "A/b": "x", b"\xff/\xfe": "x", "acme/odd": b"\xff"}
    await raw.hset(key, mapping=odd)
    assert await store.routes.index() == {agent: "uid-1", names.AgentKey("acme", "odd"): "\ufffd"}


async def test_a_session_goes_on_when_its_running_task_was_overwritten(desk):
    lost = await desk.admit(session="s")
    waiting = await desk.admit(session="s")
    await desk.raw.delete(desk.keys.task(lost.task))
    await desk.raw.set(desk.keys.task(lost.task), "x")
    assert await desk.claim() == []
    after = await desk.admit(session="s")
    assert (await desk.claim_one()).task.id == waiting.task
    await desk.raw.delete(desk.keys.task(waiting.task))
    last = await desk.admit(session="s")
    assert (await desk.claim_one()).task.id == after.task
    assert last.status is task.TaskStatus.QUEUED


async def test_claims_of_a_queue_that_was_overwritten_still_hear_what_to_do(desk):
    await desk.admit()
    await desk.admit(priority=task.Priority.CRITICAL)
    claims = await desk.claim()
    queue = desk.keys.queue(STABLE, "Normal")
    await desk.raw.delete(queue)
    await desk.raw.set(queue, "x")
    await desk.store.tasks.cancel(claims[-1].task.id, "acme-token")
    heard = await desk.store.claims.heartbeat(claims, "w1")
    assert sorted(heard.values()) == ["Cancel", "Continue"]
    for claim in claims:
        assert await desk.finish(claim)


@pytest.mark.parametrize("span", ["soon", "1 2 3", "9" * 30 + " 1", "-" + "9" * 20 + " 1"])
async def test_a_span_of_doubt_that_cannot_be_read_leaves_the_task_in_doubt(desk, span):
    admission = await desk.admit()
    await desk.raw.hset(desk.keys.task(admission.task), "doubt", span)
    assert (await desk.claim_one()).doubt == "at a time that cannot be told"
