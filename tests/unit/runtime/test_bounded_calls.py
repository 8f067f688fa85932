"""What is known of a conversation's length bounds the next call, and each attempt of it."""

from dataclasses import replace

import pytest

from penstock.money import bound, prices
from penstock.money.ledger import Amount, Limit, OnExceeded, Refused, Reserved, Scope, Unit, Window
from penstock.money.prices import Day, Overhead, Tokens
from penstock.task import Counting, OutcomeReason, TaskStatus, Usage
from penstock_runtime.agent import history, loop, purses, step
from penstock_runtime.agent.history import Counted, History
from penstock_runtime.agent.models import pricing, redacted, scripted
from penstock_runtime.agent.models.model import Failure, ModelFailed, OverBudget, PromptSize, Reply
from penstock_runtime.agent.purses import Asked, Terms
from penstock_runtime.agent.step import AskModel, Count, End
from penstock_runtime.agent.transcript import Transcript
from tests.unit.runtime.fakes import Notebook

MARK = "of-this-prompt"
RATES = prices.flat("1", "5").rates(Day(2026, 1, 1))
TERMS = Terms(PromptSize(bytes=400, tools=2, mark=MARK), RATES, Overhead(10, 3, 5))
ASKED = Transcript.start((), "Where is A1?")


def said(words="Soon.", counted_by=MARK, **tokens):
    text = ({"type": "text", "text": words},)
    return Reply(text, "tool_use", Tokens(**tokens), counted_by=counted_by)


def most(talk, asked=None):
    return purses.most_input_tokens(talk, TERMS, asked)


def bytes_of(talk, since=0):
    return bound.bytes_of(talk.messages[since:])


def test_a_first_call_is_bounded_by_the_bytes_of_all_that_is_sent():
    assert most(ASKED) == 400 + bytes_of(ASKED) + 10 + 3 + 2 * 5


def test_a_later_call_is_bounded_by_the_last_count_and_what_came_since():
    talk = ASKED.with_reply(said(input=90, output=7))
    assert most(talk) == 97 + bytes_of(talk, 2) + 10 + 2 * 5
    more = replace(talk, messages=(*talk.messages, {"role": "user", "content": "漢" * 10}))
    assert most(more) == 97 + bytes_of(more, 2) + 10 + 3 + 2 * 5


@pytest.mark.parametrize("counted_by", ["", "of-another-prompt"])
def test_what_nobody_counted_or_another_model_did_is_no_count(counted_by):
    talk = ASKED.with_reply(said(counted_by=counted_by, input=1, output=1))
    assert most(talk) == 400 + bytes_of(talk) + 10 + 2 * 3 + 2 * 5


def test_a_reply_that_is_kept_otherwise_than_it_was_said_is_counted_by_its_bytes():
    odd = Reply(({"type": "text", "text": "\x00a"},), "end_turn", Tokens(9, 50), counted_by=MARK)
    talk = ASKED.with_reply(odd)
    assert talk.counted == Counted(MARK, 9, 1)


async def test_where_a_credential_was_taken_out_of_a_reply_nothing_is_counted():
    key = "k3y-that-1s-no-secret-0"
    redacted.redaction.learn(key)
    model = redacted.Redacted(scripted.ScriptedModel([said(f"It is {key}.", input=1, output=1)]))
    assert (await model.reply(None)).counted_by == ""


def test_the_vendors_own_count_is_taken_where_it_is_less_than_the_bytes():
    assert most(ASKED, Asked(1, 80)) == 80 + 2 + 10 + 2 * 5
    assert most(ASKED, Asked(1, None)) == most(ASKED)
    assert most(ASKED, Asked(1, 10**6)) == most(ASKED)


def test_a_count_is_saved_with_the_conversation_and_with_the_session():
    talk = ASKED.with_reply(said(input=90, output=7))
    assert Transcript.decode(talk.encode()).counted == talk.counted == Counted(MARK, 97, 2)
    saved = History(talk.messages, counted=talk.counted).encode()
    counted = History.decode(saved).counted
    again = Transcript.start(History.decode(saved).messages, "And B2?", counted=counted)
    assert again.counted == talk.counted
    assert History.decode(History(talk.messages).encode()).counted is None
    assert History.decode(None).counted is None


def test_a_conversation_that_loses_messages_loses_its_count():
    talk = ASKED.with_reply(said(input=90, output=7))
    assert talk.without_thinking().counted is None
    healed = Transcript.start(({"role": "user", "content": []},), "x", counted=Counted(MARK, 9, 1))
    assert healed.counted is None, "what is sent is not what was counted"
    shorter = Transcript.start((), "x", counted=Counted(MARK, 9, 1))
    assert shorter.counted is None


@pytest.mark.parametrize("written", [[MARK, 97, 3], [MARK, 97, 0], [MARK, "97", 1], "x", None])
def test_a_saved_count_that_is_none_is_passed_over(written):
    assert history.count_read({"counted": written}, 2) is None


