"""What a rejection shows of failed tasks, from the end in Redis to the verdict: ids and words of ours."""

from __future__ import annotations

import json

import pytest

from penstock import meanings, names
from penstock.api.analysis import Reason, Verdict
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.outcomes import End
from penstock.rollout import samples
from penstock.task import Outcome, OutcomeReason, TaskStatus
from penstock.traffic import Arm
from penstock_operator.reconcile.measure import Measure
from tests.integration.store.conftest import CANARY, DONE, STABLE, TENANT

pytestmark = pytest.mark.redis
SECRET = "card 4111-1111 of <b>ana</b>\x1b[31m"
FAILED, ESCALATED = TaskStatus.FAILED, TaskStatus.ESCALATED
SPEC = AgentRolloutSpec.model_validate({"agentRef": {"name": "support"}})
STATUS = AgentRolloutStatus(
    stage=Stage.STEPS,
    stable_revision=names.revision_name("support", STABLE),
    canary_revision=names.revision_name("support", CANARY),
    route_version=1,
)


@pytest.fixture
def measure(store):
    return Measure(store)


@pytest.fixture
def failed(desk, measure, store):
    """What the operator knows of the canary's failures now."""

    async def look():
        now = await store.routes.look(desk.agent, [STABLE, CANARY])
        return (await measure.observe(desk.agent, "uid-1", now, SPEC, STATUS, {})).failed

    return look


async def end(desk, outcome):
    """A task that says something of a person, and its end."""
    identifier = (await desk.admit(SECRET, user="ana", metadata={"note": SECRET})).task
    revision = CANARY if desk.route.split.percent else STABLE
    assert await desk.finish(await desk.claim_one(revision), outcome)
    return identifier


async def everybody_to(desk, percent):
    await desk.set_route(percent=percent)


async def test_samples_are_the_canaries_failures_with_their_reasons(desk, failed):
    await end(desk, Outcome(FAILED, OutcomeReason.MODEL_ERROR, "of stable"))
    await everybody_to(desk, 100)
    await end(desk, DONE)
    await end(desk, Outcome(ESCALATED, OutcomeReason.APPROVAL, "planned"))
    await end(desk, Outcome(FAILED, OutcomeReason.INTERNAL, "nobody's", left_out=True))
    wanted = [
        (await end(desk, Outcome(FAILED, reason, SECRET, SECRET)), reason)
        for reason in (OutcomeReason.TIMEOUT, OutcomeReason.MODEL_ERROR, OutcomeReason.NONE)
    ]
    person = await end(desk, Outcome(ESCALATED, OutcomeReason.REFUSAL, SECRET))
    shown = samples.samples(await failed(), Reason.ERROR_RATE)
    assert [(sample.task, sample.reason) for sample in shown] == wanted
    assert shown[0].message == meanings.REASONS[OutcomeReason.TIMEOUT].means
    (escalated,) = samples.samples(await failed(), Reason.ESCALATION_RATE)
    assert (escalated.task, escalated.reason) == (person, "Refusal")


async def test_nothing_that_a_model_a_tool_or_a_workers_hand_has_said_gets_in(desk, failed, raw):
    await everybody_to(desk, 100)
    ids = [
        await end(desk, Outcome(FAILED, OutcomeReason.TIMEOUT, SECRET, SECRET)) for _ in range(4)
    ]
    await raw.hset(desk.keys.task(ids[0]), "reason", SECRET)
    await raw.hset(desk.keys.task(ids[1]), mapping={"status": SECRET, "reason": SECRET})
    await raw.set(desk.keys.task(ids[2]), SECRET)
    await raw.xadd(desk.keys.outcomes, {"r": f"{SECRET}|C|{CANARY}|2|2|1"})
    await raw.xadd(desk.keys.outcomes, {"f": f"{SECRET}|C|{CANARY}|2|2|1|Error|1|0"})
    keyed = {
        "v": 2, "arm": "C", "revision": CANARY, "route": 2, "begin": 2, "bucket": 1, "task": "odd",
    }  # fmt: skip
    await raw.xadd(desk.keys.outcomes, keyed | {"kind": "r"})
    said = {"kind": "f", "counting": "Error", "reason": SECRET, "message": SECRET}
    await raw.xadd(desk.keys.outcomes, keyed | said)
    kept = await failed()
    assert {failure.task for failure in kept} >= {*ids}
    text = json.dumps([samples.sample(failure).model_dump() for failure in kept])
    assert not any(word in text for word in ("4111", "ana", "31m"))
    assert {samples.sample(failure).reason for failure in kept} == {"", "Timeout"}


