"""A task's account: what was reserved with its claim, what it asks for itself, and the bills it owes."""

import asyncio

import pytest

from penstock import errors
from penstock.money.ledger import (
    NOTHING,
    Amount,
    Limit,
    Quote,
    Refused,
    Reserved,
    Scope,
    Settlement,
    Unit,
    Waiting,
    Window,
)
from penstock_runtime.agent.models.model import OverBudget
from penstock_runtime.worker.account import PATIENCE_MS, Account, OutOfTime
from tests.unit.runtime import fakes

DAILY = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 1000)
QUOTE = Quote(Amount(100, 100), 50, 10, 1_000_000)
MOST = QUOTE.most(50)
FIRST = "claim-0.0"


def reserved(call, most=MOST, reply=50, cut_by=None):
    return Reserved(call, most, reply, 7, cut_by)


class Books:
    """Answers in turn what it is told to, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.wishes, self.settled = [], []
        self.away = None

    async def reserve(self, _agent, task, wish):
        self.wishes.append((task, wish))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return reserved(wish.call) if answer == "whole" else answer

    async def settle(self, _agent, _task, settlements):
        if self.away:
            raise self.away
        self.settled += settlements
        return [True for _ in settlements]


def account(books, first=None, *, asked=True, left_ms=60_000):
    return Account(books, fakes.claim(reserved=first), lambda: left_ms, asked=asked)


async def test_what_was_reserved_with_the_claim_serves_the_first_call_and_no_other():
    books = Books("whole")
    own = account(books, reserved(FIRST))
    assert (await own.reserve(QUOTE)).call == FIRST
    assert (await own.reserve(QUOTE)).call == "claim-0.1"
    ((task, wish),) = books.wishes
    assert (task, wish.quote, wish.patience_ms) == ("task-0", QUOTE, PATIENCE_MS)
    assert wish.lasts_ms > 60_000


async def test_a_later_call_is_reserved_with_the_checkpoint_before_it_and_asks_for_nothing_more():
    books = Books()
    own = account(books, reserved(FIRST))
    await own.reserve(QUOTE)
    wish = own.ahead(QUOTE)
    assert (wish.call, wish.quote, wish.patience_ms) == ("claim-0.1", QUOTE, PATIENCE_MS)
    cut = reserved(wish.call, reply=20, cut_by=DAILY)
    own.answered(wish, cut)
    assert await own.reserve(QUOTE) == cut, "it was bounded as it is made, and is what is left"
    assert not books.wishes
    assert not own.last_bills()


async def test_a_call_that_is_refused_with_the_checkpoint_is_not_asked_about_again():
    books = Books()
    own = account(books, reserved(FIRST))
    await own.reserve(QUOTE)
    wish = own.ahead(QUOTE)
    own.answered(wish, Refused(wish.call, DAILY, 990, 3, 5))
    with pytest.raises(OverBudget):
        await own.reserve(QUOTE)
    assert not books.wishes


async def test_where_prices_have_risen_since_the_checkpoint_the_call_asks_by_itself():
    books, dearer = Books("whole"), Quote(Amount(200, 300), 50, 10, 1_000_000)
    own = account(books, reserved(FIRST))
    await own.reserve(QUOTE)
    own.answered(own.ahead(QUOTE), reserved("claim-0.1"))
    assert (await own.reserve(dearer)).call == "claim-0.2"
    assert [one.call for one in books.settled] == ["claim-0.1"]


async def test_what_a_checkpoint_may_have_reserved_is_given_back_where_no_call_follows():
    unanswered, unused = account(Books(), reserved(FIRST)), account(Books(), reserved(FIRST))
    for own in (unanswered, unused):
        await own.reserve(QUOTE)
    wish = unanswered.ahead(QUOTE)
    assert unanswered.last_bills() == (Settlement(wish.call, NOTHING, 0),)
    unused.answered(unused.ahead(QUOTE), reserved("claim-0.1"))
    assert unused.ahead(QUOTE).call == "claim-0.2"
    assert unused.bills() == (Settlement("claim-0.1", NOTHING, 7),)


@pytest.mark.parametrize("away", [False, True])
async def test_a_call_that_has_to_wait_for_something_else_holds_nothing_and_asks_again(away):
    books = Books("whole")
    own = account(books, reserved(FIRST))
    books.away = errors.StoreUnavailable("gone") if away else None
    await own.let_go()
    given_back = Settlement(FIRST, NOTHING, 7)
    assert books.settled == ([] if away else [given_back])
    assert own.bills() == ((given_back,) if away else ())
    assert (await own.reserve(QUOTE)).call == "claim-0.1"


async def test_a_budget_that_is_gone_is_asked_about_no_more():
    own = account(Books(), reserved(FIRST))
    await own.reserve(QUOTE)
    own.answered(own.ahead(QUOTE), None)
    assert own.is_unbounded
    assert own.ahead(QUOTE) is None
    assert await own.reserve(QUOTE) is None


@pytest.mark.parametrize(
    "first",
    [
        reserved(FIRST, most=Amount(149, 10_000)),
        reserved(FIRST, most=Amount(10_000, 149)),
        reserved(FIRST, reply=20, cut_by=DAILY),
        reserved(FIRST, most=Amount(10_000, 10_000), reply=20),
    ],
    ids=[
        "too few tokens",
        "too little money",
        "cut by what was bounded too wide",
        "a reply of the model, and a tier's is longer",
    ],
)
async def test_what_is_not_enough_is_given_back_before_the_call_asks_for_itself(first):
    books = Books("whole")
    own = account(books, first)
    assert (await own.reserve(QUOTE)).call == "claim-0.1"
    assert books.settled == [Settlement(FIRST, NOTHING, 7)]
    assert not own.last_bills()


async def test_who_waits_since_the_claim_goes_on_waiting_under_the_same_call():
    books = Books("whole")
    assert (await account(books, Waiting(FIRST)).reserve(QUOTE)).call == FIRST


async def test_a_refusal_of_what_was_bounded_too_wide_is_asked_about_once_more():
    refused = Refused(FIRST, DAILY, 900, 0, 5)
    books = Books("whole")
    assert (await account(books, refused).reserve(QUOTE)).call == "claim-0.1"
    with pytest.raises(OverBudget) as stop:
        await account(Books(Refused("claim-0.1", DAILY, 990, 3, 5)), refused).reserve(QUOTE)
    assert stop.value.refused.spent == 990


async def test_an_agent_without_a_budget_is_not_asked_about_again():
    books = Books()
    own = account(books)
    assert await own.reserve(QUOTE) is None
    assert not books.wishes


async def test_where_the_claim_did_not_ask_the_first_call_does_and_once_is_enough():
    books = Books(None)
    own = account(books, asked=False)
    assert await own.reserve(QUOTE) is None
    assert await own.reserve(QUOTE) is None
    assert len(books.wishes) == 1
    assert (await account(Books("whole"), asked=False).reserve(QUOTE)).call == "claim-0.1"


@pytest.mark.parametrize("cut", [asyncio.CancelledError(), errors.StoreUnavailable("gone")])
async def test_what_was_asked_for_and_never_answered_is_given_back_at_the_end(cut):
    own = account(Books(cut), asked=False, left_ms=0)
    with pytest.raises((asyncio.CancelledError, OutOfTime)):
        await own.reserve(QUOTE)
    assert own.last_bills() == (Settlement("claim-0.1", NOTHING, 0),)


async def test_who_asks_by_itself_tells_first_what_it_owes():
    books = Books("whole", "whole")
    own = account(books, reserved(FIRST))
    own.settle(await own.reserve(QUOTE), NOTHING)
    assert not books.settled, "it may still ride on another word"
    again = await own.reserve(QUOTE)
    assert books.settled == [Settlement(FIRST, NOTHING, 7)], (
        "it is not in the way of the second try"
    )
    own.settle(again, Amount(5, 6))
    assert own.last_bills() == (Settlement(again.call, Amount(5, 6), 7),)


@pytest.mark.parametrize("left_ms", [0, 60_000])
async def test_what_cannot_be_given_back_at_once_is_with_the_next_word(left_ms):
    books = Books("whole")
    books.away = errors.StoreUnavailable("gone")
    own = account(books, reserved(FIRST, reply=20, cut_by=DAILY), left_ms=left_ms)
    assert (await own.reserve(QUOTE)).call == "claim-0.1"
    assert own.bills() == (Settlement(FIRST, NOTHING, 7),)


async def test_while_the_store_is_away_no_call_is_made():
    away = errors.StoreUnavailable("gone")
    books = Books(away, away, "whole")
    assert (await account(books, reserved("x", Amount()), left_ms=10).reserve(QUOTE)).call
    assert len(books.wishes) == 3
    with pytest.raises(OutOfTime):
        await account(Books(away), asked=False, left_ms=0).reserve(QUOTE)


async def test_bills_are_owed_until_they_are_told():
    own = account(Books(), reserved(FIRST))
    first = await own.reserve(QUOTE)
    own.settle(first, Amount(5, 6))
    bills = own.bills()
    assert bills == (Settlement(FIRST, Amount(5, 6), 7),)
    own.settle(reserved("later"), Amount(1, 1))
    own.told(bills)
    assert [bill.call for bill in own.bills()] == ["later"]


@pytest.mark.parametrize("first", [reserved(FIRST), Waiting(FIRST)])
async def test_what_a_task_never_asked_for_is_given_back_at_its_end(first):
    (bill,) = account(Books(), first).last_bills()
    assert (bill.call, bill.used) == (FIRST, NOTHING)
