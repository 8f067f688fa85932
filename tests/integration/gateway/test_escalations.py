"""Calls that wait for a person, over HTTP: listed, read, decided once, and by whom."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid

import pytest
from redis.asyncio import Redis

from penstock.api.oversight import OnTimeout
from penstock.escalation import Ask, Asked, digest
from penstock.names import AgentKey
from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage
from penstock_store.answers import Asker
from penstock_store.records import Directive
from tests.integration.gateway import conftest
from tests.integration.gateway.conftest import CANARY, STABLE, Agent
from tests.integration.gateway.test_terminal import ended

TOKENS = [
    {"token": "the-shop", "name": "shop", "tenant": "acme", "agents": ["*"]},
    {"token": "ann-of-finance", "name": "ann", "tenant": "acme", "agents": ["*"],
     "user": "ann", "groups": ["finance"], "approve": True},
    {"token": "bob-of-support", "name": "bob", "tenant": "acme", "agents": ["*"],
     "user": "bob", "groups": ["support"], "approve": True},
    {"token": "cat-elsewhere", "name": "cat", "tenant": "globex", "agents": ["*"],
     "user": "cat", "groups": ["finance"], "approve": True},
]  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "number", "maximum": 1000}},
}
ARGUMENTS = {"amount": 150}


@pytest.fixture(scope="module")
def shared(redis, tmp_path_factory):
    directory = tmp_path_factory.mktemp("gateway")
    (directory / "tokens.json").write_text(json.dumps({"tokens": TOKENS}))
    running = conftest.launch(redis.url, directory)
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture
async def agent(store):
    made = Agent(store, AgentKey("shop", f"agent-{uuid.uuid4().hex[:10]}"))
    await made.set_route()
    return made


def asked(**more):
    given = {
        "ask": Ask("its approval.mode is Always"),
        "timeout_seconds": 3600,
        "on_timeout": OnTimeout.DENY,
    } | more
    return Asked(
        tool="refund",
        place=(1, 1),
        arguments=json.dumps(ARGUMENTS),
        digest=digest("refund", SCHEMA, ARGUMENTS),
        schema=json.dumps(SCHEMA),
        context=json.dumps([{"role": "user", "text": "I want my money back."}]),
        **given,
    )


async def park(agent, claim, **more):
    said = await agent.store.claims.park(claim, Usage(1, 0, 100, 20, 4000, 900), asked(**more))
    assert said is Directive.CONTINUE


async def waits(shared, agent, user="u-1", token="the-shop", session="", **more):
    """A task whose call waits; the escalation's id."""
    body = {"input": "x", "user": user} | ({"session": session} if session else {})
    async with shared.client(token) as client:
        submitted = await client.post(agent.tasks, json=body)
        [claim] = await agent.claim()
        await park(agent, claim, **more)
        task = (await client.get(f"/v1/tasks/{submitted.json()['id']}")).json()
    assert task["status"] == "WaitingForApproval"
    return task["escalation"]


async def decide(shared, token, identifier, **body):
    async with shared.client(token) as client:
        return await client.post(f"/v1/escalations/{identifier}/decision", json=body)


async def get(shared, token, path, **query):
    async with shared.client(token) as client:
        return await client.get(path, params=query)


async def test_a_call_is_listed_read_approved_over_http_and_goes_on(shared, agent):
    identifier = await waits(shared, agent)
    found = await get(
        shared, "ann-of-finance", "/v1/escalations", namespace="shop", agent=agent.key.name
    )
    [item] = found.json()["items"]
    assert (item["id"], item["tool"], item["arguments"]) == (identifier, "refund", ARGUMENTS)
    whole = (await get(shared, "ann-of-finance", f"/v1/escalations/{identifier}")).json()
    assert whole["conversation"] == [{"role": "user", "text": "I want my money back."}]
    assert (whole["status"], whole["costUSD"]) == ("Open", "0.004000")
    said = await decide(shared, "ann-of-finance", identifier, decision="Approve", note="by phone")
    assert said.status_code == 200, said.text
    assert (said.json()["status"], said.json()["decidedBy"]) == ("Approved", ["ann"])
    async with shared.client("ann-of-finance") as client:
        metrics = (await client.get("/metrics")).text
    assert f'penstock_gateway_decision_seconds_count{{agent="{agent.key.name}"' in metrics
    [claim] = await agent.claim()
    assert (claim.decision.verdict, claim.decision.by, claim.decision.place) == (
        "Approve",
        ("ann",),
        (1, 1),
    )
    assert claim.task.usage.wall_ms == 900


