"""Which models workers say they ask, what ended tasks have cost by model, and how the endpoints are doing."""

from __future__ import annotations

import dataclasses
import json

import pytest

from penstock.money import asked
from penstock.money.asked import AskedModel, ModelPrice, PriceSource
from penstock.money.endpoints import BreakerPosition, LimitSource, MinuteLimit
from penstock.money.pool import PerMinute, Share
from penstock.task import Usage
from penstock_store import keys
from penstock_store.breakers import BreakerRules
from penstock_store.pools import Wanted
from penstock_store.records import Telling

STABLE, CANARY = "aaaa0000", "bbbb1111"
RULES = BreakerRules(outages=5, lasting_ms=0, open_ms=60_000, try_ms=10_000)
pytestmark = pytest.mark.redis


def model(desk, name="claude-sonnet-5-5", **more):
    """A model at an address that no other test has."""
    price = ModelPrice("3", "0.3", "15", PriceSource.LISTED, "1.0", "")
    told = {"uses": ("primary",), "account": "0a1b", "price": price, **more}
    return AskedModel("Anthropic", f"http://{desk.agent.name}.test", name, **told)


async def tell(desk, *models, revision=STABLE, consumer="w1"):
    await desk.claim(revision, 1, consumer)
    telling = Telling(desk.agent, revision, None, 0, asked.written(models))
    await desk.store.claims.heartbeat([], consumer, telling)


async def found(desk):
    return await desk.store.models.of(desk.agent)


async def test_what_workers_told_is_there_by_revision_and_who_told_nothing_is_silent(desk):
    told = model(desk), model(desk, "claude-haiku-5-5", uses=("fallback 1", "tier easy"))
    await tell(desk, *told)
    stable, canary = (await found(desk)).revisions
    assert (stable.revision, stable.role) == (STABLE, "stable")
    assert tuple(one.asked for one in stable.endpoints) == told
    assert (canary.revision, canary.role, canary.endpoints) == (CANARY, "canary", None)


async def test_a_beat_that_tells_nothing_leaves_what_was_told_and_a_closed_revision_tells_nothing(
    desk,
):
    await tell(desk, model(desk))
    await desk.store.claims.heartbeat([], "w1")
    assert (await found(desk)).revisions[0].endpoints
    await desk.set_route(canary="", standings={CANARY: None})
    await tell(desk, model(desk), revision=CANARY, consumer="w2")
    assert not await desk.raw.exists(desk.keys.revision(CANARY)), "nobody would remove it"


@pytest.mark.parametrize("written", ["", "x", "{}", "[1]", '[{"model": "m"}]', "[" * 5000])
async def test_what_another_hand_has_written_is_no_model(desk, written):
    await desk.raw.hset(desk.keys.revision(STABLE), "asks", written)
    assert (await found(desk)).revisions[0].endpoints is None


async def test_of_an_address_nothing_is_told_that_opens_it_and_its_keys_stay(desk):
    """Also where a worker of the version before has told it as it is asked."""
    raw = f"http://user:hunter2@{desk.agent.name}.test/v1?key=hunter2"
    name = model(desk).model
    await desk.store.breakers.tell(
        keys.breaker(desk.agent.namespace, raw, name), RULES, outage="Timeout"
    )
    mark = keys.endpoint_mark(raw, name)
    before = dataclasses.replace(model(desk), address=raw)
    now = dataclasses.replace(model(desk), address=f"http://{desk.agent.name}.test/v1", mark=mark)
    for told in (before, now):
        await tell(desk, told)
        (one,) = (await found(desk)).revisions[0].endpoints
        assert (one.asked.address, one.mark) == (now.address, mark)
        assert one.breaker.failure == "Timeout"


async def test_a_list_without_end_costs_no_reads_without_end(desk):
    await tell(desk, *(model(desk, f"m{number}") for number in range(500)))
    assert len((await found(desk)).revisions[0].endpoints) == 64


async def test_numbers_that_no_script_writes_are_none(desk):
    one = model(desk, per_minute=PerMinute(100, None, None))
    await tell(desk, one)
    pool = keys.pool(desk.agent.namespace, one.address, one.model, one.account)
    breaker = keys.breaker(desk.agent.namespace, one.address, one.model)
    for text in ("1e308", "-1e308", "inf", "nan", "x"):
        fields = ("at", "level:requests", "told:input", "level:input")
        await desk.raw.hset(pool, mapping=dict.fromkeys(fields, text))
        await desk.raw.hset(breaker, mapping=dict.fromkeys(("until", "outages", "failedAt"), text))
        (seen,) = (await found(desk)).revisions[0].endpoints
        assert (seen.breaker.position, seen.pool.input_tokens) == (BreakerPosition.CLOSED, MinuteLimit())  # fmt: skip
        assert seen.pool.requests.most == 100


