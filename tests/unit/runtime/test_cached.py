"""What the response cache does where the store is no help, and which requests it takes for one."""

from __future__ import annotations

import dataclasses

import pytest

from penstock import errors
from penstock.money.prices import Tokens
from penstock_runtime.agent.models import cached, scripted
from penstock_runtime.agent.models.model import Bill, Charge, Failure, ModelFailed, Request
from penstock_runtime.worker.answers import TenantAnswers
from tests.unit.runtime.fakes import claim

RULES = cached.Rules("agent-1", "model", "mark", frozenset({"look"}), 60)
ASKED = Request([{"role": "user", "content": "x"}], 100, 5.0)


class Kept:
    """What is kept, in memory."""

    def __init__(self):
        self.answers = {}

    async def find(self, digest):
        return self.answers.get(digest)

    async def keep(self, digest, answer, seconds):
        self.answers[digest] = answer


class Away:
    """A store that does not answer."""

    async def find(self, *_):
        raise errors.StoreUnavailable("Redis does not answer")

    async def keep(self, *_):
        raise errors.StoreRefused("Redis is full")


class Meter:
    """Counts calls of the store that got no answer."""

    def __init__(self):
        self.errors = 0

    def store_error(self):
        self.errors += 1


async def ask(model, kept, rules=RULES, **changed):
    request = dataclasses.replace(ASKED, answers=kept, bill=Bill(), **changed)
    return await cached.Cached(model, rules, lambda: None).reply(request), request.bill


async def test_where_the_store_does_not_answer_the_model_does():
    meter = Meter()
    away = TenantAnswers(type("Store", (), {"answers": Away()}), claim(), meter)
    model = scripted.ScriptedModel([scripted.text("one"), scripted.text("two")])
    for words in ("one", "two"):
        answer, _ = await ask(model, away)
        assert answer.content == ({"type": "text", "text": words},)
    assert meter.errors == 4


async def test_an_answer_costs_nothing_and_counts_at_list_price():
    charge = Charge(Tokens(10, 5, cache_read=4), 30, 1, 12)
    first = dataclasses.replace(scripted.text("hello"), charge=charge)
    model, kept = scripted.ScriptedModel([first]), Kept()
    await ask(model, kept)
    answer, bill = await ask(model, kept)
    assert (answer.content, answer.tokens.input, answer.cached) == (first.content, 10, True)
    assert (bill.usage.cost_micro_usd, bill.usage.list_price_micro_usd) == (0, 42)
    assert bill.charge.attempts == 0


@pytest.mark.parametrize(
    ("rules", "changed"),
    [
        (dataclasses.replace(RULES, revision="agent-2"), {}),
        (dataclasses.replace(RULES, mark="another"), {}),
        (RULES, {"messages": [{"role": "user", "content": "x "}]}),
        (RULES, {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
        (RULES, {"denied": ["model"]}),
    ],
)
async def test_another_request_is_asked(rules, changed):
    by = dataclasses.replace(scripted.text("x").by, model="model")
    replies = [dataclasses.replace(scripted.text(words), by=by) for words in ("one", "two")]
    model, kept = scripted.ScriptedModel(replies), Kept()
    await ask(model, kept)
    answer, _ = await ask(model, kept, rules, **changed)
    assert answer.content[0]["text"] == "two"


@pytest.mark.parametrize(
    "reply",
    [
        scripted.text("cut", stop_reason="max_tokens"),
        scripted.text("no", stop_reason="refusal"),
        scripted.text("more", stop_reason="pause_turn"),
        scripted.text("\n"),
        scripted.tool_use(("1", "look", {}), ("2", "refund", {})),
        dataclasses.replace(
            scripted.text("x"), by=dataclasses.replace(scripted.text("x").by, model="another")
        ),
    ],
)
async def test_what_is_no_whole_answer_of_the_model_itself_is_not_kept(reply):
    kept = Kept()
    await ask(scripted.ScriptedModel([reply]), kept)
    assert not kept.answers


async def test_a_call_of_a_reading_tool_is_kept_whole():
    reply = scripted.tool_use(("1", "look", {"order": "🦊 \ud83e"}))
    kept = Kept()
    await ask(scripted.ScriptedModel([reply]), kept)
    answer, _ = await ask(scripted.ScriptedModel([]), kept)
    assert answer.content == reply.content


async def test_a_failure_is_told_and_not_kept():
    kept = Kept()
    with pytest.raises(ModelFailed):
        await ask(scripted.ScriptedModel([ModelFailed(Failure.OVERLOADED, "529")]), kept)
    assert not kept.answers


async def test_a_task_without_a_cache_asks():
    model = scripted.ScriptedModel([scripted.text("one"), scripted.text("two")])
    assert [(await ask(model, None))[0].content[0]["text"] for _ in range(2)] == ["one", "two"]
