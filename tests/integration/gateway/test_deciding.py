"""Who decides on a call that waits, and on what exactly: spellings, second thoughts, arguments that are none."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys

import pytest
from redis.asyncio import Redis

from penstock.escalation import Ask, Verdict
from penstock_store.escalations import Word
from tests.integration.gateway import test_escalations
from tests.integration.gateway.test_escalations import decide, get, waits

agent, shared = test_escalations.agent, test_escalations.shared


async def in_doubt(redis, shared, agent):
    """A call that waits in a Redis of which no worker knows what it has lost; its document."""
    identifier = await waits(shared, agent)
    async with Redis.from_url(redis.url) as raw:
        await raw.hset(f"{{{agent.key}}}:tail", "life", "of another server")
    return (await get(shared, "ann-of-finance", f"/v1/escalations/{identifier}")).json()


@pytest.mark.parametrize(
    "written", ['"\\ud800"', "1e999", '{"a": "\\udc00b"}', '{"\\ud800": 1}', '"a\\u0000b"']
)
async def test_changed_arguments_that_cannot_be_written_down_are_refused(shared, agent, written):
    identifier = await waits(shared, agent)
    body = f'{{"decision": "Approve", "arguments": {{"amount": 1, "more": {written}}}}}'
    async with shared.client("ann-of-finance") as client:
        said = await client.post(
            f"/v1/escalations/{identifier}/decision",
            content=body,
            headers={"Content-Type": "application/json"},
        )
    assert said.status_code in (200, 400), said.text
    found = await get(shared, "ann-of-finance", f"/v1/escalations/{identifier}")
    assert found.status_code == 200
    if said.status_code == 200:
        [claim] = await agent.claim()
        json.dumps(claim.decision.arguments, allow_nan=False).encode()


@pytest.mark.parametrize("user", ["Ann", " ann", "ANN"])
async def test_another_spelling_of_a_name_is_the_same_person(shared, agent, user):
    identifier = await waits(shared, agent, user=user)
    said = await decide(shared, "ann-of-finance", identifier, decision="Approve")
    assert (said.status_code, said.json()["type"].rpartition("/")[2]) == (403, "approval-forbidden")


async def test_two_spellings_of_a_name_are_not_two_persons(shared, agent):
    identifier = await waits(shared, agent, ask=Ask("four eyes", (), 2))
    for person in ("ann", "Ann"):
        await agent.store.escalations.decide(identifier, Word(person, Verdict.APPROVE))
    found = await agent.store.escalations.get(identifier)
    assert (found.status, found.approved_by) == ("Open", ("ann",))


async def test_who_has_approved_may_still_deny_and_the_next_one_sees_what_was_approved(
    shared, agent
):
    identifier = await waits(shared, agent, ask=Ask("four eyes", (), 2))
    changed = {"amount": 900}
    await decide(shared, "ann-of-finance", identifier, decision="Approve", arguments=changed)
    seen = (await get(shared, "bob-of-support", f"/v1/escalations/{identifier}")).json()
    assert (seen["approvedBy"], seen["changedArguments"]) == (["ann"], changed)
    said = await decide(shared, "ann-of-finance", identifier, decision="Deny", note="a slip")
    assert (said.status_code, said.json()["status"]) == (200, "Denied")


@pytest.mark.parametrize("decision", ["Approve", "Deny"])
async def test_what_redis_may_have_lost_is_decided_by_its_digest_alone(
    redis, shared, agent, decision
):
    found = await in_doubt(redis, shared, agent)
    listed = await get(
        shared, "ann-of-finance", "/v1/escalations", namespace="shop", agent=agent.key.name
    )
    assert listed.json()["items"][0]["doubt"].startswith("between ")
    for digest in ({}, {"digest": "0" * 64}):
        said = await decide(shared, "ann-of-finance", found["id"], decision=decision, **digest)
        kind = said.json()["type"].rpartition("/")[2]
        assert (said.status_code, kind) == (409, "escalation-unconfirmed"), said.text
    still = await get(shared, "ann-of-finance", f"/v1/escalations/{found['id']}")
    assert still.json()["status"] == "Open"
    sure = await decide(
        shared, "ann-of-finance", found["id"], decision=decision, digest=found["digest"]
    )
    assert (sure.status_code, sure.json()["doubt"]) == (200, "")
    [claim] = await agent.claim()
    assert claim.decision.verdict == decision


async def at_a_terminal(shared, typed, *arguments):
    """Carries out ``penstock escalations`` at a terminal; "" types nothing and is no terminal."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock_cli", "escalations", *arguments),
        env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "ann-of-finance"},
        stdin=theirs if typed else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    os.write(ours, typed.encode())
    async with asyncio.timeout(60):
        said, told = await process.communicate()
    os.close(ours), os.close(theirs)
    return process.returncode, said.decode(), told.decode()


async def test_the_terminal_asks_before_it_decides_on_what_may_have_been_made(redis, shared, agent):
    found = await in_doubt(redis, shared, agent)
    identifier, digest = found["id"], found["digest"]
    code, said, told = await at_a_terminal(shared, "", "approve", identifier)
    assert (code, said, digest in told, "--digest" in told) == (3, "", True, True)
    code, said, told = await at_a_terminal(shared, "n\n", "approve", identifier)
    assert (code, said, "nothing was decided" in told) == (3, "", True)
    code, said, told = await at_a_terminal(shared, "y\n", "approve", identifier)
    assert (code, said) == (0, f"{identifier} is Approved\n"), told
