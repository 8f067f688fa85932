"""The tasks API, call by call."""

from __future__ import annotations

import asyncio
import json

import pytest

from penstock.errors import StoreUnavailable
from penstock.names import AgentKey
from penstock.task import Outcome, OutcomeReason, TaskStatus
from penstock_runtime.gateway import admitting, app
from tests.unit.gateway.memory_store import until

STREAM = {"Accept": "text/event-stream"}


def events_in(text):
    """(id, event, document) of each event in a stream."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")
        )
        if "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


async def test_a_submitted_task_is_answered_with_202_its_place_and_its_document(submit):
    response = await submit({"input": "Where is it?", "user": "u-1", "session": "s-1"})
    task = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/v1/tasks/{task['id']}"
    assert task == {
        "id": task["id"],
        "namespace": "shop",
        "agent": "support",
        "revision": "support-1a2b3c4d",
        "user": "u-1",
        "session": "s-1",
        "status": "Queued",
        "output": "",
        "outcome": {"reason": "", "message": ""},
        "usage": {
            "modelCalls": 0,
            "toolCalls": 0,
            "inputTokens": 0,
            "cachedInputTokens": 0,
            "outputTokens": 0,
            "costUSD": "0.000000",
            "wallSeconds": 0.0,
            "unsettledTokens": 0,
            "unsettledUSD": "0.000000",
        },
        "escalation": "",
        "createdAt": "2025-11-21T09:00:00.123Z",
        "finishedAt": None,
        "traceId": response.headers["x-trace-id"],
    }


async def test_an_answer_at_once_asks_the_store_once(submit, store):
    await submit({"input": "x"})
    assert store.calls == ["admit"]


async def test_what_the_caller_sends_reaches_the_store(submit, store):
    body = {
        "input": "Grüße \U0001f600\n\tzwei",
        "user": "u",
        "session": "s",
        "type": "t",
        "priority": "Batch",
        "metadata": {"order": "17"},
    }
    identifier = (await submit(body)).json()["id"]
    task = store.kept[identifier]
    assert task.agent == AgentKey("shop", "support")
    assert (task.tenant, task.input, task.user, task.session) == ("acme", body["input"], "u", "s")
    assert (task.type, task.priority, task.metadata) == ("t", "Batch", {"order": "17"})


async def test_a_task_that_ends_within_wait_is_answered_with_200_whatever_its_status(submit, store):
    waiting = asyncio.create_task(submit({"input": "x", "wait": 30}))
    await until(lambda: store.kept, lambda: store.calls)
    [identifier] = store.kept
    await store.happen(identifier, "started", revision="1a2b3c4d")
    await store.end(identifier, Outcome(TaskStatus.FAILED, OutcomeReason.TIMEOUT, "too slow"))
    response = await waiting
    assert response.status_code == 200
    assert response.json()["status"] == "Failed"
    assert response.json()["outcome"] == {"reason": "Timeout", "message": "too slow"}
    assert response.json()["finishedAt"] == "2025-11-21T09:00:01.623Z"


async def test_a_task_that_does_not_end_within_wait_is_answered_with_202(submit):
    response = await submit({"input": "x", "wait": 0.02})
    assert (response.status_code, response.json()["status"]) == (202, "Queued")


async def test_a_stopping_gateway_answers_who_waits(submit, store, gateway):
    waiting = asyncio.create_task(submit({"input": "x", "wait": 300}))
    await until(lambda: store.kept, lambda: store.calls)
    gateway.stopping.begin()
    assert (await waiting).status_code == 202


async def test_a_lost_answer_of_the_store_does_not_make_a_second_task(submit, store):
    store.failures = [StoreUnavailable("cut off")]
    assert (await submit({"input": "x"})).status_code == 202
    assert store.calls == ["admit", "admit"]
    assert len(store.kept) == 1


async def test_a_caller_waits_on_while_the_store_is_away(submit, store, monkeypatch):
    monkeypatch.setattr(admitting, "_RETRY_SECONDS", (0.01, 0.02))
    waiting = asyncio.create_task(submit({"input": "x", "wait": 30}))
    await until(lambda: "wait_for_end" in store.calls, lambda: store.calls)
    store.failures = [StoreUnavailable("gone")] * 2
    async with store.changed:
        store.changed.notify_all()
    await until(lambda: not store.failures, lambda: store.calls)
    await store.end(next(iter(store.kept)))
    assert (await waiting).json()["status"] == "Succeeded"


async def test_a_stored_task_is_answered_even_when_it_cannot_be_read_back(submit, store):
    waiting = asyncio.create_task(submit({"input": "x", "wait": 0.2}))
    await until(lambda: "wait_for_end" in store.calls, lambda: store.calls)
    store.failures = [StoreUnavailable("gone")] * 2
    response = await waiting
    assert response.status_code == 202
    assert response.json()["id"] in store.kept


async def test_the_same_idempotency_key_answers_with_the_first_task_as_it_is_now(submit, store):
    first = (await submit({"input": "x", "idempotencyKey": "k"})).json()
    await store.end(first["id"])
    second = await submit({"input": "x", "idempotencyKey": "k"})
    assert (second.status_code, second.json()["id"]) == (200, first["id"])
    assert second.json()["output"] == "It is on its way."


async def test_a_task_can_be_read_and_cancelled_and_an_ended_one_stays_as_it_is(
    submit, store, client
):
    created = await submit({"input": "x"})
    place = created.headers["location"]
    assert (await client.get(place)).json() == created.json()
    cancelled = await client.delete(place)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "Cancelled")
    again = await client.delete(place)
    assert (again.status_code, again.json()) == (200, cancelled.json())
    assert store.calls.count("cancel") == 1


async def test_the_events_of_a_task_are_a_list_whose_last_carries_the_result(submit, store, client):
    created = await submit({"input": "x"})
    place = created.headers["location"]
    await store.happen(
        created.json()["id"], "moved", reason="SessionMoved", **{"from": "0", "to": "2"}
    )
    await store.end(created.json()["id"])
    answer = (await client.get(f"{place}/events")).json()
    assert answer["continue"] == ""
    queued, moved, finished = answer["items"]
    assert queued == {
        "id": "1763715600123-0",
        "taskId": created.json()["id"],
        "type": "queued",
        "at": "2025-11-21T09:00:00.123Z",
        "data": {"revision": "support-1a2b3c4d"},
    }
    assert moved["data"] == {"reason": "SessionMoved", "from": "support-0", "to": "support-2"}
    assert finished["data"] == (await client.get(place)).json()
    rest = await client.get(f"{place}/events", headers={"Last-Event-ID": queued["id"]})
    assert rest.json()["items"] == [moved, finished]


async def test_a_stream_tells_events_as_they_happen_and_ends_with_the_result(submit, store):
    streaming = asyncio.create_task(submit({"input": "x"}, **STREAM))
    await until(lambda: store.kept, lambda: store.calls)
    [identifier] = store.kept
    await store.happen(identifier, "started", revision="1a2b3c4d")
    await asyncio.sleep(0)
    await store.end(identifier)
    response = await streaming
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["location"] == f"/v1/tasks/{identifier}"
    told = events_in(response.text)
    assert [kind for _, kind, _ in told] == ["queued", "started", "finished"]
    assert told[-1][2]["data"]["output"] == "It is on its way."
    assert [place for place, _, _ in told] == [document["id"] for _, _, document in told]


async def test_a_quiet_stream_is_kept_open_by_comments(submit, store):
    streaming = asyncio.create_task(submit({"input": "x"}, **STREAM))
    await until(lambda: store.calls.count("task") >= 2, lambda: store.calls)
    await store.end(next(iter(store.kept)))
    assert ": ping\n\n" in (await streaming).text


async def test_a_stream_goes_on_after_the_last_event_its_reader_saw(submit, store, client):
    place = (await submit({"input": "x"})).headers["location"]
    await store.end(next(iter(store.kept)))
    whole = events_in((await client.get(f"{place}/events", headers=STREAM)).text)
    assert [kind for _, kind, _ in whole] == ["queued", "finished"]
    rest = await client.get(f"{place}/events", headers={**STREAM, "Last-Event-ID": whole[0][0]})
    assert events_in(rest.text) == whole[1:]
    done = await client.get(f"{place}/events", headers={**STREAM, "Last-Event-ID": whole[1][0]})
    assert (done.status_code, done.text) == (204, "")


@pytest.mark.parametrize("sent", ["x", "1-2-3", "-1", "1-", "٣-0"])
async def test_an_event_id_that_is_none_is_refused(sent, submit, client):
    place = (await submit({"input": "x"})).headers["location"]
    headers = {"Last-Event-ID": sent.encode()}
    response = await client.get(f"{place}/events", headers=headers)
    assert (response.status_code, response.json()["title"]) == (400, "The event id cannot be used")


async def test_a_stream_ends_with_a_word_when_the_gateway_stops(submit, store, gateway):
    streaming = asyncio.create_task(submit({"input": "x"}, **STREAM))
    await until(lambda: store.calls.count("events") >= 2, lambda: store.calls)
    gateway.stopping.begin()
    assert (await streaming).text.endswith(": this gateway stops; resume with Last-Event-ID\n\n")


async def test_a_stream_ends_with_a_word_when_the_store_goes_away(submit, store):
    streaming = asyncio.create_task(submit({"input": "x"}, **STREAM))
    await until(lambda: store.calls.count("events") >= 2, lambda: store.calls)
    store.failures = [StoreUnavailable("gone")]
    assert ": the store does not answer" in (await streaming).text


async def test_the_trace_of_the_caller_goes_on_in_the_task_and_the_answer(submit):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await submit({"input": "x"}, traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    assert response.json()["traceId"] == trace_id
    assert response.headers["x-trace-id"] == trace_id
    assert response.headers["traceparent"].startswith(f"00-{trace_id}-")
    assert "00f067aa0ba902b7" not in response.headers["traceparent"]


async def test_probes_and_measures_need_no_token(submit, client, gateway):
    await submit({"input": "x"})
    del client.headers["Authorization"]
    assert (await client.get("/healthz")).text == "ok\n"
    assert (await client.get("/readyz")).text == "ok\n"
    await client.get("/no/such/place")
    await client.request("BREW", "/healthz")
    text = (await client.get("/metrics")).text
    route = "POST /v1/namespaces/{namespace}/agents/{agent}/tasks"
    assert f'penstock_gateway_requests_total{{code="202",route="{route}"}}' in text
    assert 'penstock_gateway_requests_total{code="404",route="none"}' in text
    assert 'penstock_gateway_requests_total{code="405",route="other /healthz"}' in text
    assert (
        'penstock_gateway_admissions_total{agent="support",arm="S",namespace="shop",'
        'revision="support-1a2b3c4d"}' in text
    )
    gateway.stopping.begin()
    assert (await client.get("/readyz")).status_code == 503


async def test_the_tokens_file_is_followed_and_the_store_closed_with_the_application(
    gateway, store
):
    application = app.application(gateway)
    async with application.router.lifespan_context(application):
        assert "aclose" not in store.calls
    assert store.calls == ["aclose"]
