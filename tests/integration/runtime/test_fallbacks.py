"""Models that stand in: who is asked when, what it costs, and how each fault of a vendor ends."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from penstock import errors, revision
from penstock.task import OutcomeReason, TaskStatus
from penstock_dev.model import testing
from penstock_runtime.agent.models import anthropic
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.agent.transport import direct
from penstock_runtime.settings import WorkerSettings
from penstock_runtime.worker import boot, endpoints
from penstock_store.testing import free_port
from tests.integration.runtime.shop import MODEL, template, tool

pytestmark = pytest.mark.redis

HAIKU = "claude-haiku-5-5"
AWAY_SECONDS = float(os.environ.get("PENSTOCK_AWAY_SECONDS", "2.5"))
FALLBACK = {"name": HAIKU}
SUCCEEDED = (TaskStatus.SUCCEEDED, OutcomeReason.NONE)
FAILED = (TaskStatus.FAILED, OutcomeReason.MODEL_ERROR)
LATE = (TaskStatus.FAILED, OutcomeReason.TIMEOUT)


def how(ended):
    return ended.status, ended.outcome.reason


def asked(fake_model):
    return [each["model"] for each in fake_model.journal(100)["requests"]]


def fault(status, **more):
    return {"errorPercent": 100, "errorStatus": status, **more}


def away(script, **more):
    """The first model has the faults, and whoever stands in has none."""
    return {"text": "hello", "faultyModels": [MODEL], **script, **more}


SILENCE = {"latencyMs": 60_000}


def seconds_for(script, *, answered=True):
    """Time of a call: silence is sat through, once for each try; all else is told, late on a busy machine.

    Where another model is asked after it, that one has to answer within the same time.
    """
    if script is not SILENCE:
        return 60
    return 3 if answered else 1


# How each fault of the vendor ends without a fallback, and whether a fallback is asked.
FAULTS = {
    "400": (fault(400), FAILED, False),
    "401": (fault(401), FAILED, False),
    "402": (fault(402), FAILED, False),
    "403": (fault(403), FAILED, False),
    "404": (fault(404), FAILED, True),
    "408": (fault(408), FAILED, True),
    "409": (fault(409), FAILED, True),
    "413": (fault(413), FAILED, False),
    "429": (fault(429, retryAfterSeconds=0), FAILED, True),
    "429, growing too fast": (
        fault(429, retryAfterSeconds=0, errorCode="ramp_limit_exceeded"),
        FAILED,
        True,
    ),
    "429, spend limit": (fault(429, errorCode="enforced_spend_limit_reached"), FAILED, False),
    "429, contract": (fault(429, errorCode="contract_spend_limit_reached"), FAILED, False),
    "500": (fault(500), FAILED, True),
    "502, in HTML": (fault(502), FAILED, True),
    "503": (fault(503), FAILED, True),
    "504": (fault(504), FAILED, True),
    "529": (fault(529), FAILED, True),
    "529, no retry": (fault(529, shouldRetry=False), FAILED, True),
    "silence": (SILENCE, LATE, True),
    "200, garbage": ({"garbagePercent": 100}, FAILED, True),
    "error in a stream": ({"streamErrorPercent": 100}, FAILED, True),
    "stream without its end": ({"cutStreamPercent": 100}, FAILED, True),
    "connection lost": ({"dropStreamPercent": 100}, FAILED, True),
    "one body instead of a stream": ({"neverStream": True}, FAILED, True),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_ends_as_declared_without_a_fallback(shop, fake_model, name):
    script, outcome, _ = FAULTS[name]
    seconds = seconds_for(script, answered=False)
    ended = await shop.run(away(script), retries=1, timeoutSeconds=seconds)
    assert how(ended) == outcome, ended.outcome
    assert set(asked(fake_model)) == {MODEL}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_is_taken_to_the_fallback_or_told(shop, fake_model, name):
    script, outcome, helps = FAULTS[name]
    seconds = seconds_for(script)
    ended = await shop.run(away(script), retries=1, timeoutSeconds=seconds, fallbacks=[FALLBACK])
    if helps:
        assert how(ended) == SUCCEEDED, ended.outcome
        assert asked(fake_model)[-1] == HAIKU
    else:
        assert how(ended) == outcome, ended.outcome
        assert HAIKU not in asked(fake_model)


@pytest.mark.parametrize(
    ("script", "free"),
    [
        (fault(529), True),
        (fault(404), True),
        ({"streamErrorPercent": 100}, False),
        (SILENCE, False),
        ({"dropStreamPercent": 100}, False),
    ],
)
async def test_who_answered_is_paid_at_its_own_price_and_who_failed_for_what_it_may_bill(
    shop, fake_model, script, free
):
    seconds = seconds_for(script)
    ended = await shop.run(away(script), retries=0, timeoutSeconds=seconds, fallbacks=[FALLBACK])
    usage = fake_model.journal(1)["requests"][-1]["usage"]
    own = 0.10 * usage["input_tokens"] + 0.50 * usage["output_tokens"]  # micro-USD
    assert how(ended) == SUCCEEDED
    if free:  # the answer was an error: no vendor bills it
        assert own <= ended.usage.cost_micro_usd < own + 1
    else:
        assert ended.usage.cost_micro_usd > own + 1
        assert ended.usage.input_tokens > usage["input_tokens"]


async def test_the_events_say_who_answered(shop):
    cut = await shop.release(away(fault(529)), retries=0, fallbacks=[FALLBACK])
    identifier = await shop.submit()
    async with shop.pool(cut):
        await shop.ended(identifier)
    assert (await shop.event(identifier, "model")).data["model"] == HAIKU


async def test_without_fallbacks_the_events_are_what_they_were(shop):
    cut = await shop.release({"text": "hello"})
    identifier = await shop.submit()
    async with shop.pool(cut):
        await shop.ended(identifier)
    assert "model" not in (await shop.event(identifier, "model")).data


async def test_fallbacks_are_asked_in_their_order(shop, fake_model):
    script = {"text": "hello", "faultyModels": [MODEL, HAIKU], **fault(529)}
    third = {"name": "claude-opus-5-5"}
    ended = await shop.run(script, retries=0, fallbacks=[FALLBACK, third])
    assert how(ended) == SUCCEEDED
    assert asked(fake_model) == [MODEL, HAIKU, "claude-opus-5-5"]


async def test_when_nobody_answers_the_end_tells_of_all(shop):
    ended = await shop.run(fault(529), retries=0, fallbacks=[FALLBACK])
    assert how(ended) == FAILED
    assert "(2 attempts)" in ended.outcome.message
    assert f"{MODEL}: 529" in ended.outcome.message
    assert f"{HAIKU}: 529" in ended.outcome.message


async def test_what_one_has_thought_goes_to_no_other(shop, fake_model, tool_server):
    """Each refuses thoughts that are not its own: the task goes there and back, tool by tool."""
    script = {
        "thinking": "Let me see.",
        "toolCalls": [{"name": "look_up", "input": {"n": n}} for n in range(3)],
        "faultyModels": [MODEL],
        "errorPercent": 50,
        "errorStatus": 529,
    }
    look_up = tool("look_up", tool_server.url + "/ok")
    cut = await shop.release(script, tools=[look_up], retries=0, fallbacks=[FALLBACK])
    async with shop.pool(cut):
        tasks = [await shop.submit(session=f"s{n % 4}") for n in range(16)]
        for each in tasks:
            assert how(await shop.ended(each)) == SUCCEEDED
    assert {MODEL, HAIKU} == set(asked(fake_model))


async def test_a_long_text_is_counted_where_the_model_is_away_too(shop, fake_model):
    """By its bytes alone the call would pass the limit of 40,000 tokens."""
    ended = await shop.run(away(fault(529)), text="漢" * 20_000, retries=0, fallbacks=[FALLBACK])
    assert how(ended) == SUCCEEDED, ended.outcome


@pytest.mark.parametrize("says", ["Where is A1? " * 1000, "我的訂單在哪裡？" * 400])
async def test_a_dearer_one_that_stands_in_passes_no_limit(shop, fake_model, tool_server, says):
    script = {"loopTool": "look_up", "faultyModels": [MODEL], **fault(529), "tokenPerByte": True}
    cut = await shop.release(
        script,
        tools=[tool("look_up", tool_server.url + "/ok")],
        limits={
            "costUSD": "0.70",
            "modelCalls": 30,
            "toolCalls": 30,
            "identicalActions": 100,
            "inputTokens": 10_000_000,
        },
        retries=0,
        fallbacks=[{"name": "claude-opus-5-5"}],
    )
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit(says))
    assert "claude-opus-5-5: it can use" in ended.outcome.message
    assert 350_000 < ended.usage.cost_micro_usd <= 700_000


# ------------------------------------------------------------------- where and with which key


@pytest.fixture
def equipped(tmp_path):
    """Boots a worker on a model with fallbacks, each with a key of its own where it names one."""

    def boot_with(model_url, fallbacks, keys=(), **model):
        declared = template({"text": "x"}, **model, fallbacks=fallbacks)
        cut = revision.cut("support", declared, {}, "penstock:test")
        document = tmp_path / "revision.json"
        document.write_text(json.dumps(cut.document()))
        (tmp_path / "key").write_text("the-models-key")
        for number, (name, value) in dict(keys).items():
            (tmp_path / str(number)).mkdir()
            (tmp_path / str(number) / name).write_text(value)
        settings = WorkerSettings(
            namespace="shop",
            agent="support",
            revision=cut.name,
            revision_file=document,
            revision_digest=revision.digest(cut.document()),
            redis_url="redis://127.0.0.1:9",
            model_url=model_url,
            credentials_file=tmp_path / "key",
            fallbacks_dir=tmp_path,
        )
        cut = boot.load_revision(settings)
        return endpoints.endpoints(settings, cut, toolbox.build(()), direct.Direct)

    return boot_with


KEY = {"credentialsSecretRef": {"name": "spare", "key": "api-key"}}
ELSEWHERE = "http://elsewhere.test"
INSTALLATION = "http://installation.test"


@pytest.mark.parametrize(
    ("entry", "address", "key"),
    [
        ({}, INSTALLATION, "the-models-key"),
        ({"baseURL": ELSEWHERE}, ELSEWHERE, anthropic.no_key()),
        (KEY, INSTALLATION, "spare-key"),
        ({"baseURL": ELSEWHERE, **KEY}, ELSEWHERE, "spare-key"),
    ],
)
def test_a_fallback_has_the_models_address_and_key_unless_it_has_its_own(
    equipped, monkeypatch, entry, address, key
):
    made = []

    class Recorded:
        prompt_tokens = 0

        def __init__(self, prompt, url, read_key, _carrier):
            made.append((prompt.model, url, read_key()))

    monkeypatch.setattr(anthropic, "AnthropicModel", Recorded)
    first = {"name": "other-model", "price": {"inputPerMTok": "1", "outputPerMTok": "1"}}
    equipped(INSTALLATION, [first, {"name": HAIKU, **entry}], {1: ("api-key", "spare-key")})
    assert made[0] == (MODEL, INSTALLATION, "the-models-key")
    assert made[2] == (HAIKU, address, key)


def test_a_fallbacks_missing_key_is_told_with_the_command_that_makes_it(equipped):
    with pytest.raises(errors.InvalidResource) as told:
        equipped(INSTALLATION, [{"name": HAIKU, **KEY}])
    assert "spec.template.model.fallbacks[0]'s credential" in str(told.value)
    assert "create secret generic spare --from-literal=api-key" in str(told.value)


# ------------------------------------------------------------------------- one model away


async def test_while_a_model_is_away_no_task_fails_and_it_is_asked_again_when_it_is_back(
    shop, fake_model
):
    """A steady rate; the model's endpoint is gone in the middle of it, and comes back.

    ``PENSTOCK_AWAY_SECONDS=60`` for the whole minute.
    """
    port, submitted = free_port(), []
    declared = {
        "baseURL": f"http://127.0.0.1:{port}",
        "retries": 1,
        "fallbacks": [{"name": HAIKU, "baseURL": fake_model.url}],
    }

    async def submitting(seconds):
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            submitted.append(await shop.submit())
            await asyncio.sleep(0.02)

    cut = await shop.release({"text": "hello", "latencyMs": 20}, **declared)
    async with shop.pool(cut, breakers=True, PENSTOCK_BREAKER_SECONDS="0.5"):
        with testing.model_server(7, "--port", str(port)) as first:
            await submitting(0.5)
            await asyncio.gather(*map(shop.ended, submitted))  # none is under way when it goes
            assert first.journal()["total"] > 0
        assert fake_model.journal()["total"] == 0
        await submitting(AWAY_SECONDS)
        await asyncio.gather(*map(shop.ended, submitted))
        assert fake_model.journal()["total"] > 0
        with testing.model_server(7, "--port", str(port)) as again:

            async def asked_again():
                await submitting(0.2)
                return again.journal()["total"]

            await shop.until(asked_again)
            await asyncio.gather(*map(shop.ended, submitted))
    ended = [await shop.ended(each) for each in submitted]
    stood_in = fake_model.journal()["total"]
    assert {how(each) for each in ended} == {SUCCEEDED}
    events = [await shop.event(each, "model") for each in submitted]
    requests = sum(event.data["attempts"] for event in events)
    print(f"{len(ended)} tasks, {stood_in} answered by the fallback, {requests} requests")
    # A breaker that is open costs no request: without it each of them had made two more.
    assert requests < len(ended) + stood_in


async def test_two_workers_hear_of_an_open_breaker_within_a_second(shop, fake_model):
    apart = fake_model.url + "/apart"  # its breaker is that of no other test
    cut = await shop.release(away(fault(529)), retries=0, baseURL=apart, fallbacks=[FALLBACK])
    more = {"breakers": True, "PENSTOCK_BREAKER_SECONDS": "60"}

    async def tasks(count):
        return await asyncio.gather(*[shop.ended(await shop.submit()) for _ in range(count)])

    async with shop.pool(cut, **more):
        await tasks(5)
        await asyncio.sleep(0.6)  # so long a row of outages must last
        await tasks(1)
        await tasks(5)
    opened = asked(fake_model).count(MODEL)
    assert opened <= 6  # five in a row, and the one with which the row had lasted
    async with shop.pool(cut, **more), shop.pool(cut, **more):
        assert {how(each) for each in await tasks(20)} == {SUCCEEDED}
    assert asked(fake_model).count(MODEL) == opened


async def test_a_rate_limit_paces_all_workers_with_the_same_credential(shop, fake_model):
    apart = fake_model.url + "/paced"
    limited = fault(429, retryAfterSeconds=30)
    cut = await shop.release({"text": "hello", **limited}, retries=0, baseURL=apart)
    async with shop.pool(cut, breakers=True):
        assert how(await shop.ended(await shop.submit())) == FAILED
    assert len(asked(fake_model)) == 1
    async with shop.pool(cut, breakers=True), shop.pool(cut, breakers=True):
        tasks = [await shop.submit() for _ in range(8)]
        ended = [await shop.ended(each) for each in tasks]
    assert all("was not asked: it has told calls" in each.outcome.message for each in ended)
    assert len(asked(fake_model)) == 1
