"""A count that fails: it is asked for again, and neither the session nor the limit suffers."""

import dataclasses

import pytest

from penstock.task import OutcomeReason, TaskStatus
from penstock_runtime import instrumentation
from penstock_runtime.agent import loop, session
from penstock_runtime.agent.models import retrying, scripted
from penstock_runtime.agent.models.afforded import Afforded
from penstock_runtime.agent.models.breaker import Breaker
from penstock_runtime.agent.models.fallback import Entry, FallingBack
from penstock_runtime.agent.models.model import Failure, ModelFailed, PromptSize
from penstock_runtime.agent.transcript import Transcript
from tests.unit.runtime import fakes, test_breaker
from tests.unit.runtime.fakes import Notebook
from tests.unit.runtime.test_session import turns

LIMIT = 8000  # of the history below, by its bytes more and by its tokens less


class Counting(scripted.ScriptedModel):
    """Counts as it is told: numbers, None, or failures, the last one again and again."""

    def __init__(self, replies, *counts, keys=()):
        super().__init__(replies)
        self.counts = list(counts)
        self.keys = list(keys)
        self.counted = []

    async def count_tokens(self, request):
        self.counted.append(request)
        said = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        if isinstance(said, ModelFailed):
            raise said
        return said

    def renew_credentials(self):
        return bool(self.keys and self.keys.pop())


def away(kind=Failure.OVERLOADED, status=529, **more):
    return ModelFailed(kind, f"{status} away", status=status, **more)


async def ended(agent, run, *models, **more):
    """A task in a session that is too long by its bytes, with models that stand in for each other."""
    made = agent([], inputTokens=LIMIT, **more)
    layers = [
        retrying.Retrying(
            Afforded(model, fakes.FREE, made.meter), retrying.Policy(2, 0.0, outlasts_breaker=True)
        )
        for model in models
    ]
    entries = [Entry(str(number), layer, fakes.FREE) for number, layer in enumerate(layers)]
    made = dataclasses.replace(
        made,
        model=FallingBack(entries) if len(entries) > 1 else layers[0],
        prices=fakes.FREE,
        prompt=PromptSize(100, 0, "mark"),
    )
    if len(entries) > 1:
        fallbacks = [{"name": "other"}]
        declared = made.template.model.model_dump(by_alias=True, exclude_none=True)
        model = type(made.template.model).model_validate({**declared, "fallbacks": fallbacks})
        template = made.template.model_copy(update={"model": model})
        made = dataclasses.replace(made, template=template)
    run = dataclasses.replace(run, transcript=Transcript.start(tuple(turns(10)), "next"))
    return await loop.run_task(made, run, Notebook())


async def test_a_count_that_fails_once_is_asked_for_again(agent, run):
    model = Counting([scripted.text("Soon.")], away(), away(Failure.RATE_LIMITED, 429), 5000)
    told = await ended(agent, run, model)
    assert told.outcome.status is TaskStatus.SUCCEEDED
    assert len(model.counted) == 3


async def test_a_rotated_key_is_read_again_for_a_count(agent, run):
    refused = away(Failure.CREDENTIALS, 401)
    model = Counting([scripted.text("Soon.")], refused, 5000, keys=["new"])
    assert (await ended(agent, run, model)).outcome.status is TaskStatus.SUCCEEDED


@pytest.mark.parametrize(
    "failure",
    [away(), away(Failure.CREDENTIALS, 401), away(Failure.REFUSED, 400)],
    ids=lambda failure: failure.kind,
)
async def test_where_it_goes_on_failing_the_session_keeps_its_history(agent, run, failure):
    model = Counting([], failure)
    told = await ended(agent, run, model)
    assert (told.outcome.status, told.outcome.reason) == (
        TaskStatus.FAILED,
        OutcomeReason.MODEL_ERROR,
    )
    assert "could not be counted" in told.outcome.message
    assert told.shortened_history is None
    assert session.history_after(told) is None
    assert model.requests == [], "a limit is not passed uncounted"


async def test_only_where_nobody_counts_the_history_is_cut(agent, run):
    told = await ended(agent, run, Counting([], None))
    assert told.outcome.reason is OutcomeReason.LIMIT_INPUT_TOKENS
    assert told.shortened_history is not None


async def test_that_the_window_is_too_small_is_told_by_a_count_as_by_a_reply(agent, run):
    told = await ended(agent, run, Counting([], away(Failure.TOO_LONG, 400)))
    assert told.outcome.reason is OutcomeReason.LIMIT_INPUT_TOKENS
    assert told.shortened_history is not None


async def test_where_the_first_one_fails_to_count_whoever_stands_in_counts_and_answers(agent, run):
    first, other = Counting([], away()), Counting([scripted.text("Soon.")], 5000)
    told = await ended(agent, run, first, other)
    assert told.outcome.status is TaskStatus.SUCCEEDED
    assert (len(first.requests), len(other.requests)) == (0, 1)


async def test_where_the_first_one_refuses_to_count_nobody_stands_in(agent, run):
    first, other = Counting([], away(Failure.CREDENTIALS, 401)), Counting([], 5000)
    told = await ended(agent, run, first, other)
    assert told.outcome.reason is OutcomeReason.MODEL_ERROR
    assert other.counted == []


async def test_a_conversation_goes_to_nobody_else_while_the_first_one_counts(agent, run):
    first, other = Counting([scripted.text("Soon.")], 5000), Counting([], 100_000)
    told = await ended(agent, run, first, other)
    assert told.outcome.status is TaskStatus.SUCCEEDED
    assert other.counted == []


async def test_who_is_left_alone_is_not_asked_to_count_and_that_is_told():
    clock, model = test_breaker.Clock(), Counting([], 12)
    board = test_breaker.Board(test_breaker.OPEN)
    meter: instrumentation.Meter = test_breaker.METER
    breaker = Breaker(model, board, meter, "sonnet", 60.0, clock=clock.seconds)
    asked = dataclasses.replace(test_breaker.ASKED, context=clock)
    with pytest.raises(ModelFailed):
        await breaker.reply(asked)
    with pytest.raises(ModelFailed) as failed:
        await breaker.count_tokens(asked)
    assert failed.value.kind is Failure.BREAKER_OPEN
    again = retrying.Retrying(breaker, retrying.Policy(1, 1.0))
    assert await again.count_tokens(asked) == 12, "after the wait it is asked"
