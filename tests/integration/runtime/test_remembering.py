"""A call that a person has approved for its session lets further ones through: over HTTP, with a real worker."""

from __future__ import annotations

import asyncio
import json

import pytest

from penstock import traffic
from penstock.escalation import Verdict
from penstock.task import TaskStatus
from penstock_store.effects import SoughtEffects
from penstock_store.escalations import Decided, Word
from tests.integration.gateway import conftest as gateways
from tests.integration.gateway.test_escalations import penstock
from tests.integration.runtime.shop import TENANT, tool
from tests.integration.runtime.test_refunds import until_ended
from tests.integration.runtime.test_waiting import waiting

pytestmark = pytest.mark.redis

RULES = [
    {"argument": "amount", "above": "100", "approvers": ["finance"], "remember": "Session"},
    {"argument": "amount", "above": "1000", "approvers": ["finance"]},
]
TOKENS = [
    {"token": "the-shop", "name": "shop", "tenant": TENANT, "agents": ["*"]},
    {"token": "ann-of-finance", "name": "ann", "tenant": TENANT, "agents": ["*"],
     "user": "ann", "groups": ["finance"], "approve": True},
]  # fmt: skip


def pays(*amounts):
    calls = [{"name": "refund", "input": {"order": f"{n}", "amount": n}} for n in amounts]
    return {"toolCalls": calls}


def refund(tool_server, **more):
    approval = {"mode": "When", "rules": RULES}
    more = {"approval": approval, "amountFrom": "amount"} | more
    return tool("refund", tool_server.url + "/ok", "Irreversible", **more)


@pytest.fixture
async def gateway(redis_server, tmp_path):
    (tmp_path / "tokens.json").write_text(json.dumps({"tokens": TOKENS}))
    running = await asyncio.to_thread(gateways.launch, redis_server.url, tmp_path)
    yield running
    running.stop()


def paid(tool_server):
    return [json.loads(call["body"])["amount"] for call in tool_server.calls]


async def test_over_http_the_approver_chooses_it_and_smaller_calls_of_the_session_are_made(
    shop, tool_server, gateway
):
    cut = await shop.release(pays(150, 120, 151), tools=[refund(tool_server)])
    path = f"/v1/namespaces/{shop.agent.namespace}/agents/{shop.agent.name}"
    body = {"input": "Both never came.", "user": "eve", "session": "s-1", "wait": 60}
    async with shop.pool(cut), gateway.client("the-shop") as client:
        task = (await client.post(f"{path}/tasks", json=body)).json()
        first = (await client.get(f"/v1/escalations/{task['escalation']}")).json()
        assert first["remember"] == {
            "scope": "Session",
            "calls": "amount above 100, each at most 150",
        }
        listed = ("show", first["id"], "-n", shop.agent.namespace)
        _, said, _ = await penstock(gateway, "ann-of-finance", *listed)
        assert "with --remember session also, in this session, however many" in said
        approve = ("approve", first["id"], "-n", shop.agent.namespace, "--remember", "session")
        code, said, problem = await penstock(gateway, "ann-of-finance", *approve)
        assert (code, "in this session also: amount above 100" in said) == (0, True), problem

        async def asks_again():
            return (await shop.task(task["id"])).escalation

        larger = await shop.until(asks_again)
        assert paid(tool_server) == [150, 120]
        async with gateway.client("ann-of-finance") as ann:
            decision = f"/v1/escalations/{larger}/decision"
            said = await ann.post(decision, json={"decision": "Deny", "remember": "Session"})
            assert (said.status_code, "remember" in said.json()["detail"]) == (400, True)
            said = await ann.post(decision, json={"decision": "Approve"})
            assert (said.status_code, said.json()["remembered"]) == (200, False)
        assert (await until_ended(client, task["id"]))["status"] == "Succeeded"
        found = (await client.get(f"{path}/effects?task={task['id']}")).json()["items"]
        by = [one["approvedEarlier"] for one in found]
        assert by == [None, {"by": ["ann"], "escalation": first["id"]}, None]
        events = (await client.get(f"/v1/tasks/{task['id']}/events")).json()["items"]
        told = [one["data"].get("approvedEarlier") for one in events if one["type"] == "tool"]
        assert told == by
    assert paid(tool_server) == [150, 120, 151]


async def approved(shop, tool_server, session="s", **more):
    """A task of a session whose call of 150 was approved for it, and has ended."""
    cut = await shop.release(pays(150), tools=[refund(tool_server, **more)])
    async with shop.pool(cut):
        first = await shop.submit(session=session)
        asked = await waiting(shop, first)
        await remember(shop, asked)
        await shop.ended(first)
    return cut


async def remember(shop, asked):
    word = Word("ann", Verdict.APPROVE, remember=True)
    assert await shop.store.escalations.decide(asked.id, word) is Decided.DONE


async def test_the_next_task_of_the_session_asks_nobody_and_one_of_another_session_does(
    shop, tool_server
):
    cut = await approved(shop, tool_server)
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit(session="s"))
        assert ended.status is TaskStatus.SUCCEEDED
        for session in ("t", ""):
            assert (await waiting(shop, await shop.submit(session=session))).tool == "refund"
    assert paid(tool_server) == [150, 150]
    page = await shop.store.effects.page(shop.agent, SoughtEffects())
    earlier = [one.approved_earlier and one.approved_earlier.by for one in page.items]
    assert earlier == [None, ("ann",)]


async def test_once_its_user_is_erased_the_task_that_runs_asks_again(shop, tool_server):
    slow = refund(tool_server) | {"http": {"url": tool_server.url + "/slow/60"}}
    cut = await shop.release(pays(150, 120), tools=[slow])
    async with shop.pool(cut):
        task = await shop.submit(session="s")
        await remember(shop, await waiting(shop, task))
        await asyncio.to_thread(tool_server.wait_for_calls, 1)
        assert (await shop.store.effects.erase(shop.agent, TENANT, "u")).going_on == 1
        tool_server.gate.set()

        async def asks_again():
            return (await shop.task(task)).escalation

        asked = await shop.store.escalations.get(await shop.until(asks_again))
        assert (json.loads(asked.arguments)["amount"], paid(tool_server)) == (120, [150])


@pytest.mark.parametrize("changed", [{}, {"inputSchema": {"type": "object", "maxProperties": 9}}])
async def test_a_revision_that_takes_the_session_over_asks_again(shop, tool_server, changed):
    cut = await approved(shop, tool_server)
    other = {"description": "Pays back."} | changed
    after = await shop.release(pays(150), tools=[refund(tool_server, **other)])
    await shop.route(after, **{f"h{cut.hash}": traffic.Standing.REJECTED})
    async with shop.pool(after):
        assert (await waiting(shop, await shop.submit(session="s"))).revision == after.hash
    assert paid(tool_server) == [150]