@pytest.mark.parametrize(
    "said", ["1.0", "v1.0", STABLE, STABLE[:5], "{agent}-" + STABLE, "{agent}-" + STABLE[:4]]
)
async def test_of_one_agent_a_revision_is_said_as_everywhere_else(shared, agent, said):
    agent.versions = {STABLE: "1.0", CANARY: "2.0"}
    await agent.set_route()
    identifier = await waits(shared, agent)
    where = {"namespace": "shop", "agent": agent.key.name}
    text = said.format(agent=agent.key.name)

    async def found(token="ann-of-finance", **query):
        return await get(shared, token, "/v1/escalations", **query)

    (item,) = (await found(revision=text, **where)).json()["items"]
    assert item["id"] == identifier
    assert (await found(revision="2.0", **where)).json()["items"] == []
    problem = await found(revision="9.0", **where)
    assert problem.status_code == 400
    assert "a version that one declares (1.0, 2.0)" in problem.json()["detail"]
    alone = await found(revision=text)
    whole = text in (STABLE, f"{agent.key.name}-{STABLE}")
    assert alone.status_code == (200 if whole else 400)
    assert whole or "goes with namespace and agent" in alone.json()["detail"]


async def test_it_is_decided_once_and_the_same_word_again_changes_nothing(shared, agent):
    identifier = await waits(shared, agent)
    first = await decide(shared, "ann-of-finance", identifier, decision="Deny", note="too much")
    again = await decide(shared, "ann-of-finance", identifier, decision="Deny", note="too much")
    assert (first.status_code, again.status_code) == (200, 200)
    for token, word in (("ann-of-finance", "Approve"), ("bob-of-support", "Approve")):
        late = await decide(shared, token, identifier, decision=word)
        assert (late.status_code, late.json()["type"].rpartition("/")[2]) == (
            409,
            "escalation-decided",
        )
    [claim] = await agent.claim()
    assert (claim.decision.verdict, claim.decision.note) == ("Deny", "too much")


async def test_ten_people_at_once_decide_it_once(shared, agent):
    identifier = await waits(shared, agent)
    words = [
        decide(shared, token, identifier, decision=word)
        for word in ("Approve", "Deny")
        for token in ("ann-of-finance", "bob-of-support")
    ]
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*words)])
    assert statuses == [200, 409, 409, 409]
    assert len(await agent.claim()) == 1


@pytest.mark.parametrize(
    ("token", "status", "why"),
    [
        ("the-shop", 403, "decides on no calls"),
        ("bob-of-support", 403, "in none of the groups finance"),
        ("cat-elsewhere", 404, "no escalation"),
        ("ann-of-finance", 200, "Approved"),
    ],
)
async def test_who_may_decide(shared, agent, token, status, why):
    identifier = await waits(shared, agent, ask=Ask("it is much", (("finance",),)))
    said = await decide(shared, token, identifier, decision="Approve")
    assert said.status_code == status
    assert why in said.text


@pytest.mark.parametrize(("user", "token"), [("ann", "the-shop"), ("u", "ann-of-finance")])
async def test_nobody_approves_his_own_call(shared, agent, user, token):
    identifier = await waits(shared, agent, user=user, token=token)
    said = await decide(shared, "ann-of-finance", identifier, decision="Approve")
    assert (said.status_code, said.json()["type"].rpartition("/")[2]) == (403, "approval-forbidden")
    assert (
        await decide(shared, "bob-of-support", identifier, decision="Approve")
    ).status_code == 200


async def test_two_persons_approve_where_two_must(shared, agent):
    identifier = await waits(shared, agent, ask=Ask("four eyes", (), 2))
    first = await decide(shared, "ann-of-finance", identifier, decision="Approve")
    assert (first.json()["status"], first.json()["approvedBy"]) == ("Open", ["ann"])
    again = await decide(shared, "ann-of-finance", identifier, decision="Approve")
    assert again.json()["status"] == "Open"
    other = await decide(
        shared, "bob-of-support", identifier, decision="Approve", arguments={"amount": 1}
    )
    assert other.status_code == 409
    second = await decide(shared, "bob-of-support", identifier, decision="Approve")
    assert (second.json()["status"], second.json()["decidedBy"]) == ("Approved", ["ann", "bob"])


