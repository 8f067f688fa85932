"""What is remembered is bounded in number and time, and asked for once."""

from __future__ import annotations

import asyncio
import gc

import pytest

from penstock_runtime.gateway.remembering import Answer, Remembered


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Asked:
    """Answers with how often it was asked."""

    def __init__(self, seconds=10.0):
        self.times = 0
        self.seconds = seconds
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self):
        self.times += 1
        times = self.times
        await self.gate.wait()
        return Answer(times, self.seconds)


@pytest.fixture
def clock():
    return Clock()


async def test_an_answer_is_repeated_until_its_time_is_over_and_not_longer(clock):
    remembered, ask = Remembered(10, clock), Asked(seconds=10)
    assert [await remembered.get("key", ask) for _ in range(3)] == [1, 1, 1]
    clock.now += 9.99
    assert await remembered.get("key", ask) == 1
    clock.now += 0.01
    assert await remembered.get("key", ask) == 2


@pytest.mark.parametrize("seconds", [0, -5.0])
async def test_an_answer_without_time_is_given_once_and_replaces_what_was_known(seconds, clock):
    remembered, ask = Remembered(10, clock), Asked()
    await remembered.get("key", ask)
    clock.now += 11
    ask.seconds = seconds
    assert [await remembered.get("key", ask) for _ in range(2)] == [2, 3]


async def test_no_more_is_kept_than_allowed_and_the_oldest_goes(clock):
    remembered, asked = Remembered(3, clock), {key: Asked() for key in "abcd"}
    for key in "abcd":
        await remembered.get(key, asked[key])
    assert [await remembered.get(key, asked[key]) for key in "dcb"] == [1, 1, 1]
    assert await remembered.get("a", asked["a"]) == 2
    assert len(remembered._kept) == 3


async def test_however_many_wait_for_an_answer_it_is_asked_once_and_each_key_apart(clock):
    remembered, ask, other = Remembered(10, clock), Asked(), Asked()
    ask.gate.clear()
    waiting = [asyncio.create_task(remembered.get("key", ask)) for _ in range(50)]
    assert await remembered.get("other", other) == 1
    waiting[0].cancel()
    ask.gate.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [1] * 49, "one who goes away takes the answer from nobody"
    assert ask.times == 1


async def test_an_error_is_told_to_all_who_wait_and_never_kept(clock):
    remembered, ask = Remembered(10, clock), Asked()

    async def fail():
        await asyncio.sleep(0)
        raise OSError("away")

    answers = await asyncio.gather(
        *(remembered.get("key", fail) for _ in range(5)), return_exceptions=True
    )
    assert [str(answer) for answer in answers] == ["away"] * 5
    assert await remembered.get("key", ask) == 1


async def test_an_error_for_which_nobody_waits_any_more_disturbs_nobody(clock):
    remembered, gate, complaints = Remembered(10, clock), asyncio.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fail():
        await gate.wait()
        raise OSError("away")

    waiting = asyncio.create_task(remembered.get("key", fail))
    await asyncio.sleep(0)
    waiting.cancel()
    gate.set()
    await asyncio.wait([waiting, *remembered._asking.values()])
    await asyncio.sleep(0)
    gc.collect()
    assert not remembered._asking
    assert complaints == []
