"""What stands around a model and around tools: each is one of the same kind, and adds one thing."""

import asyncio

import pytest

from penstock import errors
from penstock.api.tool import Tool
from penstock.money import prices
from penstock.money.prices import Tokens
from penstock.names import AgentKey
from penstock.task import Usage
from penstock_runtime import instrumentation, redaction
from penstock_runtime.agent.context import Live
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models import pricing, retrying, scripted
from penstock_runtime.agent.models.access import LastWord
from penstock_runtime.agent.models.metered import Metered
from penstock_runtime.agent.models.model import (
    NOBODY,
    Charge,
    Failure,
    Identity,
    ModelFailed,
    Request,
)
from penstock_runtime.agent.models.redacted import Redacted
from penstock_runtime.agent.tools.metered import MeteredTools
from penstock_runtime.agent.tools.redacted import RedactedTools
from penstock_runtime.agent.tools.toolset import ToolRequest, ToolResult
from penstock_runtime.worker import boot
from penstock_store.records import Directive
from tests.unit.runtime.conftest import tool

MESSAGES = [{"role": "user", "content": "x"}]
TOOL = Tool.model_validate(tool("look_up"))


price = pricing.Fixed(prices.flat("1", "5"))


class Meter(instrumentation.Meter):
    """Keeps what was counted."""

    def __init__(self):
        super().__init__(AgentKey("test", "agent"), "agent-00000000", "model")
        object.__setattr__(self, "counted", [])

    def model_called(self, outcome, seconds):
        self.counted.append((outcome, seconds))

    def model_charged(self, tokens, cost_micro_usd):
        self.counted.append((tokens.input, tokens.output, cost_micro_usd))

    def tool_called(self, *called):
        self.counted.append(called)


class Ticking(Live):
    """A context in which each look at the clock takes a second."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def seconds(self):
        self.now += 1.0
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)

    def chance(self):
        return 0.5


class Hanging(scripted.ScriptedModel):
    """Sends, and never answers; cut, it says what was used."""

    async def reply(self, request):
        try:
            await asyncio.Event().wait()
        finally:
            request.bill.book(Charge(Tokens(7, 1)))


def request(**more):
    return Request(MESSAGES, 100, 5.0, context=Ticking(), **more)


# ---------------------------------------------------------------------------------- models


async def test_a_reply_says_what_it_cost_and_the_bill_what_it_took_to_get_it():
    cut = ModelFailed(Failure.INCOMPLETE, "cut", tokens=Tokens(10, 2))
    answers = [cut, scripted.text("x", tokens=Tokens(10, 5))]
    model = retrying.Retrying(
        Metered(scripted.ScriptedModel(answers), price, Meter()), retrying.Policy(1, 2.0)
    )
    asked = request()
    reply = await model.reply(asked)
    assert reply.charge == Charge(Tokens(10, 5), 35, attempts=1)
    assert asked.bill.charge == Charge(Tokens(20, 7), 55, attempts=2)
    assert asked.bill.charge.usage == Usage(input_tokens=20, output_tokens=7, cost_micro_usd=55)
    assert asked.context.slept == [1.5], "half of two seconds, and half of the rest by chance"


async def test_each_request_is_counted_with_its_end_its_time_and_its_cost():
    meter = Meter()
    answers = [ModelFailed(Failure.OVERLOADED, "529"), scripted.text("x")]
    model = Metered(scripted.ScriptedModel(answers), price, meter)
    with pytest.raises(ModelFailed):
        await model.reply(request())
    await model.reply(request())
    assert meter.counted == [("Overloaded", 1.0), (0, 0, 0), ("answered", 1.0), (10, 5, 35)]


async def test_a_request_that_is_cut_is_booked_and_counted():
    meter, asked = Meter(), request()
    cut = asyncio.ensure_future(Metered(Hanging([]), price, meter).reply(asked))
    await asyncio.sleep(0)
    cut.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut
    assert asked.bill.charge == Charge(Tokens(7, 1), 12, attempts=1)
    assert meter.counted == [("cancelled", 1.0), (7, 1, 12)]


async def test_the_layers_of_a_model_price_each_attempt_and_filter_what_is_kept():
    redaction.learn("k3y-0f-the-m0del")
    answers = [ModelFailed(Failure.TIMEOUT, "late"), scripted.text("It is k3y-0f-the-m0del.")]
    meter, last_word, asked = Meter(), LastWord(), request()
    endpoint = scripted.ScriptedModel(answers)
    policy = retrying.Policy(1, 0.0)
    reply = await boot.layered_model(endpoint, price, meter, last_word, policy).reply(asked)
    assert "k3y" not in str(reply)
    assert asked.bill.charge.attempts == 2
    assert [outcome for outcome, *_ in meter.counted[::2]] == ["Timeout", "answered"]
    assert last_word.news.access == "Accepted"


async def test_what_a_wrapper_does_not_change_goes_through():
    class Endpoint(scripted.ScriptedModel):
        closed = False

        def renew_credentials(self):
            return True

        async def aclose(self):
            self.closed = True

    endpoint = Endpoint([scripted.text("x")])
    model = boot.layered_model(endpoint, price, Meter(), LastWord(), retrying.Policy(0, 0.0))
    assert model.renew_credentials()
    await model.aclose()
    assert endpoint.closed
    assert await Redacted(endpoint).reply(request()) == scripted.text("x")


def test_two_that_are_known_differ_and_nobody_differs_from_none():
    one, other = Identity("model", "a"), Identity("model", "b")
    assert one.differs(other)
    assert not one.differs(Identity("model", "a"))
    assert not one.differs(NOBODY)
    assert not NOBODY.differs(one)


# ----------------------------------------------------------------------------------- tools


class Tools:
    """Answers with a result, or raises it."""

    def __init__(self, result):
        self.result = result

    async def call(self, request):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def aclose(self):
        self.closed = True


def call():
    return ToolRequest(TOOL, {}, {}, 5.0, context=Ticking())


async def test_a_tool_call_is_counted_by_how_it_went():
    meter = Meter()
    for result in (ToolResult("x", ok=True), ToolResult("x", ok=False)):
        assert await MeteredTools(Tools(result), meter).call(call()) == result
    assert meter.counted == [("look_up", "ok", 1.0), ("look_up", "error", 1.0)]


async def test_a_call_that_replicas_would_not_let_be_made_is_counted_and_one_put_down_is_not():
    meter = Meter()
    for stopped in (errors.NotReplicated(), Interrupted(Directive.GIVE_BACK)):
        with pytest.raises(type(stopped)):
            await MeteredTools(Tools(stopped), meter).call(call())
    assert meter.counted == [("look_up", "error", 1.0)]


async def test_a_result_holds_no_credential_and_says_the_rest():
    redaction.learn("k3y-0f-the-t00l")
    told = ToolResult("refused: k3y-0f-the-t00l", ok=False, known=False)
    result = await RedactedTools(Tools(told)).call(call())
    assert "k3y" not in result.text
    assert result.text.startswith("refused: ")
    assert (result.ok, result.known) == (False, False)


async def test_the_layers_of_tools_count_filter_and_close():
    redaction.learn("k3y-0f-the-t00l")
    meter, endpoint = Meter(), Tools(ToolResult("k3y-0f-the-t00l", ok=True))
    tools = boot.layered_tools(endpoint, meter)
    assert "k3y" not in (await tools.call(call())).text
    assert meter.counted == [("look_up", "ok", 1.0)]
    await tools.aclose()
    assert endpoint.closed
