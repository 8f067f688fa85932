"""How full Redis is, as the alert sees it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from penstock.errors import StoreRefused, StoreUnavailable
from penstock_operator import metrics
from penstock_operator.tenancy import pressure
from penstock_store.records import Memory


class Answering:
    """A store that answers, or fails, as told."""

    def __init__(self, *answers: Memory | Exception | None) -> None:
        self.answers = list(answers)

    async def memory(self) -> Memory | None:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def shown() -> tuple[float | None, float | None]:
    value = metrics.REGISTRY.get_sample_value
    return value("penstock_redis_memory_used_bytes"), value("penstock_redis_memory_limit_bytes")


@pytest.mark.parametrize(
    "silent", [None, StoreUnavailable("away"), StoreRefused("no")], ids=["none", "away", "refused"]
)
async def test_what_redis_said_last_is_shown_until_it_says_something_else(
    silent: Exception | None,
) -> None:
    store = cast("Any", Answering(Memory(700, 1000), silent, Memory(900, 0)))
    await pressure.look(store)
    assert shown() == (700, 1000)
    await pressure.look(store)
    assert shown() == (700, 1000)
    await pressure.look(store)
    assert shown() == (900, 0)


async def test_whether_redis_answers_is_shown_at_once() -> None:
    answers = (StoreUnavailable("away"), StoreRefused("no"), StoreUnavailable("away"), None)
    store = cast("Any", Answering(*answers))
    for up in (0, 1, 0, 1):
        await pressure.look(store)
        assert metrics.REGISTRY.get_sample_value("penstock_redis_up") == up