async def test_changed_arguments_must_fit_the_schema_and_are_on_record(shared, agent):
    identifier = await waits(shared, agent)
    wrong = await decide(
        shared, "ann-of-finance", identifier, decision="Approve", arguments={"amount": 5000}
    )
    assert (wrong.status_code, "1000" in wrong.text) == (400, True)
    said = await decide(
        shared, "ann-of-finance", identifier, decision="Approve", arguments={"amount": 100}
    )
    assert said.json()["changedArguments"] == {"amount": 100}
    [claim] = await agent.claim()
    assert claim.decision.arguments == {"amount": 100}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "decision"),
        ({"decision": "Perhaps"}, "decision"),
        ({"decision": "Answer"}, "answer"),
        ({"decision": "Deny", "arguments": {}}, "arguments"),
        ({"decision": "Deny", "by": "me"}, "by"),
    ],
)
async def test_a_decision_that_says_nothing_usable_is_refused_and_changes_nothing(
    shared, agent, body, why
):
    identifier = await waits(shared, agent)
    said = await decide(shared, "ann-of-finance", identifier, **body)
    assert (said.status_code, why in said.json()["detail"]) == (400, True), said.text
    assert (await get(shared, "the-shop", f"/v1/escalations/{identifier}")).json()[
        "status"
    ] == "Open"


async def test_time_decides_once_though_no_worker_lives(shared, agent):
    identifier = await waits(shared, agent, timeout_seconds=1, on_timeout=OnTimeout.APPROVE)
    deadline = time.monotonic() + 20
    while not await agent.store.escalations.lapse(agent.key):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert await agent.store.escalations.lapse(agent.key) == 0
    said = await decide(shared, "ann-of-finance", identifier, decision="Deny")
    assert (said.status_code, "Approved, by time" in said.text) == (409, True)
    [claim] = await agent.claim()
    assert (claim.decision.verdict, claim.decision.by) == ("Approve", ())


async def test_who_waits_hears_at_once_that_a_person_is_asked(shared, agent):
    async with shared.client("the-shop") as client:
        posted = asyncio.create_task(client.post(agent.tasks, json={"input": "x", "wait": 25}))
        [claim] = await agent.claim()
        await park(agent, claim)
        async with asyncio.timeout(20):
            answer = await posted
    assert (answer.status_code, answer.json()["status"]) == (202, "WaitingForApproval")
    assert answer.json()["escalation"]


async def test_a_cancelled_task_asks_nobody_any_more(shared, agent):
    identifier = await waits(shared, agent)
    async with shared.client("the-shop") as client:
        ended = await client.delete(f"/v1/tasks/{identifier.rpartition('.')[0]}")
    assert ended.json()["status"] == "Cancelled"
    listed = await get(
        shared, "the-shop", "/v1/escalations", namespace="shop", agent=agent.key.name
    )
    assert listed.json()["items"] == []
    said = await decide(shared, "ann-of-finance", identifier, decision="Approve")
    assert said.status_code == 409
    assert (await get(shared, "the-shop", f"/v1/escalations/{identifier}")).json()[
        "status"
    ] == "Void"


