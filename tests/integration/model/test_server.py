"""The server beside the messages: plain HTTP manners, journal, seeds, rate limits, and its end."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx
import pytest

from penstock_dev.model import testing

MINIMAL = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "hi"}],
}


def error_of(response):
    document = response.json()
    assert document["type"] == "error"
    assert document["request_id"] == response.headers["request-id"]
    return document["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/v1/models/claude-unknown", 404),
        ("GET", "/admin/nothing", 404),
        ("GET", "/admin/reset", 405),
    ],
)
def test_unknown_places_and_methods_are_refused_as_the_api_does(http, method, path, status):
    response = http.request(method, path)
    assert response.status_code == status
    assert error_of(response)["type"] == (
        "not_found_error" if status == 404 else "invalid_request_error"
    )
    assert ("allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"model": "\xed\xa0\xbd"}',
        b'{"max_tokens": NaN}',
        b'{"model": "a\x01b"}',
        b"[" * 5000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b"[]",
        b"null",
    ],
    ids=[
        "empty",
        "cut",
        "no UTF-8",
        "a surrogate in UTF-8",
        "no number",
        "a control character",
        "open",
        "deep",
        "list",
        "null",
    ],
)
def test_a_body_that_is_no_request_is_a_bad_request(http, body):
    response = http.post("/v1/messages", content=body)
    assert response.status_code == 400
    assert error_of(response)["message"]


def test_the_version_header_is_required_and_a_key_is_not(http):
    assert http.post("/v1/messages", json=MINIMAL).status_code == 200
    response = http.post("/v1/messages", json=MINIMAL, headers={"anthropic-version": ""})
    assert response.status_code == 400
    assert "anthropic-version" in error_of(response)["message"]


def test_a_body_above_the_limit_of_the_api_is_too_large(http):
    response = http.post("/v1/messages", content=b" " * (33 * 1024 * 1024))
    assert response.status_code == 413
    assert error_of(response)["type"] == "request_too_large"


@pytest.mark.parametrize("text", ["x" * 50_000, "🚢 \\ud800", "\\\\ud83d \\n", "\0"], ids=str)
def test_long_and_odd_texts_are_served_escaped_or_not(http, text):
    document = MINIMAL | {"messages": [{"role": "user", "content": text}]}
    for escaped in (True, False):
        body = json.dumps(document, ensure_ascii=escaped).encode()
        assert http.post("/v1/messages", content=body).status_code == 200


HALVES = {
    "a high half alone": ("\ud83d alone", "no low surrogate in string"),
    "a high half at the end": ("end \ud83d", "no low surrogate in string"),
    "two high halves": ("\ud83d\ud83d\udea2", "no low surrogate in string"),
    "a low half alone": ("\udea2", "low surrogate in string"),
    "halves apart": ("\ud83d \udea2", "no low surrogate in string"),
    "after a backslash": ("\\\ud83d", "no low surrogate in string"),
}


@pytest.mark.parametrize(("text", "words"), HALVES.values(), ids=HALVES)
def test_half_a_surrogate_pair_is_no_json_for_the_api(http, text, words):
    document = MINIMAL | {"messages": [{"role": "user", "content": text}]}
    response = http.post("/v1/messages", content=json_bytes(document))
    assert response.status_code == 400
    message = error_of(response)["message"]
    assert message.startswith("The request body is not valid JSON: ")
    assert words in message


@pytest.mark.parametrize("key", [b"sk ant", b"sk-\xe4nt", b"sk-ant\tx"])
@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_of_characters_that_no_key_has_is_a_wrong_key(http, header, key):
    value = key if header == "x-api-key" else b"Bearer " + key
    response = http.post("/v1/messages", json=MINIMAL, headers={header: value})
    assert response.status_code == 401
    assert error_of(response)["type"] == "authentication_error"


def test_a_version_that_never_was_is_refused(http):
    response = http.post("/v1/messages", json=MINIMAL, headers={"anthropic-version": "2024-02-30"})
    assert response.status_code == 400
    assert "anthropic-version" in error_of(response)["message"]


def test_a_prompt_beyond_the_window_is_too_long(http):
    content = [{"role": "user", "content": "word " * 160_001}]
    response = http.post("/v1/messages", json=MINIMAL | {"messages": content})
    assert response.status_code == 400
    assert error_of(response)["message"] == "prompt is too long: 200002 tokens > 200000 maximum"


def test_an_answer_ends_where_the_window_is_full(http):
    says = [{"role": "user", "content": "x" * (200_000 * 4 - 80)}]
    request = MINIMAL | {
        "messages": says,
        "max_tokens": 1000,
        "system": '#fake {"outputTokens": 99}',
    }
    answer = http.post("/v1/messages", json=request).json()
    assert answer["stop_reason"] == "model_context_window_exceeded"
    assert answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"] == 200_000


def json_bytes(document):
    return json.dumps(document).encode()


def outcomes(http, model, count, **keys):
    """What a number of equal requests meet, in order."""
    request = MINIMAL | {"system": "#fake " + json_bytes(keys).decode()}
    for _ in range(count):
        http.post("/v1/messages", json=request)
    return [entry["outcome"] for entry in model.journal(count)["requests"]]


def test_the_same_seed_and_order_give_the_same_run_and_another_seed_another(http, model):
    keys = {"errorPercent": 30, "refusalPercent": 40}
    first = outcomes(http, model, 60, **keys)
    model.reset()
    assert outcomes(http, model, 60, **keys) == first
    model.seed(8)
    assert outcomes(http, model, 60, **keys) != first
    assert set(first) == {"error 400", "refusal", "end_turn"}


def test_equal_questions_meet_different_fates_in_the_share_that_was_asked_for(http, model):
    seen = outcomes(http, model, 400, errorPercent=30)
    assert 90 <= seen.count("error 400") <= 150


def test_the_fate_of_a_task_is_drawn_once_and_outlives_the_memory_of_the_server(http, model):
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    system = '#fake {"errorPercent": 60, "loopTool": "look"}'
    request = MINIMAL | {"tools": tools, "system": system, "max_tokens": 100}
    asked = next(
        answer
        for answer in (http.post("/v1/messages", json=request) for _ in range(100))
        if answer.status_code == 200
    ).json()
    messages = list(request["messages"])
    for turn in range(20):
        if turn == 10:
            model.seed(99)
        identifier = asked["content"][0]["id"]
        result = {"type": "tool_result", "tool_use_id": identifier, "content": "ok"}
        messages += [
            {"role": "assistant", "content": asked["content"]},
            {"role": "user", "content": [result]},
        ]
        response = http.post("/v1/messages", json=request | {"messages": messages})
        assert response.status_code == 200
        asked = response.json()


def test_the_journal_counts_per_prompt_and_shows_the_last_requests(http, model):
    for text in ("one", "two", "three"):
        http.post("/v1/messages", json=MINIMAL | {"messages": [{"role": "user", "content": text}]})
    http.post("/v1/messages", json=MINIMAL | {"system": "Other"})
    journal = model.journal(last=2)
    assert journal["total"] == 4
    assert [(each["promptStart"], each["requests"]) for each in journal["prompts"]] == [
        ("", 3),
        ("Other", 1),
    ]
    assert [each["body"]["messages"][0]["content"] for each in journal["requests"]] == [
        "three",
        "hi",
    ]
    model.reset()
    assert model.journal()["total"] == 0


def test_a_bad_seed_is_refused(http):
    assert http.post("/admin/seed", json={"seed": "x"}).status_code == 400


def test_a_rate_limit_of_the_server_is_told_with_the_time_to_wait(model):
    with (
        testing.model_server(1, "--requests-per-minute", "3") as limited,
        httpx.Client(base_url=limited.url, headers={"anthropic-version": "2023-06-01"}) as http,
    ):
        answers = [http.post("/v1/messages", json=MINIMAL) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[2].headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    assert error_of(answers[3])["type"] == "rate_limit_error"


def test_the_server_ends_with_its_standard_input():
    command = [sys.executable, "-m", "penstock_dev.model", "--port", "0", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"listening on http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(timeout=20) in (0, -15)
