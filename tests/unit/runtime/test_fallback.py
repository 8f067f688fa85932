"""Which failure of a model makes the next one asked, and what is told when nobody answers."""

from __future__ import annotations

import dataclasses

import pytest

from penstock.access import Access
from penstock.money import bound, prices
from penstock_runtime.agent.context import Live
from penstock_runtime.agent.models import pricing, retrying, scripted
from penstock_runtime.agent.models.fallback import Entry, FallingBack
from penstock_runtime.agent.models.model import (
    Bill,
    Failure,
    ModelFailed,
    Purse,
    Request,
    Unaffordable,
)

FREE = pricing.Fixed(prices.flat("0", "0"))
ASKED = Request([{"role": "user", "content": "x"}], 100, 5.0)


class Clock(Live):
    """Time passes only by waiting."""

    def __init__(self):
        self.now = 0.0

    def seconds(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds

    def chance(self):
        return 1.0


def failed(kind, **more):
    return ModelFailed(kind, f"it said {kind.value}", **more)


async def ask(*models, left_seconds=100.0, clock=None):
    clock = clock or Clock()
    request = dataclasses.replace(
        ASKED, deadline=clock.now + left_seconds, context=clock, bill=Bill()
    )
    entries = [Entry(f"model-{number}", model, FREE) for number, model in enumerate(models, 1)]
    return await FallingBack(entries).reply(request)


def answering(words="hello"):
    return scripted.ScriptedModel([scripted.text(words)])


@pytest.mark.parametrize(
    "failure",
    [
        failed(Failure.OVERLOADED, status=529),
        failed(Failure.OVERLOADED, status=500),
        failed(Failure.TIMEOUT),
        failed(Failure.CONNECTION),
        failed(Failure.INCOMPLETE),
        failed(Failure.GARBLED),
        failed(Failure.RATE_LIMITED, status=429),
        failed(Failure.BREAKER_OPEN),
        failed(Failure.REFUSED, status=503),  # it forbids a retry of this request to itself
        failed(Failure.REFUSED, status=404, access=Access.MODEL_NOT_FOUND),
    ],
    ids=lambda failure: f"{failure.kind}-{failure.status}",
)
async def test_the_next_model_is_asked_where_the_first_is_away(failure):
    reply = await ask(scripted.ScriptedModel([failure]), answering())
    assert reply.content[0]["text"] == "hello"


@pytest.mark.parametrize(
    "failure",
    [
        failed(Failure.REFUSED, status=400),
        failed(Failure.REFUSED, status=402),
        failed(Failure.REFUSED, status=429),  # a spend limit
        failed(Failure.TOO_LONG, status=413),
        failed(Failure.CREDENTIALS, status=401, access=Access.CREDENTIALS_REFUSED),
    ],
    ids=lambda failure: f"{failure.kind}-{failure.status}",
)
async def test_what_is_of_our_own_making_is_told_and_not_taken_elsewhere(failure):
    standing_in = answering()
    with pytest.raises(ModelFailed) as told:
        await ask(scripted.ScriptedModel([failure]), standing_in)
    assert told.value is failure
    assert standing_in.requests == []


async def test_one_that_stands_in_is_left_after_any_failure():
    reply = await ask(
        scripted.ScriptedModel([failed(Failure.OVERLOADED)]),
        scripted.ScriptedModel([failed(Failure.CREDENTIALS, status=401)]),
        answering("third"),
    )
    assert reply.content[0]["text"] == "third"


async def test_when_nobody_answers_the_first_failure_counts_and_all_are_told():
    with pytest.raises(ModelFailed) as told:
        await ask(
            scripted.ScriptedModel([failed(Failure.OVERLOADED, status=529)]),
            scripted.ScriptedModel([failed(Failure.TOO_LONG, status=413)]),
        )
    assert (told.value.kind, told.value.status) == (Failure.OVERLOADED, 529)
    assert told.value.message == "model-1: it said Overloaded; model-2: it said TooLong"


async def test_only_the_last_one_may_take_all_the_time_that_is_left():
    first = scripted.ScriptedModel([failed(Failure.TIMEOUT)])
    second = scripted.ScriptedModel([failed(Failure.TIMEOUT)])
    last = answering()
    await ask(first, second, last, left_seconds=80)
    assert [model.requests[0].deadline for model in (first, second, last)] == [40, 40, 80]


async def test_retries_of_the_first_end_where_their_wait_would_leave_no_time():
    down = scripted.ScriptedModel([failed(Failure.OVERLOADED, status=529)] * 9)
    clock = Clock()
    retried = retrying.Retrying(down, retrying.Policy(8, 2.0))
    await ask(retried, answering(), left_seconds=20, clock=clock)
    assert len(down.requests) == 3  # after waits of 2 s and 4 s; a wait of 8 s would pass 10 s
    assert clock.now == 6


async def test_without_time_nobody_else_is_asked():
    clock = Clock()

    class Slow(scripted.ScriptedModel):
        async def reply(self, request):
            clock.now = 100.0
            return await super().reply(request)

    standing_in = answering()
    with pytest.raises(ModelFailed):
        await ask(Slow([failed(Failure.TIMEOUT)]), standing_in, clock=clock)
    assert standing_in.requests == []


# ----------------------------------------------------------------------------- what it may use


class Counting(scripted.ScriptedModel):
    """Says how many tokens a request has."""

    def __init__(self, replies, tokens):
        super().__init__(replies)
        self.tokens = tokens

    async def count_tokens(self, request):
        return self.tokens


PLAIN = prices.Overhead(0, 0, 0, 0)
DEAR = pricing.Fixed(prices.flat("10", "100"), PLAIN)


def purse(sent_bytes, micro_usd, input_tokens=100_000):
    """The first model has counted 10 tokens, of which another one knows nothing."""
    return Purse(
        bound.Wish(10, 500, 256),
        bound.Left(input_tokens, 10_000, micro_usd),
        prices.flat("1", "1").rates(prices.Day(2026, 11, 29)),
        PLAIN,
        (bound.Sent(sent_bytes, 1, 0),),
    )


async def stand_in(model, given):
    """Ask a dear model after a cheap one was away; what it was asked with."""
    first = scripted.ScriptedModel([failed(Failure.OVERLOADED, status=529)])
    entries = [Entry("cheap", first, FREE), Entry("dear", model, DEAR)]
    request = dataclasses.replace(ASKED, context=Clock(), bill=Bill(), purse=given)
    await FallingBack(entries).reply(request)
    return model.requests[0].purse


async def test_one_that_stands_in_is_bounded_by_its_own_price_and_by_the_bytes():
    given = await stand_in(Counting([scripted.text("x")], None), purse(1000, 10_000_000))
    assert given.wish.input_tokens == 1000
    assert given.afford().most_micro_usd == 1000 * 10 + 500 * 100


async def test_where_the_bytes_are_too_many_it_is_asked_to_count():
    model = Counting([scripted.text("x")], 40)
    given = await stand_in(model, purse(50_000, 10_000_000, input_tokens=20_000))
    assert given.wish.input_tokens == 40


async def test_where_it_cannot_be_paid_that_is_told_beside_why_it_was_asked():
    class Afforded(Counting):
        async def reply(self, request):
            raise Unaffordable(request.purse.afford())

    with pytest.raises(ModelFailed) as told:
        await stand_in(Afforded([], 40), purse(1000, 20_000))
    assert told.value.kind is Failure.OVERLOADED
    assert "dear: it can use 26000 of costUSD, and 20000 are left" in told.value.message


async def test_a_conversation_counts_as_the_first_one_counts():
    entries = [
        Entry("one", Counting([], None), FREE),
        Entry("two", Counting([], 30), FREE),
    ]
    assert await FallingBack(entries).count_tokens(ASKED) is None
    assert await FallingBack(entries[1:]).count_tokens(ASKED) == 30
