"""Every refusal is a problem document that says what is wrong."""

from __future__ import annotations

import json

import pytest
import structlog

from penstock.errors import AdmissionRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock.task import task_id
from penstock_runtime.gateway import bodies, lingering, plain, problems

TASKS = "/v1/namespaces/shop/agents/support/tasks"


def assert_problem(response, status, slug, *words):
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["type"]) == (
        status,
        f"https://penstock.dev/problems/{slug}",
    ), problem
    assert problem["status"] == status
    assert problem["title"] == problems.KINDS[slug].title
    assert problem["instance"] == plain.shortened(response.request.url.path, problems.MAX_INSTANCE)
    assert problem["traceId"] == response.headers["x-trace-id"]
    for word in words:
        assert word in problem["detail"]


BAD_BODIES = {
    "nothing": (b"", "is empty"),
    "not JSON": (b"{'input': 'x'}", "not JSON"),
    "a cut document": (b'{"input": "x"', "not JSON"),
    "a document and more": (b'{"input": "x"} y', "not JSON"),
    "a list": (b"[]", "must be a JSON object"),
    "null": (b"null", "must be a JSON object"),
    "no input": (b"{}", "The field input is required"),
    "an empty input": (b'{"input": ""}', "input: must not be empty"),
    "a blank input": (b'{"input": " \\n\\t "}', "input: must not be empty or blank"),
    "a number as input": (b'{"input": 7}', "input: must be a valid string"),
    "null as user": (b'{"input": "x", "user": null}', "user: must be a valid string"),
    "a byte that is not UTF-8": (b'{"input": "a\xffb"}', "not UTF-8: byte 12"),
    "UTF-16": ('{"input": "x"}'.encode("utf-16"), "not UTF-8"),
    "half a surrogate pair": (b'{"input": "\\ud83d!"}', "not JSON"),
    "a NUL": (b'{"input": "a\\u0000b"}', "control character U+0000 at position 1"),
    "an escape sequence": (b'{"input": "\\u001b[31m"}', "control character U+001B"),
    "a line feed in the user": (b'{"input": "x", "user": "a\\nb"}', "user: contains the control"),
    "a long user": (
        json.dumps({"input": "x", "user": "u" * 257}).encode(),
        "user: has 257 characters, at most 256",
    ),
    "a long session": (json.dumps({"input": "x", "session": "s" * 300}).encode(), "at most 256"),
    "a long type": (json.dumps({"input": "x", "type": "t" * 257}).encode(), "at most 256"),
    "a long key": (
        json.dumps({"input": "x", "idempotencyKey": "k" * 256}).encode(),
        "idempotencyKey: has 256 characters, at most 255",
    ),
    "an unknown field": (b'{"input": "x", "replica": "y"}', "The field replica is not known"),
    "a field in snake case": (b'{"input": "x", "idempotency_key": "y"}', "idempotency_key"),
    "an unknown priority": (b'{"input": "x", "priority": "High"}', "'Critical', 'Normal'"),
    "a wait in words": (b'{"input": "x", "wait": "30"}', "wait: must be a valid number"),
    "a wait that is a boolean": (b'{"input": "x", "wait": true}', "wait: must be a valid number"),
    "a negative wait": (b'{"input": "x", "wait": -1}', "wait: must be greater than or equal to 0"),
    "a long wait": (b'{"input": "x", "wait": 301}', "wait: must be less than or equal to 300"),
    "an endless wait": (b'{"input": "x", "wait": Infinity}', "wait: must be a finite number"),
    "a wait of 10,000 digits": (b'{"input": "x", "wait": ' + b"1" * 10_000 + b"}", "not JSON"),
    "a list as metadata": (b'{"input": "x", "metadata": []}', "metadata: must be"),
    "a number in metadata": (b'{"input": "x", "metadata": {"a": 1}}', "metadata.a: must be"),
    "much metadata": (
        json.dumps({"input": "x", "metadata": {str(n): "" for n in range(33)}}).encode(),
        "metadata: has 33 entries, at most 32",
    ),
    "100,000 brackets": (b"[" * 100_000, "more than 32 levels deep"),
    "a deep value": (b'{"input": ' + b"[" * 40 + b"]" * 40 + b"}", "more than 32 levels deep"),
}


