"""A call that needs a person waits without a worker, and goes on with what was decided."""

import json

import prometheus_client
import pytest

from penstock import traffic
from penstock.escalation import EscalationStatus, Verdict
from penstock.guard import unguarded
from penstock.task import OutcomeReason, TaskStatus
from penstock_store import scripts
from penstock_store.escalations import Decided, Sought, Word
from penstock_store.store import Store
from tests.integration.runtime.shop import killed, tool

pytestmark = pytest.mark.redis

REFUND = {"name": "refund", "input": {"order": "A1", "amount": 150}}
SCRIPT = {"toolCalls": [REFUND]}  # then it says what the tools answered


def refund(tool_server, **approval):
    return tool(
        "refund",
        tool_server.url + "/ok",
        "Irreversible",
        approval=approval or {"mode": "Always"},
    )


async def waiting(shop, identifier):
    """The escalation that a task waits for, once it does."""

    async def found():
        return (await shop.task(identifier)).escalation

    return await shop.store.escalations.get(await shop.until(found))


async def test_a_call_waits_for_a_person_and_is_made_once_it_is_approved(shop, tool_server):
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)])
    identifier = await shop.submit()
    async with shop.pool(cut):
        asked = await waiting(shop, identifier)
        assert (await shop.task(identifier)).status is TaskStatus.WAITING_FOR_APPROVAL
        assert (asked.tool, json.loads(asked.arguments)) == ("refund", REFUND["input"])
        assert (await shop.store.routes.look(shop.agent, [])).parked == 1
        assert not tool_server.calls
        said = await shop.store.escalations.decide(asked.id, Word("ann", Verdict.APPROVE))
        assert said is Decided.DONE
        ended = await shop.ended(identifier)
    assert ended.status is TaskStatus.SUCCEEDED
    assert [json.loads(call["body"]) for call in tool_server.calls] == [REFUND["input"]]
    kept = await shop.store.escalations.get(asked.id)
    assert (kept.status, kept.decided_by) == (EscalationStatus.APPROVED, ("ann",))


async def decide(shop, identifier, verdict, person="ann", **more):
    said = await shop.store.escalations.decide(identifier, Word(person, verdict, **more))
    assert said is Decided.DONE


async def test_every_process_dies_while_a_refund_waits_and_it_is_made_once(
    shop, tool_server, redis_server
):
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)])
    identifier = await shop.submit()
    first = shop.worker(cut)
    asked = await waiting(shop, identifier)
    killed(first)
    before = (await shop.task(identifier)).usage
    await decide(shop, asked.id, Verdict.APPROVE)
    second = shop.worker(cut)
    await shop.event(identifier, "tool")
    killed(second)
    async with shop.pool(cut):
        ended = await shop.ended(identifier)
    assert ended.status is TaskStatus.SUCCEEDED
    assert len(tool_server.calls) == 1
    assert before.model_calls == 1


async def test_a_denied_call_is_not_made_and_the_model_hears_why(shop, tool_server):
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)])
    identifier = await shop.submit()
    async with shop.pool(cut):
        asked = await waiting(shop, identifier)
        await decide(shop, asked.id, Verdict.DENY, note="too much")
        ended = await shop.ended(identifier)
    assert (ended.status, tool_server.calls) == (TaskStatus.SUCCEEDED, [])
    assert "too much" in ended.outcome.output


async def test_a_denial_ends_the_task_where_that_is_declared_and_all_of_it_is_counted(
    shop, tool_server
):
    overseen = {"onDeny": "Escalate", "handover": True}
    asks = {"name": "escalate", "input": {"reason": "who is she?"}}
    for script, planned in ((SCRIPT, "yes"), ({"toolCalls": [asks]}, "no")):
        cut = await shop.release(script, tools=[refund(tool_server)], oversight=overseen)
        identifier = await shop.submit()
        async with shop.pool(cut):
            asked = await waiting(shop, identifier)
            await decide(shop, asked.id, Verdict.DENY, note="too much")
            ended = await shop.ended(identifier)
        assert (ended.status, ended.outcome.reason) == (TaskStatus.ESCALATED, "Approval")
        assert "ann has denied it: too much" in ended.outcome.message
        place = {
            "namespace": shop.agent.namespace,
            "agent": shop.agent.name,
            "revision": cut.name,
        }
        for name, labels in (
            ("penstock_calls_asked_total", {"planned": planned}),
            ("penstock_calls_decided_total", {"decision": "Deny", "by": "person"}),
        ):
            assert prometheus_client.REGISTRY.get_sample_value(name, place | labels) == 1
    assert tool_server.calls == []


