"""A call that may be made once waits until Redis would miss its worker, also where Redis has just lost its sign."""

import asyncio
from types import SimpleNamespace

import pytest

from penstock_runtime.worker.hold import Hold
from penstock_runtime.worker.keeping import Patience
from tests.unit.runtime import fakes, test_wall_time

goes_on = test_wall_time.goes_on
SIGN_SECONDS = 0.3


@pytest.mark.parametrize("forgets", [False, True], ids=["Redis knows it", "Redis is just back"])
async def test_a_save_that_meets_a_redis_which_is_back_waits_once_more(template, goes_on, forgets):
    store, clock = fakes.Store(), asyncio.get_running_loop().time
    heard = [clock() - 3600]
    store.consumers = SimpleNamespace(heard_seconds=lambda *_: clock() - heard[0])
    if forgets:
        store.failing["checkpoint"] = lambda *_: heard.__setitem__(0, clock())
    patience = Patience(60.0, 1.0, asyncio.Semaphore(4), SIGN_SECONDS)
    held = Hold(store, fakes.claim(), fakes.agent(template).meter, patience)
    held.begin()
    await held.save(goes_on, [], replicated=True)
    assert clock() - heard[0] >= SIGN_SECONDS
    heard[0] = clock()
    await held.save(goes_on, [])  # no such call follows
    assert store.times("checkpoint") == 2