@pytest.mark.parametrize(("body", "says"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_cannot_be_used_is_refused_with_the_reason(body, says, submit, store):
    assert_problem(await submit(body), 400, "invalid-body", says)
    assert not store.kept


async def test_a_body_over_one_mebibyte_is_refused(submit, store):
    response = await submit(b'{"input": "' + b"x" * bodies.MAX_BODY_BYTES + b'"}')
    assert_problem(response, 413, "body-too-large", "1,048,576")
    assert not store.kept


async def test_an_endless_body_is_not_read_for_ever(client, monkeypatch):
    monkeypatch.setattr(lingering, "LINGER_BYTES", 1 << 20)
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 65536
            yield b"x" * 65536

    headers = {"Content-Type": "application/json"}
    response = await client.post(TASKS, content=endless(), headers=headers)
    assert_problem(response, 413, "body-too-large")
    assert bodies.MAX_BODY_BYTES < read <= bodies.MAX_BODY_BYTES + (1 << 20) + 4 * 65536


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json;charset=latin-1"],
)
async def test_a_body_that_does_not_say_that_it_is_json_is_refused(media_type, submit):
    response = await submit({"input": "x"}, **{"Content-Type": media_type})
    assert_problem(response, 415, "unsupported-media-type", media_type)


async def test_a_call_without_token_or_with_a_wrong_one_is_told_how_to_authenticate(submit):
    for sent, words in {
        "": "Bearer <token>",
        "Basic YTpi": "Bearer <token>",
        "Bearer": "Bearer <token>",
        "Bearer all-agent": "not known",
        "Bearer ü": "not known",
    }.items():
        response = await submit({"input": "x"}, Authorization=sent.encode())
        assert_problem(response, 401, "unauthorized", words)
        assert response.headers["www-authenticate"].startswith('Bearer realm="penstock"')


async def test_a_token_serves_the_agents_it_is_for_and_no_other(submit):
    allowed = [
        ("one-agent", "shop/support"),
        ("one-namespace", "shop/other"),
        ("all-agents", "a/b"),
    ]
    for token, agent in allowed:
        response = await submit({"input": "x"}, agent, Authorization=f"Bearer {token}")
        assert response.status_code == 202
    for token, agent in [("one-agent", "shop/other"), ("one-namespace", "shop2/support")]:
        response = await submit({"input": "x"}, agent, Authorization=f"Bearer {token}")
        assert_problem(response, 403, "agent-forbidden", agent)


@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("DELETE", ""), ("GET", "/events")])
async def test_a_task_is_hidden_from_other_tenants_and_closed_to_tokens_of_other_agents(
    method, suffix, submit, client
):
    created = (await submit({"input": "x"}, "shop/other")).json()
    path = f"/v1/tasks/{created['id']}{suffix}"
    foreign = await client.request(method, path, headers={"Authorization": "Bearer other-tenant"})
    assert_problem(foreign, 404, "task-not-found")
    closed = await client.request(method, path, headers={"Authorization": "Bearer one-agent"})
    assert_problem(closed, 403, "agent-forbidden")
    assert (await client.request(method, path)).status_code == 200


@pytest.mark.parametrize(
    "identifier",
    [
        "x",
        "a.b",
        "%00.x",
        "c2hvcA.x",
        "ü.ü",
        "x" * 300,
        task_id(AgentKey("shop", "support"), b"?" * 16),
    ],
)
async def test_an_id_that_is_no_task_is_not_found(identifier, client):
    assert_problem(await client.get(f"/v1/tasks/{identifier}"), 404, "task-not-found")


async def test_unknown_paths_and_methods_are_problems_too(client):
    assert_problem(await client.get("/v2/tasks"), 404, "route-not-found", "/v2/tasks")
    response = await client.put("/v1/tasks/a.b")
    assert_problem(response, 405, "method-not-allowed", "PUT")
    assert response.headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize(
    ("refusal", "status", "retry_after"),
    [
        (AdmissionRefused("agent-not-found", "there is no agent shop/support"), 404, None),
        (AdmissionRefused("idempotency-key-reused", "this key was used"), 409, None),
        (AdmissionRefused("no-route", "agent shop/support has no route yet", 5), 503, "5"),
        (AdmissionRefused("agent-suspended", "agent shop/support is suspended", 30), 503, "30"),
    ],
    ids=lambda value: getattr(value, "problem", None),
)
async def test_what_admission_refuses_has_its_status_and_when_to_try_again(
    refusal, status, retry_after, submit, store
):
    store.failures = [refusal]
    response = await submit({"input": "x"})
    assert_problem(response, status, refusal.problem, refusal.detail[1:])
    assert response.headers.get("retry-after") == retry_after


async def test_a_long_input_is_told_its_length_and_the_limit(submit, store):
    store.failures = [AdmissionRefused("input-too-long", "input has more than 20000 characters")]
    response = await submit({"input": "x" * 50_000})
    assert_problem(response, 400, "input-too-long", "50,000", "20000")


async def test_a_store_that_does_not_answer_is_a_503_with_retry_after(submit, store, client):
    store.failures = [StoreUnavailable("gone")] * 2
    response = await submit({"input": "x"})
    assert_problem(response, 503, "store-unavailable")
    assert int(response.headers["retry-after"]) > 0
    store.failures = [StoreUnavailable("gone")]
    assert_problem(await client.get("/readyz"), 503, "store-unavailable")


async def test_what_nobody_foresaw_is_a_500_that_shows_a_trace_id_and_nothing_else(submit, store):
    store.failures = [RuntimeError("secret of the house")]
    with structlog.testing.capture_logs() as logged:
        response = await submit({"input": "x"})
    assert_problem(response, 500, "internal-error")
    assert "secret" not in response.text
    [line] = logged
    assert str(line["exc_info"]) == "secret of the house"
    assert line["trace_id"] == response.headers["x-trace-id"]


def test_every_kind_of_problem_has_a_title_and_an_error_status():
    for slug, kind in problems.KINDS.items():
        assert slug == kind.slug
        assert 400 <= kind.status < 600
        assert kind.title