async def test_a_breaker_says_what_it_met_until_when_it_is_open_and_that_it_is_tried(desk):
    one = model(desk)
    await tell(desk, one)
    key = keys.breaker(desk.agent.namespace, one.address, one.model)

    async def breaker():
        return (await found(desk)).revisions[0].endpoints[0].breaker

    assert (await breaker()).position is BreakerPosition.CLOSED
    for _ in range(4):
        await desk.store.breakers.tell(key, RULES, outage="Timeout")
    closed = await breaker()
    assert (closed.position, closed.outages, closed.failure) == (BreakerPosition.CLOSED, 4, "Timeout")  # fmt: skip
    await desk.store.breakers.tell(key, RULES, outage="Overloaded 529")
    opened, now_ms = await breaker(), (await found(desk)).now_ms
    assert (opened.position, opened.outages, opened.failure) == (BreakerPosition.OPEN, 5, "Overloaded 529")  # fmt: skip
    assert 50_000 < opened.until_ms - now_ms <= 60_000
    assert now_ms - 10_000 < opened.failed_ms <= now_ms
    await desk.raw.hset(key, "until", now_ms - 1)
    assert (await breaker()).position is BreakerPosition.HALF_OPEN
    await desk.store.breakers.tell(key, RULES, answered_ms_ago=0)
    healed = await breaker()
    assert (healed.position, healed.outages, healed.failure) == (BreakerPosition.CLOSED, 0, "Overloaded 529")  # fmt: skip


async def test_a_pool_says_whose_limit_it_is_what_of_it_is_taken_and_who_waits(desk):
    one = model(desk, per_minute=PerMinute(requests=60))
    await tell(desk, one)
    key = keys.pool(desk.agent.namespace, one.address, one.model, one.account)
    learned = PerMinute(input_tokens=6000)
    wanted = Wanted("support", Share(20, 3000, 50), declared=one.per_minute, told=learned)
    await desk.store.pools.borrow(key, wanted)
    refused = dataclasses.replace(wanted, agent="billing", need=Share(50, 1, 1))
    assert (await desk.store.pools.borrow(key, refused)).share is None
    pool = (await found(desk)).revisions[0].endpoints[0].pool
    assert (pool.requests.most, pool.requests.source) == (60, LimitSource.DECLARED)
    assert 15 <= pool.requests.used <= 20
    assert (pool.input_tokens.most, pool.input_tokens.source) == (6000, LimitSource.LEARNED)
    assert 2500 <= pool.input_tokens.used <= 3000
    assert pool.output_tokens == MinuteLimit()
    assert pool.waits == ("billing",)
    told = keys.breaker(desk.agent.namespace, one.address, one.model)
    await desk.store.breakers.tell(told, RULES, account=one.account, asked_to_wait_ms=30_000)
    state = await found(desk)
    paced = state.revisions[0].endpoints[0].pool.paced_until_ms
    assert 25_000 < paced - state.now_ms <= 30_000


# ----------------------------------------------------------------------------------------- spend


async def end(desk, usage):
    await desk.admit()
    assert await desk.finish(await desk.claim_one(), usage=usage)


async def test_each_model_has_what_ended_tasks_have_cost_for_it_today_and_this_month(desk):
    sonnet, haiku = "00aa sonnet", "00bb haiku"
    await end(desk, Usage(1, cost_micro_usd=500, models=((sonnet, 400), (haiku, 100))))
    await end(desk, Usage(1, cost_micro_usd=70, models=((sonnet, 70),)))
    await end(desk, Usage(1, cost_micro_usd=30))  # a worker of the version before
    known = await found(desk)
    spend = {one.model: (one.mark, one.today, one.month) for one in known.spend}
    assert spend == {"sonnet": ("00aa", 470, 470), "haiku": ("00bb", 100, 100)}
    assert known.unattributed == 30


async def test_the_sums_end_with_their_windows(desk):
    await end(desk, Usage(1, cost_micro_usd=5, models=(("00aa m", 5),)))
    left = {}
    async for key in desk.raw.scan_iter(f"{desk.keys.tag}:spend:models:*"):
        left[key.decode().split(":")[3]] = await desk.raw.ttl(key)
    assert 2 * 86_400 <= left["day"] <= 3 * 86_400 + 1
    assert 2 * 86_400 <= left["month"] <= 33 * 86_400 + 1


async def test_of_more_models_than_are_kept_the_cost_stays_without_a_name(desk):
    many = tuple((f"{n:04x} m{n}", 1) for n in range(230))
    await end(desk, Usage(1, cost_micro_usd=230, models=many))
    known = await found(desk)
    assert (len(known.spend), known.unattributed) == (200, 30)
    await end(desk, Usage(1, cost_micro_usd=7, models=((many[0][0], 7),)))
    assert max(one.today for one in (await found(desk)).spend) == 8, "one that is known counts on"


@pytest.mark.parametrize(
    "models",
    ["x", [1], [["00aa m"]], [["00aa m", "1"]], [["m", 1]], [["00aa m", -1]], [["00aa m", 1.5]], [["00aa m", 1e18]], {"a": 1}],
)  # fmt: skip
async def test_what_is_no_cost_of_a_model_counts_nothing_and_refuses_no_end(desk, models, monkeypatch):  # fmt: skip
    strange = json.dumps({"cost_micro_usd": 5, "models": models}, separators=(",", ":"))
    monkeypatch.setattr("penstock_store.codec.usage_text", lambda _: strange)
    await end(desk, Usage(1, cost_micro_usd=5))
    known = await found(desk)
    assert (known.spend, known.unattributed) == ((), 5)


async def test_a_usage_comes_back_with_its_models(desk):
    used = Usage(1, cost_micro_usd=5, models=(("00aa m", 2), ("00bb n", 3)), tier="easy")
    admitted = await desk.admit()
    await desk.finish(await desk.claim_one(), usage=used)
    assert (await desk.store.tasks.get(admitted.task, "acme-token")).usage == used
