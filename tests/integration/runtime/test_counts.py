"""An endpoint that is asked to count a conversation: what it cannot do, and what it fails to do once."""

import dataclasses
import time

import pytest

from penstock_runtime.agent.models import anthropic
from penstock_runtime.agent.models.model import Failure, ModelFailed, Request
from tests.integration.runtime import raw

ASKED = Request([{"role": "user", "content": "Where is A1?"}], 1, 5.0)
COUNT = raw.response(b'{"input_tokens": 12}', content_type="application/json")


def refusing(status):
    return raw.response(b'{"type": "error", "error": {"type": "x", "message": "no"}}', status)


async def silent(writer):
    """Never answers."""


async def count(*answers, key=anthropic.no_key, **more):
    async with raw.Raw(*answers) as server:
        model = anthropic.AnthropicModel(anthropic.Prompt("sonnet", "Help."), server.url, key)
        try:
            return await model.count_tokens(dataclasses.replace(ASKED, **more))
        finally:
            await model.aclose()


async def test_a_count_is_the_endpoints_own():
    assert await count(COUNT) == 12


@pytest.mark.parametrize(
    "status", ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"]
)
async def test_one_that_offers_no_count_says_nothing(status):
    assert await count(refusing(status)) is None


@pytest.mark.parametrize(
    "body", [b"{}", b'{"input_tokens": "12"}', b'{"input_tokens": 0}', b"<p>Welcome</p>"]
)
async def test_what_is_no_count_is_none(body):
    assert await count(raw.response(body, content_type="application/json")) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("529 Overloaded", Failure.OVERLOADED),
        ("500 Internal Server Error", Failure.OVERLOADED),
        ("429 Too Many Requests", Failure.RATE_LIMITED),
        ("401 Unauthorized", Failure.CREDENTIALS),
        ("400 Bad Request", Failure.REFUSED),
    ],
)
async def test_a_count_that_fails_is_told_from_none(status, kind):
    with pytest.raises(ModelFailed) as failed:
        await count(refusing(status))
    assert failed.value.kind is kind


async def test_a_count_ends_with_the_time_of_its_task():
    context = ASKED.context
    begun = time.monotonic()
    with pytest.raises(ModelFailed) as failed:
        await count(silent, deadline=context.seconds() + 0.2, timeout_seconds=60.0)
    assert failed.value.kind is Failure.TIMEOUT
    assert time.monotonic() - begun < 9, "and not with the time of a whole count, 10 s"


async def test_an_endpoint_that_is_gone_has_failed():
    async with raw.closed_port() as port:
        model = anthropic.AnthropicModel(
            anthropic.Prompt("sonnet", "Help."), f"http://127.0.0.1:{port}", anthropic.no_key
        )
        with pytest.raises(ModelFailed) as failed:
            await model.count_tokens(ASKED)
        await model.aclose()
    assert failed.value.kind is Failure.CONNECTION
