"""An approval that holds for a session: chosen by the approver, on the page of a link too, and refused where no rule allows it."""

from __future__ import annotations

import re
import uuid
from html import unescape

import pytest

from penstock.escalation import Ask
from penstock.remembering import Kept, Memory
from penstock.task import Submission, task_id
from tests.integration.gateway import test_escalations, test_links
from tests.integration.gateway.test_escalations import ARGUMENTS, decide, get, park

shared, agent, door = test_escalations.shared, test_escalations.agent, test_links.door
pytestmark = pytest.mark.redis

WORDS = "amount above 100, each at most 150 <each>"
MEMORY = Memory("tool-1", (Kept("rule-1", "150", WORDS),)).text()


async def waits(agent, session="s-1", memory=MEMORY, **more):
    """A task of a session whose call waits; the escalation's id."""
    identifier = task_id(agent.key, uuid.uuid4().bytes)
    wanted = Submission("x", "acme", user="u-1", session=session)
    await agent.store.tasks.admit(agent.key, identifier, wanted)
    [claim] = await agent.claim()
    await park(agent, claim, memory=memory, **more)
    return (await agent.store.tasks.get(identifier, "acme")).escalation


async def approved(agent):
    [claim] = await agent.claim()
    return [one.by for one in claim.approved]


async def test_what_may_be_chosen_is_shown_and_chosen_with_the_decision(shared, agent):
    identifier = await waits(agent)
    found = (await get(shared, "ann-of-finance", f"/v1/escalations/{identifier}")).json()
    assert found["remember"] == {"scope": "Session", "calls": WORDS}
    said = await decide(
        shared, "ann-of-finance", identifier, decision="Approve", remember="Session"
    )
    assert (said.status_code, said.json()["remembered"]) == (200, True)
    assert await approved(agent) == [("ann",)]


@pytest.mark.parametrize("never", [{}, {"remember": "Never"}])
async def test_without_the_choice_it_holds_for_the_call_alone(shared, agent, never):
    identifier = await waits(agent)
    said = await decide(shared, "ann-of-finance", identifier, decision="Approve", **never)
    assert (said.status_code, said.json()["remembered"]) == (200, False)
    assert await approved(agent) == []


@pytest.mark.parametrize("more", [{"memory": ""}, {"session": ""}])
async def test_where_no_rule_allows_it_or_there_is_no_session_it_is_refused(shared, agent, more):
    identifier = await waits(agent, **more)
    found = (await get(shared, "ann-of-finance", f"/v1/escalations/{identifier}")).json()
    assert found["remember"] is None
    said = await decide(
        shared, "ann-of-finance", identifier, decision="Approve", remember="Session"
    )
    assert (said.status_code, said.json()["type"].rpartition("/")[2]) == (
        409,
        "escalation-not-remembered",
    )
    assert (await agent.store.escalations.get(identifier)).status == "Open"


@pytest.mark.parametrize(
    "more",
    [
        {"decision": "Deny"},
        {"decision": "Answer", "answer": "no"},
        {"decision": "Approve", "arguments": {**ARGUMENTS, "amount": 1}},
    ],
)
async def test_it_goes_with_an_approval_of_the_call_as_it_is_alone(shared, agent, more):
    identifier = await waits(agent)
    said = await decide(shared, "ann-of-finance", identifier, remember="Session", **more)
    assert (said.status_code, "remember" in said.json()["detail"]) == (400, True), said.text


async def test_two_persons_choose_it_both_or_it_holds_for_the_call_alone(shared, agent):
    two = Ask("four eyes", (), 2)
    for second, holds in (({}, []), ({"remember": "Session"}, [("ann", "bob")])):
        identifier = await waits(agent, session=f"s-{len(holds)}", ask=two)
        chosen = {"decision": "Approve", "remember": "Session"}
        first = await decide(shared, "ann-of-finance", identifier, **chosen)
        assert first.json()["status"] == "Open"
        said = await decide(
            shared, "bob-of-support", identifier, **{"decision": "Approve"} | second
        )
        assert (said.status_code, said.json()["remembered"]) == (200, bool(holds))
        assert await approved(agent) == holds


async def test_the_page_of_a_link_has_a_box_that_is_not_ticked_and_says_for_what_it_is(door, agent):
    path = await door.link(await waits(agent))
    page = (await door.open(path)).text
    [box] = re.findall(r"<input type=\"checkbox\"[^>]*>", page)
    assert (
        ' name="remember" value="Session"' in box,
        "checked" in box.replace("checkbox", ""),
    ) == (
        True,
        False,
    )
    assert WORDS in unescape(page)
    assert "<each>" not in page
    assert (await door.post(path, decision="Approve", remember="Session")).status_code == 200
    assert await approved(agent) == [("ann@example.com",)]


async def test_the_box_says_nothing_of_a_denial_and_is_not_there_where_nothing_may_be_chosen(
    door, agent
):
    path = await door.link(await waits(agent))
    said = await door.post(path, decision="Deny", remember="Session")
    assert (said.status_code, await approved(agent)) == (200, [])
    path = await door.link(await waits(agent, session="s-2", memory=""))
    assert "checkbox" not in (await door.open(path)).text
    assert (await door.post(path, decision="Approve", remember="Session")).status_code == 409
