"""When a worker asks a model, and when it waits until the vendor allows more."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from penstock import errors
from penstock.api import agent as api
from penstock.money.bound import Excess
from penstock.money.pool import PerMinute, Share
from penstock.money.prices import Overhead, Tokens
from penstock.names import AgentKey
from penstock_runtime import instrumentation
from penstock_runtime.agent.context import Live
from penstock_runtime.agent.models import faults, retrying, scripted
from penstock_runtime.agent.models.model import Bill, Failure, ModelFailed, Request
from penstock_runtime.agent.models.pooled import Pooled
from penstock_runtime.agent.models.pricing import Book
from penstock_runtime.agent.models.retrying import Retrying
from penstock_store.pools import Lent

METER = instrumentation.Meter(AgentKey("test", "agent"), "agent-00000000", "model")
ASKED = Request([{"role": "user", "content": "x" * 388}], 100, 60.0)
NEED = Share(1, 10 + 101, 100)  # a prompt of 10 tokens, four characters a token, and the reply
FREE = Lent(NEED, is_unbounded=True)
FULL = Lent(None, 400)


class Clock(Live):
    def __init__(self):
        self.now = 100.0

    def seconds(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)

    def chance(self):
        return 0.5


class Desk:
    """Answers in turn, the last answer again and again; "need" lends what is asked, with the rest."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked, self.raised = [], []

    async def borrow(self, need, more, back, told, raised):
        self.asked.append((need, more, back, told))
        self.raised.append(raised)
        await asyncio.sleep(0)
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, Exception):
            raise said
        return Lent(need + more) if said == "need" else said


class Scene:
    def __init__(self, *answers, replies=()):
        self.clock, self.desk = Clock(), Desk(*answers)
        self.model = scripted.ScriptedModel(replies or [counted() for _ in range(50)])
        self.book = self.desk.learner = Book(api.Model(name="claude-sonnet-5-5"))
        self.pooled = Pooled(self.model, self.desk, METER, "sonnet", 10, clock=self.clock.seconds)

    async def ask(self, **more):
        request = dataclasses.replace(ASKED, context=self.clock, bill=Bill(), **more)
        return await self.pooled.reply(request), request.bill


def counted(**more):
    told = {"tokens": Tokens(111, 100), "counted": True, **more}
    return dataclasses.replace(scripted.text("hello"), **told)


async def test_what_is_not_bounded_is_asked_about_once_a_second():
    scene = Scene(FREE)
    for _ in range(10):
        await scene.ask()
        scene.clock.now += 0.21
    assert len(scene.desk.asked) == 2
    assert scene.desk.asked[0][0] == NEED


async def test_a_second_is_borrowed_by_what_the_one_before_has_used():
    scene = Scene("need")
    for _ in range(4):
        await scene.ask()
        scene.clock.now += 0.1
    assert [more.requests for _, more, _, _ in scene.desk.asked] == pytest.approx([0, 10])
    for _ in range(6):
        await scene.ask()
        scene.clock.now += 0.1
    assert len(scene.desk.asked) == 2, "of ten calls two had to ask"


async def test_what_was_borrowed_and_not_used_goes_back_after_its_second():
    scene = Scene("need", Lent(NEED.times(5)), "need")
    await scene.ask()
    await scene.ask()
    scene.clock.now += 1.1
    await scene.ask()
    assert scene.desk.asked[2][2] == NEED.times(4)


async def test_what_a_call_has_not_used_comes_back_when_it_has_ended():
    tokens = Tokens(60, 20, cache_read=50)
    scene = Scene(Lent(NEED), replies=[counted(tokens=tokens), counted()])
    await scene.ask()
    await scene.ask()
    assert scene.desk.asked[1][2] == Share(0, 111 - 10, 80)


@pytest.mark.parametrize(
    ("failure", "back"),
    [
        (ModelFailed(Failure.BREAKER_OPEN, "away"), NEED),
        (ModelFailed(Failure.OVERLOADED, "529", status=529), Share(0, 111, 100)),
        (ModelFailed(Failure.RATE_LIMITED, "429", status=429), Share()),
        (ModelFailed(Failure.TIMEOUT, "late", tokens=Tokens(111)), Share()),
    ],
)
async def test_a_call_that_fails_gives_back_what_its_vendor_has_not_counted(failure, back):
    scene = Scene(Lent(NEED), replies=[failure, counted()])
    with pytest.raises(ModelFailed):
        await scene.ask()
    await scene.ask()
    assert scene.desk.asked[-1][2] == back or (back == NEED and len(scene.desk.asked) == 1)


