"""Tasks that wait for a person, as Redis keeps them: however many, listed and decided at the same cost."""

from __future__ import annotations

import asyncio
import json
from types import MappingProxyType

import pytest

from penstock import traffic
from penstock.analysis.fold import Fold
from penstock.analysis.scope import Scope
from penstock.api.oversight import OnTimeout
from penstock.escalation import Ask, Asked, EscalationStatus, Verdict
from penstock.task import Counting, OutcomeReason, TaskStatus, Usage, task_id
from penstock_store.escalations import Decided, Sought, Word
from penstock_store.records import Directive

STABLE, CANARY = "aaaa0000", "bbbb1111"
TENANT = "acme-token"
pytestmark = pytest.mark.redis


def asked(**more):
    given = {
        "ask": Ask("why"),
        "timeout_seconds": 3600,
        "on_timeout": OnTimeout.DENY,
        "tool": "refund",
    } | more
    return Asked(
        place=(1, 1),
        arguments=json.dumps({"amount": 1}),
        digest="d",
        schema="{}",
        context="[]",
        **given,
    )


async def park(desk, claim, **more):
    return await desk.store.claims.park(claim, Usage(1, 0, 1, 1, 1, 500), asked(**more))


async def waits(desk, revision=STABLE, asks=MappingProxyType({}), **fields):
    """A task that waits for a person; its id and that of its escalation."""
    admission = await desk.admit(**fields)
    claim = await desk.claim_one(revision)
    assert await park(desk, claim, **asks) is Directive.CONTINUE
    return admission.task, (await desk.store.tasks.get(admission.task, TENANT)).escalation


async def many_wait(desk, count):
    for number in range(count):
        await desk.admit(user=f"u{number % 7}")
    while claims := await desk.claim(limit=200):
        await asyncio.gather(*(park(desk, claim) for claim in claims))


async def copied(desk, count):
    """So many more that wait, each like the last one, without the calls that lead there."""
    tag = desk.keys.tag
    [(tail, ends)] = await desk.raw.zrange(f"{tag}:parked", -1, -1, withscores=True)
    prefix = task_id(desk.agent, b"")
    name = tail.decode().rpartition(".")[0]
    asked = await desk.raw.hgetall(f"{tag}:esc:{prefix}{tail.decode()}")
    task = await desk.raw.hgetall(f"{tag}:task:{prefix}{name}")
    pipe = desk.raw.pipeline(transaction=False)
    for number in range(count):
        other = f"{name}-{number}"
        await pipe.hset(
            f"{tag}:esc:{prefix}{other}.1", mapping=asked | {b"task": f"{prefix}{other}"}
        )
        await pipe.hset(
            f"{tag}:task:{prefix}{other}", mapping=task | {b"parked": f"{prefix}{other}.1"}
        )
        await pipe.zadd(f"{tag}:parked", {f"{other}.1": ends + number})
    await pipe.execute()


async def commands(desk, call):
    """How many commands a call takes Redis, those inside scripts counted."""

    async def counted():
        stats = await desk.raw.info("commandstats")
        return sum(each["calls"] for each in stats.values())

    before = await counted()
    await call
    return await counted() - before


@pytest.mark.timeout(300)
async def test_ten_thousand_wait_and_list_filter_and_decision_cost_what_they_cost_at_a_hundred(
    desk,
):
    async def cost():
        page = await desk.store.escalations.page(desk.agent, Sought(), most=50)
        one = page.items[0]
        return [
            await commands(desk, desk.store.escalations.page(desk.agent, Sought(), most=50)),
            await commands(
                desk, desk.store.escalations.page(desk.agent, Sought(user="u3"), most=10)
            ),
            await commands(desk, desk.store.escalations.decide(one.id, Word("ann", Verdict.DENY))),
            await commands(desk, desk.store.routes.look(desk.agent, [STABLE])),
        ]

    await many_wait(desk, 100)
    few = await cost()
    await copied(desk, 10_000)
    page = await desk.store.escalations.page(desk.agent, Sought(), most=50)
    assert page.waiting >= 10_000
    assert all(late <= 1.2 * early + 5 for early, late in zip(few, await cost(), strict=True)), few