async def test_an_answer_is_read_instead_of_a_result(shop, tool_server):
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)])
    identifier = await shop.submit()
    async with shop.pool(cut):
        asked = await waiting(shop, identifier)
        await decide(shop, asked.id, Verdict.ANSWER, answer="it was paid yesterday")
        ended = await shop.ended(identifier)
    assert tool_server.calls == []
    assert "it was paid yesterday" in ended.outcome.output


async def test_changed_arguments_are_those_that_are_sent_and_the_model_is_told(shop, tool_server):
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)])
    identifier = await shop.submit()
    async with shop.pool(cut):
        asked = await waiting(shop, identifier)
        changed = {"order": "A1", "amount": 100}
        await decide(shop, asked.id, Verdict.APPROVE, arguments=json.dumps(changed))
        ended = await shop.ended(identifier)
    assert [json.loads(call["body"]) for call in tool_server.calls] == [changed]
    assert "a person has approved the call with other arguments" in ended.outcome.output


async def test_changed_arguments_wait_for_whoever_the_rules_name_for_them(shop, tool_server):
    rules = [
        {"argument": "amount", "above": "100", "approvers": ["finance"]},
        {"argument": "amount", "above": "1000", "minApprovals": 2},
    ]
    cut = await shop.release(SCRIPT, tools=[refund(tool_server, mode="When", rules=rules)])
    identifier = await shop.submit()
    changed = json.dumps({"order": "A1", "amount": 5000})
    async with shop.pool(cut):
        asked = await waiting(shop, identifier)
        await decide(shop, asked.id, Verdict.APPROVE, arguments=changed)

        async def asked_anew():
            return (await shop.task(identifier)).escalation not in ("", asked.id)

        await shop.until(asked_anew)
        assert tool_server.calls == []
        again = await waiting(shop, identifier)
        assert (json.loads(again.arguments), again.ask.min_approvals) == (json.loads(changed), 2)
        await decide(shop, again.id, Verdict.APPROVE, "ann")
        await decide(shop, again.id, Verdict.APPROVE, "bob")
        ended = await shop.ended(identifier)
    assert ended.status is TaskStatus.SUCCEEDED
    assert [json.loads(call["body"]) for call in tool_server.calls] == [json.loads(changed)]


async def test_only_what_a_rule_asks_for_waits(shop, tool_server):
    rule = {"argument": "amount", "above": "100", "approvers": ["finance"]}
    small = {"toolCalls": [{"name": "refund", "input": {"amount": 100}}], "text": "done"}
    asking = [refund(tool_server, mode="When", rules=[rule])]
    assert (await shop.run(small, tools=asking)).status is TaskStatus.SUCCEEDED
    cut = await shop.release(SCRIPT, tools=asking)
    identifier = await shop.submit()
    async with shop.pool(cut):
        asked = await waiting(shop, identifier)
    assert (asked.ask.why, asked.ask.approvers) == (
        "its argument amount is above 100",
        (("finance",),),
    )


async def test_hundreds_wait_and_hold_no_slot_of_a_worker(shop, tool_server):
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)])
    waiting_tasks = [await shop.submit(user=f"u{number}") for number in range(500)]
    async with shop.pool(cut, PENSTOCK_CONCURRENCY="8"):

        async def all_wait():
            look = await shop.store.routes.look(shop.agent, [cut.hash])
            return look.parked == 500 and not look.work[cut.hash].running

        await shop.until(all_wait)
        other = await shop.submit("again")
        asked = await waiting(shop, other)
        await decide(shop, asked.id, Verdict.APPROVE)
        assert (await shop.ended(other)).status is TaskStatus.SUCCEEDED
    look = await shop.store.routes.look(shop.agent, [cut.hash])
    assert (look.parked, look.work[cut.hash].queued) == (500, 0)
    assert (await shop.task(waiting_tasks[0])).status is TaskStatus.WAITING_FOR_APPROVAL


async def test_the_clock_stands_still_and_later_turns_of_the_session_wait_without_expiring(
    shop, tool_server
):
    bounds = {"queueSeconds": 3, "wallSeconds": 60}
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)], limits=bounds)
    async with shop.pool(cut):
        first = await shop.submit(session="s")  # with a worker there, it does not expire
        asked = await waiting(shop, first)
        second = await shop.submit(session="s")
        await shop.until(lambda: shop.older_than(second, 3500))
        await decide(shop, asked.id, Verdict.DENY)
        ended = await shop.ended(first)
        # From its beginning to its end, on Redis' clock, but for what it certainly waited.
        assert ended.usage.wall_ms < ended.finished_ms - ended.created_ms - 3400
        await decide(shop, (await waiting(shop, second)).id, Verdict.DENY)
        assert (await shop.ended(second)).status is TaskStatus.SUCCEEDED