# ------------------------------------------------------------------------------------ the step


def terms(run, **changed):
    return replace(run, terms=replace(TERMS, **changed))


def test_before_a_task_ends_for_its_next_call_the_vendor_is_asked_once(template, tools, run):
    run = terms(run)
    limits = template(inputTokens=300)
    assert step.next_step(limits, tools, run) == Count(run.transcript)
    counted = replace(run, counted=Asked(1, 90))
    assert isinstance(step.next_step(limits, tools, counted), AskModel)
    for unhelpful in (Asked(1, 290), Asked(1, None)):
        ended = step.next_step(limits, tools, replace(run, counted=unhelpful))
        assert isinstance(ended, End)
        assert ended.outcome.reason is OutcomeReason.LIMIT_INPUT_TOKENS
        assert "limits.inputTokens is 300, this task used 0, and its next" in ended.outcome.message


def test_a_count_of_an_earlier_state_is_asked_for_anew(template, tools, run):
    longer = (*run.transcript.messages, {"role": "user", "content": "x" * 400})
    run = replace(run, transcript=replace(run.transcript, messages=longer), counted=Asked(1, 10))
    assert step.next_step(template(inputTokens=300), tools, terms(run)) == Count(run.transcript)


def test_where_it_all_fits_nobody_is_asked_to_count(template, tools, run):
    asked = step.next_step(template(), tools, terms(run))
    assert (type(asked), asked.max_tokens) == (AskModel, 1000)


@pytest.mark.parametrize(
    ("cost", "reply_tokens"),
    [("0.0055", 1000), ("0.0053", 976), ("0.0018", 276), ("0.0017", 256), ("0.0016", None)],
)
def test_for_want_of_money_a_reply_is_asked_shorter_down_to_a_floor(
    template, tools, run, cost, reply_tokens
):
    run = replace(terms(run), counted=Asked(1, 397))
    found = step.next_step(template(costUSD=cost), tools, run)
    if reply_tokens is None:
        assert found.outcome.reason is OutcomeReason.LIMIT_COST
    else:
        assert found.max_tokens == reply_tokens
        assert found.purse.afford().most_micro_usd <= float(cost) * 1e6


def test_what_a_call_needs_is_told_for_the_reply_that_the_limit_of_tokens_leaves():
    wish, left = bound.Wish(100, 1000, 256), bound.Left(1000, 100, 100 + 5 * 90)
    found = bound.afford(wish, left, RATES, Overhead(0, 0, 0))
    assert found == bound.Short(bound.Resource.COST, 100 + 5 * 100, 100 + 5 * 90)


# ------------------------------------------------------------------------------------ attempts


def cut(output):
    return ModelFailed(Failure.INCOMPLETE, "cut", tokens=Tokens(100, output))


async def test_an_attempt_is_asked_for_what_those_before_it_have_left(agent, run):
    replies = [cut(400), cut(300), scripted.text("x", tokens=Tokens(100, 10))]
    made = agent(replies, costUSD="0.006")
    ended = await loop.run_task(made, run, Notebook())
    assert ended.outcome.status is TaskStatus.SUCCEEDED
    asked = [request.max_tokens for request in endpoint(made).requests]
    assert asked[0] == 1000
    assert 256 <= asked[2] < asked[1] < 1000
    assert ended.usage.cost_micro_usd <= 6000


async def test_an_attempt_that_could_pass_a_limit_is_not_made(agent, run):
    made = agent([cut(900), scripted.text("never asked")], costUSD="0.0058")
    ended = await loop.run_task(made, run, Notebook())
    assert ended.outcome.reason is OutcomeReason.LIMIT_COST
    assert "it was not made" in ended.outcome.message
    assert ended.usage == Usage(
        input_tokens=100, output_tokens=900, cost_micro_usd=4600, wall_ms=ended.usage.wall_ms
    )
    assert len(endpoint(made).requests) == 1


async def test_a_bill_above_its_bound_is_paid_counted_and_widens_the_next_bound(agent, run):
    dear = replace(scripted.text("x", tokens=Tokens(5000, 1200)), counted=True)
    made = replace(agent([dear]), prices=pricing.Fixed(prices.flat("1", "5"), Overhead(0, 0, 0)))
    afforded = made.model._model
    afforded._pricing = made.prices
    ended = await loop.run_task(made, run, Notebook())
    assert ended.usage.input_tokens == 5000
    assert made.prices.overhead.call > 4000
    assert made.prices.overhead.reply == 200


async def test_an_estimate_above_the_bound_is_no_bill(agent, run):
    made = replace(agent([scripted.text("x", tokens=Tokens(5000, 10))]))
    before = made.prices.overhead
    await loop.run_task(made, run, Notebook())
    assert made.prices.overhead == before


