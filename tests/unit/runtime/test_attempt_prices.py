"""Prices that change while a call waits for its next try bound that try, and are what it is billed at."""

from dataclasses import replace
from decimal import Decimal

import pytest

from penstock.money import bound, prices
from penstock.money.prices import Day, Overhead, Tokens
from penstock.names import AgentKey
from penstock_runtime import instrumentation
from penstock_runtime.agent.context import Live
from penstock_runtime.agent.models import pricing, retrying, scripted
from penstock_runtime.agent.models.access import LastWord
from penstock_runtime.agent.models.model import Failure, ModelFailed, Purse, Request, Unaffordable
from penstock_runtime.worker import boot

TODAY = Day(2026, 12, 31)
RATES = prices.flat("1", "5").rates(TODAY)


class Clock(Live):
    """A wait in which something happens, and a day that may be set."""

    def __init__(self, happens=lambda: None):
        self.happens = happens
        self.today = Day(2026, 12, 31)

    async def sleep(self, seconds):
        self.happens()

    def day(self):
        return self.today


class Exceeded(instrumentation.Meter):
    exceeded = 0

    def bound_exceeded(self):
        self.exceeded += 1


def layered(replies, own, meter=None):
    """A model in its layers, with a price of its own."""
    meter = meter or instrumentation.Meter(AgentKey("test", "agent"), "agent-00000000", "model")
    model = scripted.ScriptedModel(replies)
    policy = retrying.Policy(2, 0.0)
    return model, boot.layered_model(model, own, meter, LastWord(), policy)


def bounded(context, micro_usd, floor=256):
    """A request of 100 tokens for a reply of 1000, with so much money left."""
    wish = bound.Wish(100, 1000, floor)
    left = bound.Left(100_000, 100_000, micro_usd)
    own = Purse(wish, left, RATES, Overhead(0, 0, 0))
    return Request((), 1000, 5.0, context=context, purse=own)


AWAY = ModelFailed(Failure.OVERLOADED, "529")


def risen(own):
    own._price = prices.flat("10", "50")


async def test_a_price_that_rises_between_two_attempts_bounds_the_next_one():
    own = pricing.Fixed(prices.flat("1", "5"), Overhead(0, 0, 0))
    model, layers = layered([AWAY, scripted.text("never asked")], own)
    with pytest.raises(Unaffordable) as stop:
        await layers.reply(bounded(Clock(lambda: risen(own)), 5100))
    assert stop.value.short == bound.Short(bound.Resource.COST, 1000 + 50 * 256, 5100)
    assert len(model.requests) == 1


async def test_an_attempt_is_billed_at_the_rates_by_which_it_was_bounded():
    own = pricing.Fixed(prices.flat("1", "5"), Overhead(0, 0, 0))
    model, layers = layered([AWAY, scripted.text("x", tokens=Tokens(100, 80))], own)
    reply = await layers.reply(bounded(Clock(lambda: risen(own)), 5100, floor=10))
    assert [asked.max_tokens for asked in model.requests] == [1000, 82]
    assert reply.charge.cost_micro_usd == 10 * 100 + 50 * 80 <= 5100


async def test_a_dated_price_bounds_the_attempts_from_its_midnight_on():
    first, then = (prices.flat(*both).rates(TODAY) for both in (("1", "5"), ("10", "50")))
    own = pricing.Fixed(prices.Price(((None, first), (Day(2027, 1, 1), then))), Overhead(0, 0, 0))
    clock = Clock()
    clock.happens = lambda: setattr(clock, "today", Day(2027, 1, 1))
    _, layers = layered([AWAY, scripted.text("never asked")], own)
    with pytest.raises(Unaffordable):
        await layers.reply(bounded(clock, 5100))


async def test_an_overhead_that_was_raised_meanwhile_bounds_the_next_attempt():
    own = pricing.Fixed(prices.flat("1", "5"), Overhead(0, 0, 0))
    raised = Clock(lambda: own.raise_overhead(bound.Excess(300, 20)))
    model, layers = layered([AWAY, scripted.text("x", tokens=Tokens(400, 20))], own)
    await layers.reply(bounded(raised, 5100))
    assert [asked.max_tokens for asked in model.requests] == [1000, 920]


async def test_a_bill_above_its_bound_in_money_alone_is_counted_and_no_tokens_are_added():
    dear = replace(RATES, cache_write_long=prices.Rate(Decimal(100)))
    own = pricing.Fixed(prices.Price(((None, dear),)), Overhead(0, 0, 0))
    meter = Exceeded(AgentKey("test", "agent"), "agent-00000000", "model")
    kept = Tokens(100, 10, cache_write_long=100)
    answers = [replace(scripted.text("x", tokens=kept), counted=True)]
    _, layers = layered(answers, own, meter)
    await layers.reply(bounded(Clock(), 5100))
    assert meter.exceeded == 1
    assert own.overhead == Overhead(0, 0, 0)
