"""A task is ended with its last step in one write: once, in order, and only by who still may."""

from __future__ import annotations

import pytest

from penstock import task, traffic
from penstock_store.records import Directive

STABLE = "aaaa0000"
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
USED = task.Usage(1, 0, 100, 20, 40, 1)
SAID = [("model", {"text": "done"})]
pytestmark = pytest.mark.redis


async def end(desk, claim, history=None):
    return await desk.store.claims.finish_step(claim, DONE, USED, history, SAID)


async def test_the_step_stands_before_the_end_and_nothing_is_said_twice(desk):
    admission = await desk.admit(session="s")
    claim = await desk.claim_one()
    for _ in range(2):
        assert await end(desk, claim, b"h") is Directive.CONTINUE
    ended = await desk.store.tasks.get(admission.task, "acme-token")
    assert (ended.status, ended.outcome.output, ended.usage) == (
        task.TaskStatus.SUCCEEDED,
        "done",
        USED,
    )
    told = ["queued", "started", "model", "finished"]
    assert await desk.event_types(admission.task) == told
    kept = (await desk.raw.hget(desk.keys.task(admission.task), "events")).decode()
    assert [kept.index(f'"{kind}"') for kind in told] == sorted(kept.index(f'"{k}"') for k in told)
    assert await desk.kinds() == "rsf"
    following = await desk.admit(session="s")
    assert (await desk.claim_one()).history == b"h"
    assert following.existed is False


@pytest.mark.parametrize("why", ["cancelled", "suspended", "rejected"])
async def test_who_is_called_off_ends_nothing_and_keeps_the_step(desk, why):
    admission = await desk.admit()
    claim = await desk.claim_one()
    said = Directive.CANCEL if why == "cancelled" else Directive.GIVE_BACK
    match why:
        case "cancelled":
            await desk.store.tasks.cancel(admission.task, "acme-token")
        case "suspended":
            await desk.set_route(suspended=True)
        case _:
            await desk.set_route(stable="bbbb1111", standings={STABLE: traffic.Standing.REJECTED})
    assert await end(desk, claim) is said
    assert await desk.status(admission.task) is task.TaskStatus.RUNNING
    assert await desk.event_types(admission.task) == ["queued", "started"]
    assert await desk.store.claims.checkpoint(claim, b"state", USED, SAID) is said
    assert (await desk.event_types(admission.task))[-1] == "model"
    outcome = task.Outcome(task.TaskStatus.CANCELLED, task.OutcomeReason.PERSON)
    assert await desk.finish(claim, outcome, USED)


async def test_who_has_lost_the_claim_writes_nothing(desk):
    admission = await desk.admit()
    claim = await desk.claim_one()
    (taken,) = await desk.reclaim()
    assert await end(desk, claim) is Directive.LOST
    assert "model" not in await desk.event_types(admission.task)
    assert await end(desk, taken) is Directive.CONTINUE
    assert await end(desk, claim) is Directive.LOST
    assert await desk.kinds() == "rsf"