async def test_a_row_that_tells_its_reason_is_not_asked_about(
    desk, failed, raw, store, monkeypatch
):
    asked = []
    monkeypatch.setattr(store.outcomes, "ends", lambda _agent, ids: _note(asked, ids))
    keyed = {
        "v": 2, "arm": "C", "revision": CANARY, "route": 2, "begin": 2, "bucket": 1, "task": "new",
    }  # fmt: skip
    await raw.xadd(desk.keys.outcomes, keyed | {"kind": "r"})
    await raw.xadd(
        desk.keys.outcomes, keyed | {"kind": "f", "counting": "Error", "reason": "Timeout"}
    )
    (failure,) = await failed()
    assert failure.reason is OutcomeReason.TIMEOUT
    assert not asked


async def _note(asked, ids):
    asked.append(ids)
    return {}


async def test_a_task_is_asked_about_once_and_only_while_nothing_is_known(
    desk, failed, store, monkeypatch
):
    await everybody_to(desk, 100)
    first = await end(desk, Outcome(FAILED, OutcomeReason.TIMEOUT))
    asked, ends = [], store.outcomes.ends

    async def noted(agent, ids):
        asked.append(ids)
        return await ends(agent, ids)

    monkeypatch.setattr(store.outcomes, "ends", noted)
    await failed()
    second = await end(desk, Outcome(FAILED, OutcomeReason.INTERNAL))
    assert [f.reason for f in await failed()] == [OutcomeReason.TIMEOUT, OutcomeReason.INTERNAL]
    assert asked == [[first], [second]]


async def test_how_tasks_ended_is_told_of_those_that_have_and_are_kept(desk, store):
    ended = await end(desk, Outcome(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_COST))
    waiting, unknown = (await desk.admit()).task, desk.new_id()
    assert await store.outcomes.ends(desk.agent, [ended, waiting, unknown]) == {
        ended: End(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.LIMIT_COST)
    }
    assert await store.outcomes.ends(desk.agent, []) == {}


async def test_a_verdict_with_samples_can_be_read_back(desk, failed):
    await everybody_to(desk, 100)
    await end(desk, Outcome(FAILED, OutcomeReason.LIMIT_IDENTICAL_ACTIONS, SECRET))
    shown = samples.samples(await failed(), Reason.ERROR_RATE)
    verdict = Verdict.model_validate({
        "revision": "support-1", "result": "Rejected", "reason": "ErrorRateRegression", "message": "m",
        "at": "2026-01-01T00:00:00Z", "samples": [sample.model_dump() for sample in shown],
    })  # fmt: skip
    assert verdict.samples == shown != ()


async def test_what_callers_cancelled_is_told_apart_from_what_was_planned(desk, store, measure):
    await everybody_to(desk, 100)
    taken_back = (await desk.admit()).task
    assert await store.tasks.cancel(taken_back, TENANT)
    running = (await desk.admit()).task
    claim = await desk.claim_one(CANARY)
    assert await store.tasks.cancel(running, TENANT)
    assert await desk.finish(claim, Outcome(TaskStatus.CANCELLED, OutcomeReason.PERSON))
    await end(desk, Outcome(ESCALATED, OutcomeReason.APPROVAL, "planned"))
    await end(desk, DONE)
    now = await store.routes.look(desk.agent, [STABLE, CANARY])
    seen = await measure.observe(desk.agent, "uid-1", now, SPEC, STATUS, {})
    total = seen.in_total(Arm.CANARY)
    assert (total.tasks, total.left_out, total.cancelled) == (1, 3, 2)
    assert seen.in_total(Arm.STABLE).cancelled == 0
