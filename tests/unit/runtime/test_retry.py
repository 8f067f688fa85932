"""Which failures are tried again, how often, after how long."""

import dataclasses
import math

import pytest

from penstock.money import prices
from penstock.money.prices import Tokens
from penstock.names import AgentKey
from penstock_runtime import instrumentation
from penstock_runtime.agent.context import Live
from penstock_runtime.agent.models import faults, pricing, retrying, scripted
from penstock_runtime.agent.models.metered import Metered
from penstock_runtime.agent.models.model import Bill, Failure, ModelFailed, Request

METER = instrumentation.Meter(AgentKey("test", "agent"), "agent-00000000", "model")
POLICY = retrying.Policy(retries=3, base_seconds=0.0)
ASKED = Request([{"role": "user", "content": "x"}], 100, 5.0)


class Still(Live):
    """A context in which no time passes."""

    def seconds(self):
        return 0.0


async def ask(model, policy=POLICY, left_seconds=100.0, attempts=None):
    asked = dataclasses.replace(
        ASKED, deadline=left_seconds, context=Still(), bill=attempts or Bill()
    )
    metered = Metered(model, pricing.Fixed(prices.flat("0", "0")), METER)
    return await retrying.Retrying(metered, policy).reply(asked)


def failing(*kinds, **more):
    return [ModelFailed(kind, kind.value, **more) for kind in kinds]


@pytest.mark.parametrize(
    "kind",
    [
        Failure.RATE_LIMITED,
        Failure.OVERLOADED,
        Failure.CONNECTION,
        Failure.TIMEOUT,
        Failure.INCOMPLETE,
    ],
)
async def test_what_passes_is_tried_as_often_as_declared(kind):
    model = scripted.ScriptedModel([*failing(kind, kind, kind), scripted.text("at last")])
    assert (await ask(model)).stop_reason == "end_turn"
    with pytest.raises(ModelFailed):
        await ask(scripted.ScriptedModel(failing(kind, kind, kind, kind)))


@pytest.mark.parametrize(
    ("kinds", "attempts"),
    [
        ([Failure.REFUSED], 1),
        ([Failure.GARBLED, Failure.GARBLED], 2),
        ([Failure.GARBLED, Failure.OVERLOADED, Failure.GARBLED], 3),
        ([Failure.CREDENTIALS], 1),
    ],
)
async def test_what_does_not_pass_is_not_tried_for_ever(kinds, attempts):
    made = Bill()
    with pytest.raises(ModelFailed):
        await ask(scripted.ScriptedModel(failing(*kinds)), attempts=made)
    assert made.charge.attempts == attempts


async def test_a_rotated_key_is_tried_once_even_without_retries():
    class Rotated(scripted.ScriptedModel):
        def renew_credentials(self):
            return True

    none = retrying.Policy(0, 60.0)
    model = Rotated([*failing(Failure.CREDENTIALS), scripted.text("in")])
    assert (await ask(model, none)).stop_reason == "end_turn"
    with pytest.raises(ModelFailed):
        await ask(Rotated(failing(Failure.CREDENTIALS, Failure.CREDENTIALS)), none)


async def test_no_retry_is_made_when_none_is_declared():
    made = Bill()
    with pytest.raises(ModelFailed):
        await ask(
            scripted.ScriptedModel(failing(Failure.OVERLOADED)),
            retrying.Policy(0, 0.0),
            attempts=made,
        )
    assert made.charge.attempts == 1


async def test_a_wait_longer_than_the_task_has_left_is_not_begun():
    made = Bill()
    with pytest.raises(ModelFailed, match="the next try in 60 s would be too late"):
        await ask(
            scripted.ScriptedModel(failing(Failure.RATE_LIMITED, retry_after_seconds=60)),
            left_seconds=59.0,
            attempts=made,
        )
    assert made.charge.attempts == 1


async def test_failed_attempts_are_paid_for():
    made = Bill()
    answers = [*failing(Failure.INCOMPLETE, tokens=Tokens(10, 3)), scripted.text("x")]
    await ask(scripted.ScriptedModel(answers), attempts=made)
    assert made.charge.tokens == Tokens(10, 3) + scripted.text("x").tokens


async def test_a_call_never_gets_more_time_than_the_task_has_left():
    model = scripted.ScriptedModel([scripted.text("x")])
    await ask(model, left_seconds=1.5)
    assert model.requests[0].timeout_seconds == 1.5


def test_waits_double_up_to_half_a_minute_and_obey_the_model():
    policy = retrying.Policy(10, 2.0)
    overloaded = ModelFailed(Failure.OVERLOADED, "")
    waits = [policy.wait_seconds(attempt, overloaded, 1.0) for attempt in range(1, 7)]
    assert waits == [2, 4, 8, 16, 30, 30]
    assert policy.wait_seconds(1, overloaded, 0.0) == 1.0
    told = ModelFailed(Failure.RATE_LIMITED, "", retry_after_seconds=45)
    assert policy.wait_seconds(1, told, 0.5) == 45


@pytest.mark.parametrize(
    ("status", "error_type", "code", "kind"),
    [
        (400, "invalid_request_error", "", Failure.REFUSED),
        (401, "authentication_error", "", Failure.CREDENTIALS),
        (402, "billing_error", "", Failure.REFUSED),
        (403, "permission_error", "", Failure.CREDENTIALS),
        (404, "not_found_error", "", Failure.REFUSED),
        (408, "timeout_error", "", Failure.OVERLOADED),
        (409, "conflict_error", "", Failure.OVERLOADED),
        (413, "request_too_large", "", Failure.REFUSED),
        (429, "rate_limit_error", "", Failure.RATE_LIMITED),
        (429, "rate_limit_error", "ramp_limit_exceeded", Failure.RATE_LIMITED),
        (429, "rate_limit_error", "enforced_spend_limit_reached", Failure.REFUSED),
        (429, "rate_limit_error", "contract_spend_limit_reached", Failure.REFUSED),
        (500, "api_error", "", Failure.OVERLOADED),
        (502, "", "", Failure.OVERLOADED),
        (529, "overloaded_error", "", Failure.OVERLOADED),
        (200, "overloaded_error", "", Failure.OVERLOADED),
        (200, "rate_limit_error", "", Failure.RATE_LIMITED),
        (200, "invalid_request_error", "", Failure.REFUSED),
    ],
)
def test_each_error_of_the_api_has_its_kind(status, error_type, code, kind):
    assert faults.kind_of(status, error_type, code, {}) == kind


def test_the_api_can_forbid_a_retry():
    assert faults.kind_of(500, "api_error", "", {"x-should-retry": "false"}) == Failure.REFUSED


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, 0.0),
        (
            {
                "retry-after": "Sat, 21 Nov 2026 10:00:30 GMT",
                "date": "Sat, 21 Nov 2026 10:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT"}, None),
    ],
)
def test_the_wish_to_be_left_alone_is_understood(headers, seconds):
    found = faults.retry_after_seconds(headers)
    assert found == seconds if seconds is None else math.isclose(found, seconds)
