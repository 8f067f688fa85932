"""Who decides on a call that waits, and on what exactly: spellings, second thoughts, arguments that are none."""

from __future__ import annotations

import json

import pytest

from penstock.escalation import Ask, Verdict
from penstock_store.escalations import Word
from tests.integration.gateway import test_escalations
from tests.integration.gateway.test_escalations import decide, get, waits

agent, shared = test_escalations.agent, test_escalations.shared


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