async def test_who_waits_is_asked_in_order_and_its_wait_is_in_its_bill():
    scene = Scene(FULL, FULL, "need")
    order = []

    async def one(number):
        _, bill = await scene.ask()
        order.append(number)
        return bill.paced_ms

    waited = await asyncio.gather(*(one(number) for number in range(3)))
    assert order == [0, 1, 2]
    assert waited == [800, 800, 800]
    assert len(scene.desk.asked) == 3, "one asked for all of them"
    assert scene.desk.asked[2][1] == NEED.times(2)


@pytest.mark.parametrize("waits", [0.0, 0.5])
async def test_who_waits_for_longer_than_a_moment_holds_no_money(waits):
    class Ledger:
        is_unbounded, let = False, 0

        async def let_go(self):
            self.let += 1

    scene, ledger = Scene(FULL, "need"), Ledger()
    full = FULL.wait_ms / 1000
    scene.clock.sleep = lambda seconds: asyncio.sleep(waits if seconds == full else seconds)
    await scene.ask(ledger=ledger)
    assert ledger.let == (1 if waits else 0)


async def test_a_wait_beyond_the_tasks_time_is_not_begun():
    scene = Scene(FULL)
    with pytest.raises(ModelFailed) as late:
        await scene.ask(deadline=scene.clock.now + 1.0)
    assert late.value.kind is Failure.PACED
    assert "its vendor allows" in late.value.message
    assert scene.clock.now <= 101.0
    assert not scene.model.requests


async def test_who_stands_behind_one_that_waits_gives_up_with_its_own_time():
    scene = Scene(Lent(None, 400))
    scene.clock.sleep = lambda _: asyncio.sleep(5)
    first = asyncio.create_task(scene.ask())
    await asyncio.sleep(0.01)
    with pytest.raises(ModelFailed, match="no more time"):
        await scene.ask(deadline=scene.clock.now + 0.05)
    first.cancel()


@pytest.mark.parametrize("error", [errors.StoreUnavailable("gone"), errors.StoreRefused("no")])
async def test_where_the_store_says_nothing_the_model_is_asked(error):
    scene = Scene(error)
    _, bill = await scene.ask()
    assert not bill.paced_ms
    await scene.ask()
    assert len(scene.desk.asked) == 1, "and not asked again within the second"


async def test_what_the_vendor_tells_is_told_once():
    allowed = PerMinute(50, 1000, 200)
    known = Lent(NEED.times(2), told=allowed)
    scene = Scene(FREE, known, replies=[counted(allowed=allowed) for _ in range(9)])
    for _ in range(3):
        await scene.ask()
        scene.clock.now += 1.1
    assert [told for *_, told in scene.desk.asked] == [PerMinute(), allowed, PerMinute()]


async def test_what_a_bill_had_beyond_its_bound_is_told_once_and_what_others_saw_is_heard():
    scene = Scene(FREE, dataclasses.replace(FREE, raised=(700, 5)))
    scene.book.raise_overhead(Excess(300, 0))
    for _ in range(3):
        await scene.ask()
        scene.clock.now += 1.1
    assert scene.desk.raised == [(300, 0), (0, 0), (0, 0)]
    assert scene.book.raised == Overhead(700, 0, 0, 5)
    scene.book.raise_overhead(Excess(100, 0))
    await scene.ask()
    assert scene.desk.raised[-1] == (800, 5)


async def test_a_wait_that_a_429_asks_for_is_no_time_of_the_revision():
    refused = ModelFailed(Failure.RATE_LIMITED, "429", 7.0, status=429)
    scene = Scene(FREE, replies=[refused, counted()])
    model = Retrying(scene.pooled, retrying.Policy(1, 0.01))
    request = dataclasses.replace(ASKED, context=scene.clock, bill=Bill())
    await model.reply(request)
    assert request.bill.paced_ms == 7000
    assert request.bill.usage.paced_ms == 7000


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, None),
        ({"anthropic-ratelimit-requests-limit": "50"}, PerMinute(50)),
        (
            {
                "anthropic-ratelimit-input-tokens-limit": "30000",
                "anthropic-ratelimit-output-tokens-limit": "8000",
            },
            PerMinute(None, 30_000, 8000),
        ),
        ({"anthropic-ratelimit-requests-limit": "0"}, None),
        ({"anthropic-ratelimit-requests-limit": "-5"}, None),
        ({"anthropic-ratelimit-requests-limit": "many"}, None),
        ({"anthropic-ratelimit-requests-limit": "9" * 40}, None),
    ],
)
def test_what_an_answer_allows_is_read_from_its_headers(headers, allowed):
    assert faults.allowed(headers) == allowed