def endpoint(agent):
    model = agent.model
    while not isinstance(model, scripted.ScriptedModel):
        model = model._model
    return model


# -------------------------------------------------------------------------------------- budgets


DAILY = Limit(Scope.AGENT, Window.DAY, Unit.MICRO_USD, 40_000_000)


class Books:
    """A ledger that answers each call as it is told, and keeps what is reserved and settled."""

    is_unbounded = False

    def __init__(self, *answers):
        self.answers = list(answers)
        self.quotes, self.settled = [], []

    async def reserve(self, quote):
        self.quotes.append(quote)
        answer = self.answers.pop(0) if self.answers else "whole"
        if answer is None:
            return None
        if isinstance(answer, Refused):
            raise OverBudget(answer)
        length = quote.reply_tokens if answer == "whole" else answer
        cut_by = DAILY if length < quote.reply_tokens else None
        return Reserved(f"call-{len(self.quotes)}", quote.most(length), length, 5, cut_by)

    def settle(self, reserved, used):
        self.settled.append((reserved.call, used))


async def with_budget(agent, run, replies, *answers, **limits):
    notebook, made = Notebook(), agent(replies, **limits)
    notebook.ledger = Books(*answers)
    return await loop.run_task(made, run, notebook), notebook.ledger, endpoint(made)


def counted(**tokens):
    return replace(scripted.text("Soon."), tokens=Tokens(**tokens), counted=True)


async def test_each_attempt_reserves_its_bound_and_settles_its_bill(agent, run):
    refused = ModelFailed(Failure.OVERLOADED, "529")
    ended, books, _ = await with_budget(agent, run, [refused, counted(input=100, output=10)])
    assert ended.outcome.status is TaskStatus.SUCCEEDED
    assert [used for _, used in books.settled] == [Amount(), Amount(110, 150)]
    assert all(quote.fixed.tokens >= bytes_of(ASKED) for quote in books.quotes)
    assert [quote.reply_tokens for quote in books.quotes] == [1000, 1000]
    assert [quote.floor_tokens for quote in books.quotes] == [256, 256]


async def test_a_call_of_which_nobody_knows_what_is_billed_is_not_settled(agent, run):
    estimated = scripted.text("Soon.", tokens=Tokens(100, 10))
    ended, books, _ = await with_budget(agent, run, [cut(2), estimated])
    assert ended.outcome.status is TaskStatus.SUCCEEDED
    assert len(books.quotes) == 2
    assert not books.settled


async def test_a_budget_that_has_less_left_asks_for_a_shorter_reply_and_blames_no_revision(
    agent, run
):
    long = replace(counted(input=100, output=300), stop_reason="max_tokens")
    ended, _, model = await with_budget(agent, run, [long], 300)
    assert [request.max_tokens for request in model.requests] == [300]
    assert ended.outcome.reason is OutcomeReason.BUDGET
    assert "what was left of budgets.costUSD.daily" in ended.outcome.message
    assert ended.outcome.left_out


async def test_a_task_that_a_budget_refuses_ends_with_what_was_said_so_far(agent, run):
    asks = {"type": "tool_use", "id": "c", "name": "look_up", "input": {"order": "A1"}}
    first = Reply(({"type": "text", "text": "I look."}, asks), "tool_use", Tokens(1, 1))
    refused = Refused("call-2", DAILY, 39_000_000, 500_000, 0)
    ended, _, model = await with_budget(agent, run, [first], "whole", refused)
    outcome = ended.outcome
    assert (outcome.status, outcome.reason) == (TaskStatus.LIMIT_EXCEEDED, OutcomeReason.BUDGET)
    assert outcome.left_out
    assert outcome.output == "I look."
    for words in (
        "budgets.costUSD.daily is 40.000000 USD",
        "39.000000 USD are spent",
        "0.500000 USD",
    ):
        assert words in outcome.message
    assert len(model.requests) == 1


async def test_where_a_budget_hands_tasks_to_people_a_refused_one_is_a_planned_escalation(
    agent, run
):
    then = OnExceeded.ESCALATE
    refused = Refused("call-1", DAILY, 39_000_000, 500_000, 1_764_374_400_000, on_exceeded=then)
    ended, _, model = await with_budget(agent, run, [], refused)
    outcome = ended.outcome
    assert (outcome.status, outcome.reason) == (TaskStatus.ESCALATED, OutcomeReason.BUDGET)
    assert outcome.counting is Counting.LEFT_OUT
    assert "budgets.costUSD.daily is 40.000000 USD" in outcome.message
    assert outcome.message.endswith("the budget is reset at 2025-11-29 00:00 UTC")
    assert not model.requests


async def test_an_agent_without_a_budget_is_asked_as_ever(agent, run):
    ended, books, model = await with_budget(agent, run, [counted(input=1, output=1)], None)
    assert ended.outcome.status is TaskStatus.SUCCEEDED
    assert not books.settled
    assert len(model.requests) == 1