async def penstock(shared, token, *arguments):
    """Carries out ``penstock escalations``: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock_cli", "escalations", *arguments),
        env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return await ended(process)


async def test_the_terminal_lists_shows_and_decides(shared, agent):
    first, second = [
        await waits(shared, agent, user=f"u-{number}", session=f"s-of-u-{number}")
        for number in range(2)
    ]
    code, said, _ = await penstock(shared, "ann-of-finance", "list", agent.key.name, "-n", "shop")
    assert (code, [line.split()[0] for line in said.splitlines()]) == (0, ["ID", first, second])
    code, said, _ = await penstock(shared, "ann-of-finance", "show", first)
    assert (code, "user: I want my money back." in said) == (0, True)
    assert "\nsession:     s-of-u-0\n" in said
    code, said, _ = await penstock(
        shared, "ann-of-finance", "approve", first, "--arguments", '{"amount": 100}'
    )
    assert (code, said) == (0, f"{first} is Approved\n")
    code, said, _ = await penstock(shared, "bob-of-support", "deny", second, "--note", "too much")
    assert (code, said) == (0, f"{second} is Denied\n")
    code, _, told = await penstock(shared, "ann-of-finance", "answer", second, "no")
    assert (code, "It was decided before: Denied, by bob" in told) == (3, True)
    code, said, _ = await penstock(shared, "ann-of-finance", "show", first, "-o", "json")
    assert json.loads(said)["changedArguments"] == {"amount": 100}


async def test_pages_lead_through_what_waits_of_several_agents(shared, store, agent):
    other = Agent(store, AgentKey("shop", f"agent-{uuid.uuid4().hex[:10]}"))
    await other.set_route()
    await store.routes.set_index({agent.key: "uid", other.key: "uid"})
    wanted = {await waits(shared, each) for each in (agent, other) for _ in range(3)}
    found, more = [], ""
    while True:
        page = (
            await get(shared, "ann-of-finance", "/v1/escalations", limit=2, **{"continue": more})
        ).json()
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        more = page["continue"]
        if not more:
            break
    assert (len(found), set(found)) == (6, wanted)
    assert (await get(shared, "cat-elsewhere", "/v1/escalations")).json()["items"] == []
    one = await get(shared, "ann-of-finance", "/v1/escalations", tool="refund", user="nobody")
    assert one.json()["items"] == []


def effect(state, number, amount="150000000"):
    return (
        "effect",
        {
            "state": state, "step": number, "position": 1, "tool": "refund", "amount": amount,
            "shown": {"amount": "150"}, "arguments": "a" * 64, "result": "",
        },
    )  # fmt: skip


async def test_effects_are_listed_unknown_ones_first_and_summed_up(shared, agent):
    async with shared.client("the-shop") as client:
        for user in ("u-1", "u-2"):
            await client.post(agent.tasks, json={"input": "x", "user": user})
    for claim in await agent.claim(2):
        done = [effect("Intended", 1), effect("Done", 1), effect("Intended", 2)]
        for one in [*done, done[-1]]:  # the last write is repeated: its answer was lost
            await agent.store.claims.checkpoint(claim, b"state", Usage(), [one])
        assert "effect" not in {
            event.type for event in await agent.store.notifications.events(claim.task.id)
        }
    path = agent.tasks.replace("/tasks", "/effects")
    page = (await get(shared, "the-shop", path, limit=1)).json()
    assert [one["state"] for one in page["unknown"]] == ["Intended"] * 2
    assert [one["amount"] for one in page["items"]] == ["150.000000"]
    after = (await get(shared, "the-shop", path, limit=1, **{"continue": page["continue"]})).json()
    assert (after["unknown"], len(after["items"])) == ([], 1)
    one = (await get(shared, "the-shop", path, user="u-2")).json()
    assert (len(one["unknown"]), len(one["items"])) == (1, 1)
    assert (await get(shared, "cat-elsewhere", path)).json()["unknown"] == []
    assert (await get(shared, "the-shop", path, **{"continue": "x"})).status_code == 400
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock_cli", "effects", agent.key.name, "-n", "shop"),
        env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "the-shop"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    code, said, _ = await ended(process)
    assert code == 0
    lines = said.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["Unknown", "Unknown", "Done", "Done"]
    assert [line.split()[3] for line in lines[1:5]] == ["150"] * 4
    assert lines[-1] == "2 done, 2 unknown, for 2 users; refund 300; refund 300 unknown"
    for command, remark in (
        (("effects", "typo"), "penstock: no call of an agent typo fits; check its name\n"),
        (("escalations", "list", "typo"), "penstock: no call that waits fits\n"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock_cli", *command, "-n", "shop"),
            env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "the-shop"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        code, _, told = await ended(process)
        assert (code, told) == (0, remark)


async def test_of_an_erased_user_effects_keep_digests_and_amount_and_nothing_else_is_left(
    redis, shared, agent
):
    async with shared.client("the-shop") as client:
        for user in ("u 1/ü", "u-2"):
            body = {"input": f"I am {user}", "user": user, "session": f"of-{len(user)}"}
            await client.post(agent.tasks, json=body)
        for claim in await agent.claim(2):
            done = [effect("Intended", 1), effect("Done", 1), effect("Intended", 2)]
            await agent.store.claims.checkpoint(claim, b"state", Usage(), done)
            assert await agent.store.claims.finish(claim, Outcome(TaskStatus.SUCCEEDED), Usage())
        for number, (tenant, user) in enumerate(
            [("acme", "u 1/ü"), ("acme", "u 1/ü"), ("acme", "u-2"), ("another", "u 1/ü")]
        ):
            who = Asker(tenant, user)
            await agent.store.answers.keep(agent.key, f"digest-{number}", b"said", 600, who)
        open_one = await client.post(agent.tasks, json={"input": "x", "user": "u 1/ü"})
        path = agent.tasks.replace("/tasks", "/users/u%201%2F%C3%BC")
        refused = await get(shared, "cat-elsewhere", agent.tasks.replace("/tasks", "/effects"))
        assert refused.json()["items"] == []
        said = await client.delete(path)
        assert (said.status_code, said.json()) == (
            200,
            {"effects": 2, "tasks": 1, "sessions": 1, "answers": 2, "goingOn": 1},
        )
        assert (await client.delete(f"/v1/tasks/{open_one.json()['id']}")).status_code == 200
        again = (await client.delete(path)).json()
        assert again == {"effects": 0, "tasks": 1, "sessions": 0, "answers": 0, "goingOn": 0}
        effects = (await client.get(agent.tasks.replace("/tasks", "/effects"))).json()
    left = [await agent.store.answers.find(agent.key, f"digest-{number}") for number in range(4)]
    assert left == [None, None, b"said", b"said"]
    for kept in (effects["unknown"], effects["items"]):
        assert sorted(one["user"] for one in kept) == ["", "u-2"]
        assert {one["amount"] for one in kept} == {"150.000000"}
        bare = next(one for one in kept if not one["user"])
        assert (bare["shown"], bare["argumentsDigest"]) == ({}, "a" * 64)
        assert bare["at"] <= max(one["at"] for one in kept)
    async with Redis.from_url(redis.url) as raw:
        async for key in raw.scan_iter(f"{{{agent.key}}}:*"):
            dumped = await raw.dump(key)
            assert b"I am u 1" not in dumped, key


async def test_an_ended_task_is_tried_again_once_and_one_that_acted_only_when_that_is_said(
    shared, agent
):
    async def tasks(*arguments):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock_cli", "tasks", *arguments),
            env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "the-shop"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await ended(process)

    async with shared.client("the-shop") as client:
        body = {"input": "x", "user": "u", "session": "s", "type": "t", "metadata": {"a": "b"}}
        first = (await client.post(agent.tasks, json=body)).json()["id"]
        path = f"/v1/tasks/{first}/retry"
        early = await client.post(path, json={})
        assert (early.status_code, early.json()["type"].rpartition("/")[2]) == (
            409,
            "task-not-ended",
        )
        [claim] = await agent.claim()
        failed = Outcome(TaskStatus.FAILED, OutcomeReason.TIMEOUT, "the model was away")
        await agent.store.claims.finish(claim, failed, Usage())
        code, said, _ = await tasks("retry", first)
        again = said.split()[0]
        assert (code, said) == (0, f"{again} is Queued, in place of {first}\n")
        [claim] = await agent.claim()
        task = claim.task
        assert (task.id, task.input, task.user, task.session, task.type, task.metadata) == (
            again, "x", "u", "s", "t", {"a": "b"},
        )  # fmt: skip
        await agent.store.claims.checkpoint(claim, b"state", Usage(), [effect("Intended", 1)])
        await agent.store.claims.finish(claim, failed, Usage())
        repeated = await client.post(path, json={})
        assert (repeated.status_code, repeated.json()["id"]) == (200, again), "it is one new task"
        code, _, told = await tasks("retry", again)
        assert (code, "calls that change something" in told) == (3, True)
        assert told.endswith("then say --even-if-acted.\n")
        code, said, _ = await tasks("retry", again, "--even-if-acted")
        assert (code, said.split()[0] in (first, again)) == (0, False)
    foreign = await decide(shared, "cat-elsewhere", "x", decision="Deny")
    assert foreign.status_code == 404
    async with shared.client("cat-elsewhere") as client:
        assert (await client.post(path, json={})).status_code == 404


async def test_a_person_takes_a_task_over_whether_it_waits_or_runs(shared, agent):
    waiting = await waits(shared, agent)
    async with shared.client("the-shop") as client:
        path = f"/v1/tasks/{waiting.rpartition('.')[0]}/escalate"
        ended = (await client.post(path, json={"note": "I know her"})).json()
        assert (ended["status"], ended["outcome"]["reason"]) == ("Escalated", "Person")
        assert ended["outcome"]["message"] == "token:shop takes it over: I know her"
        submitted = (await client.post(agent.tasks, json={"input": "x"})).json()
        [claim] = await agent.claim()
        path = f"/v1/tasks/{submitted['id']}"
        running = (await client.post(f"{path}/escalate", json={})).json()
        assert running["status"] == "Running"
        assert await agent.store.claims.checkpoint(claim, b"s", Usage(), []) is Directive.CANCEL
        cancelled = Outcome(TaskStatus.CANCELLED, OutcomeReason.PERSON, "cancelled by the caller")
        assert await agent.store.claims.finish(claim, cancelled, Usage())
        ended = (await client.get(path)).json()
        assert (ended["status"], ended["outcome"]["message"]) == (
            "Escalated",
            "token:shop takes it over",
        )
    refused = await get(shared, "cat-elsewhere", path)
    assert refused.status_code == 404
