"""When a worker leaves a model alone, and what it tells the others."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from penstock import errors
from penstock.names import AgentKey
from penstock_runtime import instrumentation
from penstock_runtime.agent.context import Live
from penstock_runtime.agent.models import retrying, scripted
from penstock_runtime.agent.models.breaker import Breaker
from penstock_runtime.agent.models.model import Failure, ModelFailed, Request
from penstock_store.breakers import BreakerState

METER = instrumentation.Meter(AgentKey("test", "agent"), "agent-00000000", "model")
ASKED = Request([{"role": "user", "content": "x"}], 100, 60.0)
OPEN = BreakerState(5, is_open=True, wait_ms=60_000)


class Clock(Live):
    def __init__(self):
        self.now = 100.0

    def seconds(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds

    def chance(self):
        return 1.0


class Board:
    """Answers with a state, and keeps what it was told."""

    def __init__(self, state=None):
        self.state = state or BreakerState()
        self.told = []
        self.problem = None

    async def tell(self, **what):
        self.told.append(what)
        if self.problem:
            raise self.problem
        return self.state

    @property
    def outages(self):
        return sum(bool(each["outage"]) for each in self.told)


class Scene:
    def __init__(self, *answers):
        self.clock = Clock()
        self.board = Board()
        self.model = scripted.ScriptedModel(answers)
        self.breaker = Breaker(
            self.model, self.board, METER, "sonnet", 60.0, clock=self.clock.seconds
        )

    async def ask(self, **more):
        return await self.breaker.reply(dataclasses.replace(ASKED, context=self.clock, **more))

    async def fails(self, **more):
        with pytest.raises(ModelFailed) as failed:
            await self.ask(**more)
        return failed.value


def failed(kind, **more):
    return ModelFailed(kind, kind.value, **more)


def answers(times):
    return [scripted.text("hello")] * times


@pytest.mark.parametrize(
    "failure",
    [
        failed(Failure.OVERLOADED, status=500),
        failed(Failure.OVERLOADED, status=529),
        failed(Failure.OVERLOADED, status=200),
        failed(Failure.TIMEOUT),
        failed(Failure.CONNECTION),
    ],
    ids=lambda failure: f"{failure.kind}-{failure.status}",
)
async def test_an_outage_is_told(failure):
    scene = Scene(failure)
    await scene.fails()
    assert scene.board.outages == 1
    status = f" {failure.status}" if failure.status else ""
    assert scene.board.told[-1]["outage"] == failure.kind + status, "people read which it was"


@pytest.mark.parametrize(
    "failure",
    [
        failed(Failure.REFUSED, status=400),
        failed(Failure.CREDENTIALS, status=401),
        failed(Failure.RATE_LIMITED, status=429),
        failed(Failure.OVERLOADED, status=408),
        failed(Failure.OVERLOADED, status=409),
        failed(Failure.GARBLED),
        failed(Failure.INCOMPLETE),
    ],
    ids=lambda failure: f"{failure.kind}-{failure.status}",
)
async def test_any_other_failure_is_none(failure):
    scene = Scene(failure)
    await scene.fails()
    assert scene.board.outages == 0


async def test_a_call_that_its_task_cut_short_says_nothing_of_the_model():
    scene = Scene(*[failed(Failure.TIMEOUT)] * 2)
    await scene.fails(timeout_seconds=20.0)
    assert scene.board.outages == 0
    await scene.fails(timeout_seconds=40.0)
    assert scene.board.outages == 1


async def test_an_open_breaker_makes_no_request_and_says_when_to_come_back():
    scene = Scene()
    scene.board.state = OPEN
    failure = await scene.fails()
    assert (failure.kind, failure.retry_after_seconds) == (Failure.BREAKER_OPEN, 60.0)
    assert "sonnet was not asked: 5 calls in a row" in failure.message
    assert scene.breaker.is_open
    scene.clock.now += 0.2
    assert (await scene.fails()).retry_after_seconds == pytest.approx(59.8)
    assert scene.model.requests == []


async def test_a_closed_one_is_asked_about_four_times_a_second_at_most():
    scene = Scene(*answers(100))
    for _ in range(100):
        await scene.ask()
        scene.clock.now += 0.02
    assert len(scene.board.told) <= 9


async def test_what_was_heard_is_believed_for_a_second_at_most():
    scene = Scene(*answers(2))
    await scene.ask()
    scene.board.state = OPEN
    scene.clock.now += 1.01
    assert (await scene.fails()).kind is Failure.BREAKER_OPEN


async def test_an_answer_in_a_row_of_outages_is_told_at_once_and_another_one_with_the_next_look():
    scene = Scene(*answers(3))
    await scene.ask()
    (first,) = scene.board.told
    assert (first["outage"], first["answered_ms_ago"], first["wants_try"]) == ("", None, False)
    scene.clock.now += 0.5
    scene.board.state = BreakerState(2)
    await scene.ask()
    assert [each["answered_ms_ago"] for each in scene.board.told] == [None, 500, 0]


async def test_the_one_that_may_try_asks_and_its_answer_is_told():
    scene = Scene(*answers(1))
    scene.board.state = BreakerState(5, is_open=True, may_try=True)
    await scene.ask()
    assert scene.board.told[1]["wants_try"]
    assert scene.board.told[-1]["answered_ms_ago"] == 0


async def test_the_others_wait_while_one_tries():
    scene = Scene()
    scene.board.state = BreakerState(5, is_open=True, wait_ms=0)
    assert (await scene.fails()).retry_after_seconds == 1.0
    scene = Scene()
    scene.board.state = BreakerState(5, is_open=True, wait_ms=9000)
    assert (await scene.fails()).retry_after_seconds == 9.0


async def test_a_refusal_of_the_one_that_tries_shows_that_the_model_is_there():
    scene = Scene(failed(Failure.REFUSED, status=400))
    scene.board.state = BreakerState(5, is_open=True, may_try=True)
    await scene.fails()
    assert scene.board.told[-1]["answered_ms_ago"] == 0


@pytest.mark.parametrize("problem", [errors.StoreUnavailable("away"), errors.StoreRefused("no")])
async def test_without_the_store_the_model_is_asked(problem):
    scene = Scene(*answers(2))
    scene.board.problem = problem
    await scene.ask()
    await scene.ask()
    assert len(scene.board.told) == 1  # and the store not with each call


async def test_a_store_that_hangs_holds_up_no_call_for_long():
    scene = Scene(*answers(1))

    async def hang(**_):
        await asyncio.sleep(60)

    scene.board.tell = hang
    async with asyncio.timeout(5):
        await scene.ask()


async def test_what_was_known_holds_as_long_as_it_would_have_without_the_store():
    scene = Scene(*answers(1))
    scene.board.state = OPEN
    await scene.fails()
    scene.board.problem = errors.StoreUnavailable("away")
    scene.clock.now += 59
    await scene.fails()
    scene.clock.now += 2
    await scene.ask()


async def test_retries_wait_for_an_open_breaker_and_a_wait_is_no_try():
    scene = Scene(failed(Failure.OVERLOADED, status=529), *answers(1))
    retried = retrying.Retrying(scene.breaker, retrying.Policy(1, 2.0))
    request = dataclasses.replace(ASKED, context=scene.clock, deadline=scene.clock.now + 120)

    async def tell(**_):
        return OPEN if scene.clock.now < 160 else BreakerState()

    scene.board.tell = tell
    reply = await retried.reply(request)
    assert reply.content[0]["text"] == "hello"
    assert scene.clock.now == 162.0  # 60 s for the breaker, 2 s after the failure


@pytest.mark.parametrize(
    "policy", [retrying.Policy(3, 2.0, outlasts_breaker=False), retrying.Policy(0, 2.0)]
)
async def test_who_has_somebody_to_ask_or_may_not_try_again_does_not_wait(policy):
    scene = Scene()
    scene.board.state = OPEN
    with pytest.raises(ModelFailed) as told:
        await retrying.Retrying(scene.breaker, policy).reply(
            dataclasses.replace(ASKED, context=scene.clock)
        )
    assert told.value.kind is Failure.BREAKER_OPEN
    assert scene.clock.now == 100.0


async def test_a_breaker_that_stays_open_beyond_the_deadline_is_told_at_once():
    scene = Scene()
    scene.board.state = OPEN
    request = dataclasses.replace(ASKED, context=scene.clock, deadline=scene.clock.now + 30)
    with pytest.raises(ModelFailed, match="the next try in 60 s would be too late"):
        await retrying.Retrying(scene.breaker, retrying.Policy(3, 2.0)).reply(request)


@pytest.mark.parametrize(("outages", "waiting"), [(0, False), (4, True)])
async def test_a_call_waits_for_a_look_under_way_only_where_the_model_may_be_away(outages, waiting):
    scene = Scene(*answers(3))
    scene.board.state = BreakerState(outages)
    await scene.ask()
    scene.clock.now += 0.5
    heard = asyncio.Event()

    async def slow(**_):
        await heard.wait()
        return BreakerState()

    scene.board.tell = slow
    looks = asyncio.create_task(scene.ask())
    await asyncio.sleep(0)
    other = asyncio.create_task(scene.ask())
    for _ in range(5):
        await asyncio.sleep(0)
    assert other.done() is not waiting
    heard.set()
    await asyncio.gather(looks, other)


# --------------------------------------------------------------------- what the model asks for


async def test_a_rate_limit_with_a_time_is_told_and_one_without_is_not():
    scene = Scene(
        failed(Failure.RATE_LIMITED, status=429, retry_after_seconds=2.5),
        failed(Failure.RATE_LIMITED, status=429),
    )
    await scene.fails()
    assert scene.board.told[-1]["asked_to_wait_ms"] == 2500
    scene.clock.now += 0.1
    await scene.fails()
    assert sum(each["asked_to_wait_ms"] for each in scene.board.told) == 2500


async def test_who_hears_of_it_waits_as_long_and_comes_back_over_some_time():
    scene = Scene()
    scene.board.state = BreakerState(asked_to_wait_ms=8000)
    failure = await scene.fails()
    assert (failure.kind, failure.retry_after_seconds) == (Failure.PACED, 10.0)
    assert scene.model.requests == []
    scene.clock.now += 0.2
    scene.board.problem = errors.StoreUnavailable("away")
    assert (await scene.fails()).retry_after_seconds == pytest.approx(9.8)


async def test_such_a_wait_is_no_try_and_no_outage():
    scene = Scene(*answers(1))

    async def tell(**_):
        left_ms = max(0, round((105 - scene.clock.now) * 1000))
        return BreakerState(asked_to_wait_ms=left_ms)

    scene.board.tell = tell
    retried = retrying.Retrying(scene.breaker, retrying.Policy(1, 2.0))
    request = dataclasses.replace(ASKED, context=scene.clock, deadline=scene.clock.now + 60)
    await retried.reply(request)
    assert scene.clock.now == 107.0
    assert not failed(Failure.PACED).is_outage


async def test_a_version_of_little_patience_takes_the_model_from_no_other():
    hasty = Scene(*[failed(Failure.TIMEOUT)] * 2)
    hasty.breaker._patience_seconds = 1.0
    await hasty.fails(timeout_seconds=1.0)
    assert hasty.board.outages == 0
    await hasty.fails(timeout_seconds=30.0)
    assert hasty.board.outages == 1
