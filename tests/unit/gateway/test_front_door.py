"""What a caller meets at the door: keys in headers, refusals in words, streams that end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace

import httpx
import pytest
import structlog

from penstock import meanings
from penstock import task as tasks
from penstock.errors import AdmissionRefused, StoreRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock.task import Outcome, OutcomeReason, TaskStatus
from penstock_runtime.gateway import app, expiry, metrics, outages, problems, state, streams, wire
from penstock_store.records import Event
from tests.unit.gateway.memory_store import NOW_MS, until
from tests.unit.gateway.test_problems import assert_problem
from tests.unit.gateway.test_tasks import STREAM, events_in

STRANGE_REFUSAL = StoreRefused("Redis at secret-host:6379 refused HMGET: WRONGTYPE of a key")


def slug_of(response):
    return response.json()["type"].rpartition("/")[2]


# ------------------------------------------------------------------------------- idempotency keys


async def test_the_header_is_the_field(submit):
    first = await submit({"input": "x"}, **{"Idempotency-Key": "k-1"})
    by_field = await submit({"input": "x", "idempotencyKey": "k-1"})
    both = await submit({"input": "x", "idempotencyKey": "k-1"}, **{"Idempotency-Key": "k-1"})
    other = await submit({"input": "x"}, **{"Idempotency-Key": "k-2"})
    ids = [answer.json()["id"] for answer in (first, by_field, both, other)]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert "k-1" not in first.text + str(first.headers)


async def test_a_key_beyond_ascii_is_the_same_in_header_and_field(submit):
    field = await submit({"input": "x", "idempotencyKey": "ключ 🔑"})
    header = await submit({"input": "x"}, **{"Idempotency-Key": "ключ 🔑".encode()})
    assert header.json()["id"] == field.json()["id"]


@pytest.mark.parametrize(
    ("body", "header", "says"),
    [
        ({"idempotencyKey": "a"}, b"b", "header and field differ"),
        ({}, b"", "is empty"),
        ({}, b"  ", "is empty"),
        ({}, b"\xff\xfe", "not UTF-8"),
        ({}, b"a\tb", "control character U+0009"),
        ({}, "a\u2028b".encode(), "unusable character U+2028"),
        ({}, b"k" * 256, "has 256 characters, at most 255"),
    ],
)
async def test_a_key_that_cannot_be_used_makes_no_task(body, header, says, submit, store):
    response = await submit({"input": "x", **body}, **{"Idempotency-Key": header})
    assert_problem(response, 400, "invalid-idempotency-key", says)
    assert not store.kept


async def test_two_headers_that_differ_are_refused_and_two_that_agree_are_one(client, store):
    path = "/v1/namespaces/shop/agents/support/tasks"

    async def post(*keys):
        headers = [("Content-Type", "application/json"), *(("Idempotency-Key", k) for k in keys)]
        return await client.post(path, content=b'{"input": "x"}', headers=headers)

    assert slug_of(await post("a", "b")) == "invalid-idempotency-key"
    assert (await post("a", "a")).status_code == 202
    assert len(store.kept) == 1


async def test_whether_a_session_is_shared_reaches_the_store(submit, store, monkeypatch):
    seen = []
    admit = store.tasks.admit

    async def look(agent, task, submission):
        seen.append(submission.shared_session)
        return await admit(agent, task, submission)

    monkeypatch.setattr(store, "admit", look)
    await submit({"input": "x", "session": "s"})
    await submit({"input": "x", "session": "s", "sharedSession": True})
    assert seen == [False, True]
    assert slug_of(await submit({"input": "x", "sharedSession": "yes"})) == "invalid-body"


# --------------------------------------------------------------------------- what cannot be a name


@pytest.mark.parametrize("character", ["\x85", "\x9b", "\u2028", "\u2029", "\ufffe", "\U0010ffff"])
@pytest.mark.parametrize("field", ["user", "session", "type", "idempotencyKey", "metadata"])
async def test_a_name_holds_no_character_that_ends_a_line_or_is_none(character, field, submit):
    text = f"a{character}b"
    value = {"k": text} if field == "metadata" else text
    response = await submit({"input": "x", field: value})
    assert_problem(response, 400, "invalid-body", f"U+{ord(character):04X} at position 1")


async def test_ordinary_text_in_any_script_is_a_name_and_prose(submit):
    for text in ("Zoë", "山田太郎", "محمد", "👩‍👩‍👧", "a\u00a0b\u200d", "\U00020000"):
        body = {
            "input": text + "\x85\u2028",
            "user": text,
            "session": text,
            "metadata": {text: text},
        }
        assert (await submit(body)).status_code == 202


async def test_many_unknown_fields_and_entries_are_one_sentence_and_cost_little(submit):
    many = ", ".join(f'"f{n}": 1' for n in range(50_000))
    assert_problem(await submit(f'{{"input": "x", {many}}}'.encode()), 400, "invalid-body", "f0")
    entries = json.dumps({"input": "x", "metadata": {str(n): n for n in range(50_000)}})
    response = await submit(entries.encode())
    assert_problem(response, 400, "invalid-body", "metadata: has 50,000 entries, at most 32")


async def test_what_a_caller_sent_is_shown_back_with_an_end(submit, client):
    long = "x" * 60_000
    for response in (
        await submit({"input": "x", long: 1}),
        await submit({"input": "x"}, **{"Content-Type": long}),
        await client.get(f"/v1/{long}"),
        await client.put(f"/v1/tasks/{long}"),
        await client.get(f"/v1/tasks/{long}"),
        await submit({"input": "x"}, agent=f"shop/{long}"),
        await submit({"input": "x"}, **{"Content-Length": "0" * 10_000 + "14"}),
    ):
        assert len(response.content) + len(str(response.headers)) < 4000


# ----------------------------------------------------------------------------- refusals in words


@pytest.mark.parametrize(
    ("slug", "status", "again"),
    [
        ("queue-full", 503, 7),
        ("session-queue-full", 429, 7),
        ("rate-exceeded", 429, 7),
        ("budget-exceeded", 429, 7),
        ("too-many-sessions", 429, 7),
        ("session-of-another-user", 409, None),
        ("session-of-another-revision", 409, None),
        ("preview-unavailable", 409, None),
    ],
)
async def test_what_the_store_does_not_admit_is_a_problem_of_its_own(
    slug, status, again, submit, store
):
    store.failures = [AdmissionRefused(slug, "the reason in words", again)]
    response = await submit({"input": "x"})
    assert_problem(response, status, slug, "The reason in words.")
    assert response.headers.get("retry-after") == (str(again) if again else None)


async def test_a_task_over_a_rate_is_counted_by_whose_it_is(submit, store):
    def counted(outcome):
        return metrics.OVER_BUDGET.labels("shop", "support", "user", outcome)._value.get()

    before = counted("refused"), counted("reported")
    store.failures = [AdmissionRefused("rate-exceeded", "too fast", 7, scope="user")]
    await submit({"input": "x"})
    store.over_rate = "user"
    assert (await submit({"input": "x"})).status_code == 202
    assert (counted("refused"), counted("reported")) == (before[0] + 1, before[1] + 1)
    before = counted("reported"), counted("escalated")
    store.escalates = True
    assert (await submit({"input": "x"})).status_code == 202
    assert (counted("reported"), counted("escalated")) == (before[0], before[1] + 1)


@pytest.mark.parametrize(
    ("said", "slug", "says"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'", "store-full", "memory limit"),
        ("READONLY You can't write against a read only replica", "store-unavailable", "READONLY"),
        ("NOREPLICAS Not enough good replicas to write", "store-unavailable", "NOREPLICAS"),
        ("no answer within 5 s", "store-unavailable", "did not answer in time"),
    ],
)
async def test_what_redis_answered_is_told_apart_from_no_answer(said, slug, says, submit, store):
    store.failures = [StoreUnavailable(f"Redis at secret-host:6379 did not do admit: {said}")] * 2
    response = await submit({"input": "x"})
    assert_problem(response, 503, slug, says)
    assert int(response.headers["retry-after"]) > 0
    assert "secret-host" not in response.text


async def test_one_unreadable_task_is_a_problem_and_a_line_for_every_call(submit, client, store):
    place = (await submit({"input": "x"})).headers["location"]
    calls = [
        lambda: submit({"input": "x"}),
        lambda: client.get(place),
        lambda: client.delete(place),
        lambda: client.get(f"{place}/events"),
        lambda: client.get(f"{place}/events", headers=STREAM),
    ]
    for call in calls:
        store.failures = [STRANGE_REFUSAL]
        with structlog.testing.capture_logs() as lines:
            response = await call()
        assert_problem(response, 500, "store-refused", "trace id")
        assert "secret-host" not in response.text
        [line] = lines
        assert "WRONGTYPE" in line["reason"]
        assert line["trace_id"] == response.json()["traceId"]
    assert (await client.get(place)).status_code == 200


async def test_a_stream_whose_task_becomes_unreadable_ends_with_a_word(submit, store):
    streaming = asyncio.create_task(submit({"input": "x"}, **STREAM))
    await until(lambda: store.calls.count("events") >= 2, lambda: store.calls)
    store.failures = [STRANGE_REFUSAL]
    assert ": what is stored of this task cannot be used" in (await streaming).text


async def test_a_task_that_is_stored_and_cannot_be_read_back_is_answered_all_the_same(
    submit, store
):
    waiting = asyncio.create_task(submit({"input": "x", "wait": 0.2}))
    await until(lambda: "wait_for_end" in store.calls, lambda: store.calls)
    store.failures = [STRANGE_REFUSAL] * 2
    response = await waiting
    assert (response.status_code, response.json()["id"] in store.kept) == (202, True)


def test_an_outage_is_a_line_now_and_then_however_many_hear_of_it():
    now = [0.0]
    said = outages.Outages(clock=lambda: now[0])
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            said.note("gone")
        now[0] += outages.QUIET_SECONDS
        said.note("gone")
    assert [line["unsaid"] for line in lines] == [0, 999]


# -------------------------------------------------------------------------------- tasks of long ago


@pytest.mark.parametrize(
    ("created_ms", "slug"),
    [
        (None, "task-not-found"),
        (NOW_MS - 3_600_001, "task-expired"),
        (NOW_MS - 3_600_000, "task-not-found"),
        (NOW_MS + 60_000, "task-not-found"),
        (1_700_000_000_000, "task-not-found"),
        (0, "task-not-found"),
    ],
)
def test_a_task_that_was_kept_for_its_time_is_told_from_one_that_never_was(
    created_ms, slug, monkeypatch
):
    monkeypatch.setattr(tasks, "created_ms_of", lambda _: created_ms, raising=False)
    problem = expiry.missing("an-id", 3600, NOW_MS)
    assert (problem.kind.slug, problem.kind.status) == (slug, 404)
    assert "'an-id'" in problem.detail


async def test_every_call_tells_an_expired_task(gateway, monkeypatch):
    monkeypatch.setattr(tasks, "created_ms_of", lambda _: NOW_MS - 90_000_000, raising=False)
    later = replace(gateway, now=lambda: NOW_MS / 1000, kept_seconds=3600)
    path = f"/v1/tasks/{tasks.task_id(AgentKey('shop', 'support'), bytes(16))}"
    transport = httpx.ASGITransport(app.application(later))
    headers = {"Authorization": "Bearer all-agents"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://x", headers=headers
    ) as asking:
        for method, place in (("GET", path), ("DELETE", path), ("GET", f"{path}/events")):
            assert_problem(await asking.request(method, place), 404, "task-expired", "3,600 s")


# --------------------------------------------------------------------------------- events and streams


@pytest.mark.parametrize(
    "sent", ["18446744073709551616", "1-18446744073709551616", "9" * 20, "0" * 21,
             "18446744073709551615-18446744073709551615"],
)  # fmt: skip
async def test_an_event_id_that_redis_cannot_hold_is_refused_on_every_way(
    sent, submit, client, store
):
    place = (await submit({"input": "x"})).headers["location"]
    headers = {"Last-Event-ID": sent}
    for response in (
        await client.get(f"{place}/events", headers=headers),
        await client.get(f"{place}/events", headers={**STREAM, **headers}),
        await submit({"input": "x"}, **{**STREAM, **headers}),
    ):
        assert_problem(response, 400, "invalid-event-id")
    assert len(store.kept) == 1, "and before a task is made"


class StreamsOfRedis:
    """Makes the store answer by the order of ids, as Redis does, whether an id is there or not."""

    def __init__(self, store, monkeypatch):
        self.store = store
        monkeypatch.setattr(store, "events", self.events)

    async def events(self, identifier, after=""):
        self.store._called("events")
        last = wire.event_place(after) or (-1, -1)
        events = self.store.happened.get(identifier, [])
        return [event for event in events if wire.event_place(event.id) > last]


async def test_a_stream_resumed_later_than_the_end_is_204_when_the_task_has_ended(
    submit, client, store, monkeypatch
):
    StreamsOfRedis(store, monkeypatch)
    place = (await submit({"input": "x"})).headers["location"]
    await store.end(next(iter(store.kept)))
    headers = {**STREAM, "Last-Event-ID": "99999999999999-0"}
    assert (await client.get(f"{place}/events", headers=headers)).status_code == 204


async def test_a_stream_resumed_later_than_the_end_hears_what_happens_from_then_on(
    submit, client, store, monkeypatch
):
    """A failover can take the last events away; those that follow have smaller ids."""
    StreamsOfRedis(store, monkeypatch)
    place = (await submit({"input": "x"})).headers["location"]
    headers = {**STREAM, "Last-Event-ID": "99999999999999-0"}
    streaming = asyncio.create_task(client.get(f"{place}/events", headers=headers))
    await until(lambda: store.calls.count("events") >= 3, lambda: store.calls)
    await store.end(next(iter(store.kept)))
    told = events_in((await streaming).text)
    assert [kind for _, kind, _ in told] == ["finished"]


async def test_a_stream_ends_when_its_task_has_and_the_last_event_is_lost(submit, store):
    streaming = asyncio.create_task(submit({"input": "x"}, **STREAM))
    await until(lambda: store.calls.count("task") >= 1, lambda: store.calls)
    [identifier] = store.kept
    ended = Outcome(TaskStatus.FAILED, OutcomeReason.INTERNAL)
    store.kept[identifier] = replace(store.kept[identifier], status=ended.status, outcome=ended)
    async with asyncio.timeout(10):
        assert [kind for _, kind, _ in events_in((await streaming).text)] == ["queued"]


async def test_a_stream_gives_its_place_back_however_it_ends(gateway, submit, store):
    streaming = asyncio.create_task(submit({"input": "x"}, **STREAM))
    await until(lambda: store.calls.count("events") >= 2, lambda: store.calls)
    assert gateway.streams._taken.total() == 1
    streaming.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await streaming
    await until(lambda: not gateway.streams._taken, lambda: gateway.streams._taken)
    store.failures = [AdmissionRefused("no-route", "no")]
    assert (await submit({"input": "x"}, **STREAM)).status_code == 503
    assert not gateway.streams._taken


async def test_events_of_any_content_are_lines_of_their_own_and_json(submit, client, store):
    place = (await submit({"input": "x"})).headers["location"]
    [identifier] = store.kept
    strange = {
        "text": "a\r\nevent: forged\n\ndata: {}\u2028\x85",
        "half": "\ud83d",
        "n": float("nan"),
    }
    store.happened[identifier] += [
        Event("18446744073709551615-3", "tool\ndata: forged", {**strange, "revision": ["x"]}),
    ]
    await store.end(identifier)
    listed = await client.get(f"{place}/events")
    assert listed.status_code == 200
    assert listed.json()["items"][1]["data"]["half"] == "\ufffd"
    assert listed.json()["items"][1]["data"]["n"] is None
    assert listed.json()["items"][1]["at"].startswith("9999-12-31T")
    streamed = (await client.get(f"{place}/events", headers=STREAM)).text
    assert [line for line in streamed.splitlines() if "forged" in line.partition(":")[0]] == []
    told = events_in(streamed)
    assert [document for *_, document in told] == listed.json()["items"]


async def test_a_long_list_of_events_has_an_end_and_goes_on_from_there(
    submit, client, store, monkeypatch
):
    monkeypatch.setattr(streams, "MAX_PAGE_BYTES", 5000)
    place = (await submit({"input": "x"})).headers["location"]
    [identifier] = store.kept
    for _ in range(10):
        await store.happen(identifier, "tool", name="t" * 900)
    read, after = [], ""
    while True:
        headers = {"Last-Event-ID": after} if after else {}
        response = await client.get(f"{place}/events", headers=headers)
        assert len(response.content) < 6500
        read += [item["id"] for item in response.json()["items"]]
        if not (after := response.json()["continue"]):
            break
    assert read == [event.id for event in store.happened[identifier]]


# ---------------------------------------------------------------------------------- measures, words


async def test_measures_of_their_own_listener_are_not_where_callers_come(gateway):
    for served, found in (
        (app.application(gateway, measured=False), 404),
        (app.measures(gateway), 200),
    ):
        transport = httpx.ASGITransport(served)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as asking:
            assert (await asking.get("/metrics")).status_code == found
            assert (await asking.get("/healthz")).text == "ok\n"
            assert (await asking.get("/readyz")).text == "ok\n"
            tasks_found = (await asking.get("/v1/tasks/x")).status_code
            assert tasks_found == (401 if found == 404 else 404)


async def test_probes_ask_the_store_once_however_many_there_are(client, store):
    answers = await asyncio.gather(*(client.get("/readyz") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert store.calls.count("ping") == 1


async def test_a_store_that_is_away_is_no_answer_to_remember(client, store):
    store.failures = [StoreUnavailable("gone")]
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/readyz")).status_code == 200


def test_every_end_has_a_meaning_and_every_problem_a_remedy():
    assert set(meanings.REASONS) == set(OutcomeReason)
    assert set(meanings.STATUSES) == set(TaskStatus)
    sentences = [text for each in meanings.REASONS.values() for text in (each.means, each.remedy)]
    sentences += [kind.remedy for kind in problems.KINDS.values()]
    assert all(sentence.endswith(".") for sentence in sentences)


def test_the_gateway_calls_no_task_expired_without_a_clock(gateway):
    assert state.Gateway(gateway.store, gateway.access).now() == 0