async def test_rolled_back_in_mid_wait_it_goes_on_with_stable_and_the_record_names_both(
    shop, tool_server
):
    stable = await shop.release({"text": "stable"}, tools=[refund(tool_server)])
    canary = await shop.release(SCRIPT, tools=[refund(tool_server)])
    identifier = await shop.submit()
    async with shop.pool(canary):
        asked = await waiting(shop, identifier)
    await shop.route(stable, **{f"h{canary.hash}": traffic.Standing.REJECTED})
    await decide(shop, asked.id, Verdict.APPROVE)
    async with shop.pool(stable):
        ended = await shop.ended(identifier)
    assert (ended.status, ended.revision) == (TaskStatus.SUCCEEDED, stable.hash)
    assert len(tool_server.calls) == 1
    kept = await shop.store.escalations.get(asked.id)
    assert (kept.revision, kept.decided_revision) == (canary.hash, stable.hash)


async def test_an_approval_is_void_where_stable_has_another_tool_of_that_name(shop, tool_server):
    other = refund(tool_server) | {"inputSchema": {"type": "object", "title": "another"}}
    stable = await shop.release({"text": "stable"}, tools=[other])
    canary = await shop.release(SCRIPT, tools=[refund(tool_server)])
    identifier = await shop.submit()
    async with shop.pool(canary):
        asked = await waiting(shop, identifier)
    await shop.route(stable, **{f"h{canary.hash}": traffic.Standing.REJECTED})
    await decide(shop, asked.id, Verdict.APPROVE)
    async with shop.pool(stable):

        async def asked_anew():
            return (await shop.task(identifier)).escalation not in ("", asked.id)

        await shop.until(asked_anew)
    assert tool_server.calls == []
    again = await shop.store.escalations.get((await shop.task(identifier)).escalation)
    assert again.revision == stable.hash


async def test_where_too_many_wait_a_call_ends_its_task_as_escalated(shop, tool_server):
    shop.store = Store.connect(
        shop.redis_url,
        guard=unguarded,
        retention=scripts.Retention(parked_tasks=1),
        timeout_seconds=30,
    )
    cut = await shop.release(SCRIPT, tools=[refund(tool_server)])
    async with shop.pool(cut):
        await waiting(shop, await shop.submit())
        ended = await shop.ended(await shop.submit())
    assert (ended.status, ended.outcome.reason) == (TaskStatus.ESCALATED, OutcomeReason.APPROVAL)
    assert "nobody was asked" in ended.outcome.message
    page = await shop.store.escalations.page(shop.agent, Sought())
    assert (len(page.items), page.waiting) == (1, 1)


async def test_of_a_reply_with_several_calls_each_is_made_once_and_in_order_around_the_wait(
    shop, tool_server
):
    def look(order):
        return {"name": "look_up", "input": {"order": order}}

    script = {"toolCalls": [look("A1"), REFUND, look("A2"), look("A3")]}
    reads = tool("look_up", tool_server.url + "/ok")
    cut = await shop.release(script, tools=[reads, refund(tool_server)])
    identifier = await shop.submit()
    first = shop.worker(cut)
    asked = await waiting(shop, identifier)
    killed(first)
    assert [json.loads(call["body"])["order"] for call in tool_server.calls] == ["A1"]
    await decide(shop, asked.id, Verdict.APPROVE)
    async with shop.pool(cut):
        assert (await shop.ended(identifier)).status is TaskStatus.SUCCEEDED
    made = [json.loads(call["body"]) for call in tool_server.calls]
    assert made[1] == REFUND["input"]
    assert sorted(call["order"] for call in made) == ["A1", "A1", "A2", "A3"]


async def test_a_worker_that_dies_in_an_approved_call_leaves_it_unmade_a_second_time(
    shop, tool_server
):
    slow = tool("refund", tool_server.url + "/slow/50", "Irreversible", approval={"mode": "Always"})
    cut = await shop.release(SCRIPT, tools=[slow | {"timeoutSeconds": 60}])
    identifier = await shop.submit()
    first = shop.worker(cut)
    asked = await waiting(shop, identifier)
    await decide(shop, asked.id, Verdict.APPROVE)
    await shop.until(lambda: called(tool_server))
    killed(first)
    async with shop.pool(cut):
        ended = await shop.ended(identifier)
    assert (ended.status, ended.outcome.reason) == (TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR)
    assert len(tool_server.calls) == 1


async def called(tool_server):
    return len(tool_server.calls) == 1
