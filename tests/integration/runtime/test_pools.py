"""A vendor that allows so much in a minute, asked by the workers of two agents: none hears a 429."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from penstock.money.ledger import Amount, Budget, Limit, Scope, Unit, Window
from penstock.outcomes import RowKind
from penstock.task import OutcomeReason, TaskStatus
from penstock_dev.model import testing
from tests.integration.runtime.shop import MODEL, Shop

pytestmark = pytest.mark.redis

BUDGET = Budget((Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 10_000_000),))
SETTINGS = {"breakers": True, "PENSTOCK_CONCURRENCY": "64"}


@pytest.fixture
def declared(tmp_path):
    """Writes the installation's table with what is allowed of the model in a minute."""

    def write(**limits):
        file = tmp_path / "prices.json"
        file.write_text(json.dumps({MODEL: {"rateLimits": limits}}))
        return {**SETTINGS, "PENSTOCK_PRICES_FILE": str(file)}

    return write


@pytest.fixture
async def shops(redis_server, tmp_path):
    """Two agents of one namespace."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            shop = Shop(redis_server.url, "", tmp_path)
            stack.push_async_callback(shop.close)
            found.append(shop)
        yield found


def refused(model):
    """How often the vendor has said that it is too much."""
    return sum(
        count
        for prompt in model.journal(0)["prompts"]
        for outcome, count in prompt["outcomes"].items()
        if outcome == "error 429"
    )


async def latency(shop, identifier):
    rows = await shop.store.outcomes.rows(shop.agent)
    ends = [row for row in rows if row.kind is RowKind.FINISHED]
    (row,) = [row for row in ends if identifier.endswith(row.task)]
    return row.latency_ms / 1000


async def test_two_agents_stay_within_what_is_declared_and_each_has_its_part(shops, declared):
    """66 calls where 60 are allowed at once and one a second after: the last ones take some seconds.

    What is declared is less than what the vendor allows: a call that was let go late, on a busy machine,
    arrives together with later ones.
    """
    settings = declared(requestsPerMinute=60)
    one, other = shops
    with testing.model_server(7, "--requests-per-minute", "80") as model:
        for shop in shops:
            shop.model_url = model.url
        cuts = [await shop.release({"text": "Soon."}) for shop in shops]
        began = asyncio.get_running_loop().time()
        tasks = [(one, await one.submit(f"{n}?")) for n in range(46)]
        tasks += [(other, await other.submit(f"{n}?")) for n in range(20)]
        async with contextlib.AsyncExitStack() as stack:
            for shop, cut in zip(shops, cuts, strict=True):
                for _ in range(2):
                    await stack.enter_async_context(shop.pool(cut, **settings))
            ended = [await shop.ended(each) for shop, each in tasks]
        seconds = asyncio.get_running_loop().time() - began
        assert refused(model) == 0
        assert model.journal(0)["total"] == 66
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}
    assert seconds >= 4.5
    paced = [each for each in ended if each.usage.paced_ms > 1000]
    assert paced
    for each in paced[:3]:
        shop = one if each.agent == one.agent else other
        own = await latency(shop, each.id)
        assert own < each.usage.wall_ms / 1000 - 0.8, "the wait is not the revision's"


async def test_what_the_vendor_tells_with_its_answers_is_kept_without_a_word_of_anybody(shops):
    shop, _ = shops
    with testing.model_server(7, "--output-tokens-per-minute", "12000") as model:
        shop.model_url = model.url + "/told"
        cut = await shop.release({"text": "Soon."}, maxTokens=1000)
        async with shop.pool(cut, **SETTINGS):
            await shop.ended(await shop.submit())
            await asyncio.sleep(1.1)  # for so long it was taken as not bounded
            await shop.ended(await shop.submit())
            await asyncio.sleep(1.1)
            tasks = [await shop.submit(f"{n}?") for n in range(40)]
            ended = [await shop.ended(each) for each in tasks]
        assert refused(model) == 0
    assert {each.status for each in ended} == {TaskStatus.SUCCEEDED}


async def test_who_has_to_wait_leaves_the_budget_to_others_and_ends_with_its_own_time(
    shops, declared
):
    settings = declared(requestsPerMinute=1)
    shop, _ = shops
    with testing.model_server(7) as model:
        shop.model_url = model.url + "/late"
        cut = await shop.release({"text": "Soon."}, limits={"wallSeconds": 6})
        await shop.store.ledger.declare(shop.agent, BUDGET)

        async def spent():
            windows = (await shop.store.ledger.spending(shop.agent)).windows
            return next(one for one in windows if one.window is Window.DAY)

        async def waits_and_holds_nothing():
            running = (await shop.task(waiting)).status is TaskStatus.RUNNING
            return running and (await spent()).held == Amount()

        async with shop.pool(cut, **settings):
            first = await shop.ended(await shop.submit())
            waiting = await shop.submit()
            await shop.until(waits_and_holds_nothing)
            second = await shop.ended(waiting)
        assert model.journal(0)["total"] == 1
    billed = await spent()
    assert (billed.settled.micro_usd, billed.held) == (first.usage.cost_micro_usd, Amount())
    assert first.status is TaskStatus.SUCCEEDED
    assert second.outcome.reason in (OutcomeReason.MODEL_ERROR, OutcomeReason.LIMIT_WALL_SECONDS)