async def test_pages_lead_through_all_that_wait_each_once_also_while_some_are_decided(desk):
    await many_wait(desk, 60)
    found, after = [], ""
    while True:
        page = await desk.store.escalations.page(desk.agent, Sought(), after, 7)
        found += [each.id for each in page.items]
        for each in page.items[:1]:
            await desk.store.escalations.decide(each.id, Word("ann", Verdict.DENY))
        after = page.following
        if not after:
            break
    assert len(found) == len(set(found)) == 60


async def test_parking_twice_is_parking_once_and_a_lost_claim_parks_nothing(desk):
    admission = await desk.admit()
    claim = await desk.claim_one()
    assert [await park(desk, claim) for _ in range(2)] == [Directive.CONTINUE] * 2
    assert (await desk.store.routes.look(desk.agent, [])).parked == 1
    assert await desk.store.claims.heartbeat([claim], "w1") == {claim.id: Directive.LOST}
    assert not await desk.finish(claim)
    task = await desk.store.tasks.get(admission.task, TENANT)
    assert (task.status, task.usage.wall_ms) == (TaskStatus.WAITING_FOR_APPROVAL, 500)
    assert await desk.kinds() == "rsm"


async def test_it_is_nobodys_work_and_no_revision_keeps_workers_for_it(desk):
    await waits(desk)
    work = await desk.work()
    assert (work.queued, work.running) == (0, 0)
    assert await desk.store.queue.rehome(desk.agent, STABLE) == 0
    assert await desk.claim() == []
    assert await desk.store.queue.expire(desk.agent) == 0


async def test_a_deleted_agent_asks_nobody_any_more(desk):
    task, escalation = await waits(desk)
    assert await desk.store.routes.close(desk.agent, "uid-1") == 1
    ended = await desk.store.tasks.get(task, TENANT)
    assert (ended.status, ended.outcome.reason) == (TaskStatus.CANCELLED, OutcomeReason.NONE)
    kept = await desk.store.escalations.get(escalation)
    assert kept.status is EscalationStatus.VOID
    assert await desk.raw.exists(f"{desk.keys.tag}:parked") == 0


async def test_an_agent_made_anew_has_nothing_of_what_the_former_one_asked(desk):
    task, escalation = await waits(desk)
    await desk.set_route(uid="uid-2", version=1)
    said = await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert said is Decided.TOO_LATE
    assert (await desk.store.tasks.get(task, TENANT)).status is TaskStatus.CANCELLED


async def test_a_decision_on_a_task_whose_agent_has_just_gone_is_told_to_be_none(desk):
    task, escalation = await waits(desk)
    await desk.raw.delete(f"{desk.keys.tag}:route")
    said = await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert said is Decided.TOO_LATE
    assert (await desk.store.tasks.get(task, TENANT)).status is TaskStatus.CANCELLED


@pytest.mark.parametrize(
    ("planned", "rows"), [(True, "rsmf"), (False, "rsff")], ids=["as declared", "of itself"]
)
async def test_what_nobody_declared_is_an_escalation_of_its_revision_and_counts_once(
    desk, planned, rows
):
    task, escalation = await waits(desk, asks={"ask": Ask("why", planned=planned)})
    await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert await desk.finish(await desk.claim_one())
    assert await desk.kinds(task) == rows
    rows = await desk.store.outcomes.rows(desk.agent)
    if not planned:
        assert (rows[2].counting, rows[2].cost_micro_usd) == (Counting.ESCALATION, 1)
    counted = Fold(Scope(STABLE, CANARY, 0, 60_000, 10_000, dict.fromkeys(traffic.Arm, 600_000)))
    counted.add(rows)
    seen = counted.observe(rows[-1].at_ms).total[traffic.Arm.STABLE]
    assert (seen.tasks, seen.escalations, seen.errors) == ((0, 0, 0) if planned else (1, 1, 0))


async def test_no_break_of_before_it_was_asked_casts_doubt_on_a_call(desk):
    for number, (field, moment) in enumerate([("breakAt", 1), ("doubtTo", 2)]):
        await desk.raw.hset(f"{desk.keys.tag}:tail", field, moment)
        _, escalation = await waits(desk, user=f"u{number}")
        assert not (await desk.store.escalations.get(escalation)).doubt


