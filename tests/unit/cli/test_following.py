"""A task is followed to its end whatever the gateway says on the way; what cannot be sent is a sentence."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from penstock_cli import exits, gateway
from tests.unit.cli.test_terminal import penstock

ENDED = {"id": "t", "status": "Succeeded", "output": "Tomorrow."}


def event(kind, identifier, data=None):
    document = {"id": identifier, "type": kind, "data": data or {}}
    return f"id: {identifier}\nevent: {kind}\ndata: {json.dumps(document)}\n\n"


class Gateway:
    """Answers each request with the next of its answers."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, request):
        self.asked.append((request.method, request.url.path, request.headers.get("last-event-id")))
        return self.answers.pop(0)


def opened(text=""):
    return httpx.Response(200, text=text, headers={"location": "/v1/tasks/t"})


def refused(status, slug, **headers):
    problem = {"title": "Not now", "detail": f"{slug}.", "type": slug}
    return httpx.Response(status, json=problem, headers=headers)


async def follow(answering):
    transport = httpx.MockTransport(answering)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        following = gateway.Following("/v1/tasks", {})
        return [event["type"] async for event in gateway.follow(http, following)]


@pytest.fixture
def pauses(monkeypatch):
    """How long was waited between two requests; no time passes."""
    waited = []

    async def pass_over(seconds):
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pass_over)
    return waited


@pytest.mark.parametrize(
    ("status", "slug"),
    [(429, "too-many-streams"), (503, "gateway-busy"), (503, "store-full"), (408, "timeout")],
)
async def test_a_task_that_the_gateway_has_is_asked_for_again_after_the_time_it_says(
    status, slug, pauses
):
    answering = Gateway(
        opened(event("queued", "1-0")),
        refused(status, slug, **{"Retry-After": "7"}),
        opened(event("finished", "2-0", ENDED)),
    )
    assert await follow(answering) == ["queued", "finished"]
    assert pauses == [1.0, 7.0]
    assert answering.asked[1:] == [("GET", "/v1/tasks/t/events", "1-0")] * 2


async def test_a_stream_of_which_no_event_is_left_ends_with_the_task(pauses):
    answering = Gateway(
        opened(event("queued", "9-0")), httpx.Response(204), opened(json.dumps(ENDED))
    )
    assert await follow(answering) == ["queued", "finished"]
    assert answering.asked[-1][:2] == ("GET", "/v1/tasks/t")


@pytest.mark.parametrize(
    ("status", "slug"),
    [(404, "task-expired"), (500, "store-refused"), (409, "session-of-another-user")],
)
async def test_what_does_not_pass_is_told_at_once(status, slug, pauses):
    with pytest.raises(exits.Stopped) as told:
        await follow(Gateway(opened(event("queued", "1-0")), refused(status, slug)))
    assert f"Not now: {slug}." in told.value.sentence


async def test_a_task_that_is_not_taken_is_told_with_when_to_try_again(pauses):
    with pytest.raises(exits.Stopped) as told:
        await follow(Gateway(refused(503, "queue-full", **{"Retry-After": "5"})))
    assert told.value.sentence.endswith("Not now: queue-full. Try again in 5 s.")
    assert pauses == []


@pytest.mark.parametrize("again", ["soon", "-1", "9" * 400, "٣", ""])
async def test_a_strange_time_to_try_again_is_waited_for_within_bounds(again, pauses):
    headers = {"Retry-After": again.encode()}
    answering = Gateway(
        opened(), httpx.Response(503, headers=headers), opened(event("finished", "2-0", ENDED))
    )
    assert await follow(answering) == ["finished"]
    assert all(1 <= seconds <= 60 for seconds in pauses)


@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        (["support", b"\xff\xfe"], {}, "is not UTF-8"),
        (["support", "hi", "--user", b"\xe9"], {}, "is not UTF-8"),
        (["support", "-"], {}, "is not UTF-8"),
        (["support", "hi"], {"PENSTOCK_TOKEN": "tok🔑en"}, "the token cannot be sent"),
        (["support", "hi"], {"PENSTOCK_TOKEN": "a\nb"}, "the token cannot be sent"),
        (["support", "hi"], {"PENSTOCK_GATEWAY_URL": "http://[::1"}, "cannot be used"),
        (["support", "hi"], {"PENSTOCK_GATEWAY_URL": "http://x:port"}, "cannot be used"),
    ],
    ids=["input", "user", "standard input", "token", "token of two lines", "address", "port"],
)
def test_what_cannot_be_sent_is_a_sentence_and_wrong_usage(arguments, variables, says):
    said = {"PENSTOCK_GATEWAY_URL": "http://127.0.0.1:1", "PENSTOCK_TOKEN": "t", **variables}
    done = penstock("run", *arguments, stdin="\udcff", **said)
    assert done.returncode == exits.Exit.USAGE, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_long_or_an_emoji_is_asked_for_like_any_other():
    for agent in ("a" * 100_000, "🚢" * 50):
        done = penstock(
            "run", agent, "hi", PENSTOCK_GATEWAY_URL="http://127.0.0.1:1", PENSTOCK_TOKEN="t"
        )
        assert done.returncode in (exits.Exit.REFUSED, exits.Exit.USAGE)
        assert "Traceback" not in done.stderr
