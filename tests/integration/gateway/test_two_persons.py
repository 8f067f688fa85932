"""What people read where two persons must approve, and when their words do not fit."""

from __future__ import annotations

import uuid

import pytest

from penstock.escalation import Ask
from penstock.names import AgentKey
from tests.integration.gateway import test_escalations
from tests.integration.gateway.test_escalations import ARGUMENTS, decide, penstock, waits

shared, agent = test_escalations.shared, test_escalations.agent
pytestmark = pytest.mark.redis
TWO = Ask("four eyes", (), 2)


async def test_the_list_shows_how_many_of_two_have_approved(shared, agent):
    await waits(shared, agent, user="alone")
    listing = ("list", agent.key.name, "-n", "shop")
    code, said, _ = await penstock(shared, "ann-of-finance", *listing)
    assert (code, "APPROVED" in said) == (0, False), "a column that says 0 of 1 says nothing"
    identifier = await waits(shared, agent, ask=TWO)
    await decide(shared, "ann-of-finance", identifier, decision="Approve")
    code, said, _ = await penstock(shared, "bob-of-support", *listing)
    title, alone, both = said.splitlines()
    assert (code, "APPROVED" in title) == (0, True)
    assert ("0 of 1" in alone, "1 of 2" in both) == (True, True), said


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ({"arguments": {"amount": 1}}, {}, "ann approved it with other arguments: those under"),
        ({}, {"arguments": {"amount": 1}}, "with other arguments: the model's own"),
    ],
)
async def test_an_approval_of_other_arguments_is_told_as_that_and_the_call_waits_on(
    shared, agent, first, second, says
):
    identifier = await waits(shared, agent, ask=TWO)
    await decide(shared, "ann-of-finance", identifier, decision="Approve", **first)
    said = await decide(shared, "bob-of-support", identifier, decision="Approve", **second)
    told = said.json()
    assert (said.status_code, told["type"].rpartition("/")[2]) == (409, "escalation-differs")
    assert says in told["detail"], told
    own = {"decision": "Approve", "arguments": {**ARGUMENTS, "amount": 2}}
    again = await decide(shared, "ann-of-finance", identifier, **own)
    assert (again.status_code, "already" in again.json()["detail"]) == (409, True), again.text
    assert again.json()["type"].endswith("escalation-differs")
    fits = await decide(shared, "bob-of-support", identifier, decision="Approve", **first)
    assert (fits.status_code, fits.json()["status"]) == (200, "Approved")


async def test_of_an_agent_that_does_not_exist_nobody_is_erased(shared, store, agent):
    await store.routes.set_index({agent.key: "uid"})
    unknown = AgentKey("shop", f"agent-{uuid.uuid4().hex[:10]}")
    async with shared.client("the-shop") as client:
        known = await client.delete(agent.tasks.replace("/tasks", "/users/u-1"))
        said = await client.delete(f"/v1/namespaces/shop/agents/{unknown.name}/users/u-1")
    assert (known.status_code, known.json()["effects"]) == (200, 0)
    assert (said.status_code, said.json()["type"].rpartition("/")[2]) == (404, "agent-not-found")
