"""The refund of docs/operating/approvals.md, with real processes: it waits, everything dies, it is made once."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path

import httpx
import pytest
import yaml

from penstock import revision, traffic
from penstock_store import testing
from tests.integration.gateway import conftest as gateways
from tests.integration.runtime.shop import MODEL, TENANT, Shop, killed

pytestmark = pytest.mark.redis

PAGE = Path(__file__).resolve().parents[3] / "docs/operating/approvals.md"
TOKENS = [
    {"token": "the-shop", "name": "shop", "tenant": TENANT, "agents": ["*"]},
    {"token": "ann-of-finance", "name": "ann", "tenant": TENANT, "agents": ["*"],
     "user": "ann", "groups": ["finance"], "approve": True},
]  # fmt: skip


def documented(tool_url, amount):
    """The template of the page, with a tool of the test's and a scripted model."""
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    template = yaml.safe_load(text)["spec"]["template"]
    script = {"toolCalls": [{"name": "refund", "input": {"order": "17", "amount": amount}}]}
    template["instructions"] += "\n#fake " + json.dumps(script)
    template["model"] = {"name": MODEL}
    template["tools"][0]["http"]["url"] = tool_url
    return template


@pytest.fixture
def own_redis():
    with testing.redis_server() as server:
        yield server


@pytest.fixture
async def shop(own_redis, fake_model, tmp_path):
    running = Shop(own_redis.url, fake_model.url, tmp_path)
    yield running
    await running.close()


async def release(shop, template):
    """Cut a revision of a template and give it all traffic."""
    cut = revision.cut(shop.agent.name, template, {}, "penstock:test")
    (shop.directory / f"{cut.name}.json").write_text(json.dumps(cut.document()))
    shop.standings[cut.hash] = [cut, traffic.Standing.OPEN]
    await shop.route(cut)
    return cut


async def test_a_refund_of_80_is_made_and_nobody_is_asked(shop, tool_server):
    cut = await release(shop, documented(tool_server.url + "/ok", 80))
    async with shop.pool(cut):
        ended = await shop.ended(await shop.submit())
    assert (ended.status, len(tool_server.calls)) == ("Succeeded", 1)


async def test_a_refund_of_150_waits_while_every_process_dies_and_is_made_once(
    shop, tool_server, own_redis, tmp_path
):
    (tmp_path / "tokens.json").write_text(json.dumps({"tokens": TOKENS}))
    cut = await release(shop, documented(tool_server.url + "/ok", 150))
    gateway = await asyncio.to_thread(gateways.launch, own_redis.url, tmp_path)
    worker = shop.worker(cut)
    path = f"/v1/namespaces/{shop.agent.namespace}/agents/{shop.agent.name}/tasks"
    async with gateway.client("the-shop") as client:
        asked = await client.post(path, json={"input": "150 back, please.", "wait": 60})
    task = asked.json()
    assert (asked.status_code, task["status"]) == (202, "WaitingForApproval")

    killed(worker)
    gateway.process.send_signal(signal.SIGKILL)
    gateway.process.wait()
    await asyncio.to_thread(own_redis.stop)
    await asyncio.to_thread(own_redis.start)
    assert tool_server.calls == []

    gateway = await asyncio.to_thread(gateways.launch, own_redis.url, tmp_path)
    shop.worker(cut)
    async with gateway.client("ann-of-finance") as client:
        decision = f"/v1/escalations/{task['escalation']}/decision"
        # No worker was left who could tell whether Redis came back whole: the call must be named.
        said = await client.post(decision, json={"decision": "Approve"})
        assert said.json()["type"].rpartition("/")[2] == "escalation-unconfirmed"
        waiting = (await client.get(f"/v1/escalations/{task['escalation']}")).json()
        named = {"decision": "Approve", "digest": waiting["digest"]}
        said = await client.post(decision, json=named)
        assert (said.status_code, said.json()["status"]) == (200, "Approved")
        ended = await until_ended(client, task["id"])
    gateway.stop()
    assert ended["status"] == "Succeeded"
    assert [json.loads(call["body"])["amount"] for call in tool_server.calls] == [150]


async def until_ended(client: httpx.AsyncClient, task: str):
    """The task's document once it has ended."""
    async with (
        asyncio.timeout(90),
        client.stream(
            "GET", f"/v1/tasks/{task}/events", headers={"Accept": "text/event-stream"}
        ) as stream,
    ):
        async for line in stream.aiter_lines():
            if line.startswith("data:") and json.loads(line[5:])["type"] == "finished":
                return json.loads(line[5:])["data"]
    raise AssertionError("the stream ended before the task")