async def test_of_a_deleted_agent_the_turns_behind_a_wait_end_with_it_and_nothing_is_kept_for_ever(
    desk,
):
    task, escalation = await waits(desk, session="s")
    behind = (await desk.admit(session="s")).task
    assert await desk.store.routes.close(desk.agent, "uid-1") == 2
    for each in (task, behind):
        assert await desk.status(each) is TaskStatus.CANCELLED
    assert (await desk.store.escalations.get(escalation)).status is EscalationStatus.VOID
    assert (await desk.store.escalations.page(desk.agent, Sought())).items == ()
    said = await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert said is Decided.TOO_LATE
    for kept in (task, behind, escalation):
        key = desk.keys.escalation(kept) if kept == escalation else desk.keys.task(kept)
        assert await desk.raw.ttl(key) > 0, "it is kept for ever"


async def test_after_a_rollback_the_decision_leads_to_stable(desk):
    await desk.set_route(canary=CANARY, percent=99)
    for number in range(50):
        admission = await desk.admit(user=f"u{number}")
        if admission.revision == CANARY:
            break
    claim = await desk.claim_one(CANARY)
    await park(desk, claim)
    escalation = (await desk.store.tasks.get(claim.task.id, TENANT)).escalation
    await desk.reject_canary()
    await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    found = await desk.claim(limit=100)
    [mine] = [each for each in found if each.task.id == claim.task.id]
    assert mine.decision.verdict is Verdict.APPROVE
    kept = await desk.store.escalations.get(escalation)
    assert (kept.revision, kept.decided_revision) == (CANARY, STABLE)
    assert "moved" in await desk.event_types(claim.task.id)


async def test_while_the_agent_is_suspended_a_decision_is_taken_and_acts_afterwards(desk):
    task, escalation = await waits(desk)
    await desk.set_route(suspended=True)
    said = await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert said is Decided.DONE
    assert await desk.status(task) is TaskStatus.HALTED
    assert await desk.claim() == []
    await desk.set_route(suspended=False)
    assert (await desk.claim_one()).decision.by == ("ann",)


async def test_idempotency_keys_of_later_turns_live_as_long_as_the_wait_before_them(desk):
    week = 604_800
    await desk.admit(session="s", idempotency_key="first")
    await desk.admit(session="s", idempotency_key="before the wait")
    await park(desk, await desk.claim_one(), timeout_seconds=week)
    await desk.admit(session="s", idempotency_key="during the wait")
    left = [await desk.raw.ttl(key) async for key in desk.raw.scan_iter(f"{desk.keys.tag}:idem:*")]
    assert (len(left), min(left) > week) == (3, True), left


async def test_readers_of_the_version_before_see_a_task_that_stands_still_and_has_not_ended(desk):
    task, _ = await waits(desk, session="s")
    assert await desk.raw.hget(desk.keys.task(task), "status") == b"Halted"
    behind = await desk.admit(session="s")
    assert await desk.claim() == []
    assert await desk.status(behind.task) is TaskStatus.QUEUED


async def test_what_a_gateway_of_the_version_before_has_cancelled_is_void_when_somebody_decides(
    desk,
):
    task, escalation = await waits(desk)
    await desk.raw.hset(desk.keys.task(task), mapping={"status": "Cancelled"})
    said = await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE))
    assert said is Decided.TOO_LATE
    kept = await desk.store.escalations.get(escalation)
    assert kept.status is EscalationStatus.VOID
    assert (await desk.store.routes.look(desk.agent, [])).parked == 0


async def test_a_revision_that_holds_nothing_but_waiting_tasks_may_be_forgotten(desk):
    task, escalation = await waits(desk)
    await desk.set_route(
        stable=CANARY, canary="", percent=0, standings={STABLE: None, CANARY: traffic.Standing.OPEN}
    )
    await desk.store.escalations.decide(escalation, Word("ann", Verdict.DENY))
    claim = await desk.claim_one(CANARY)
    assert (claim.task.id, claim.decision.verdict) == (task, Verdict.DENY)
