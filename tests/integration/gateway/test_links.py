"""Links: one named person decides with them, once, on the call that he saw, and no program does."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx
import pytest

from penstock.escalation import Ask
from penstock.names import AgentKey
from penstock_runtime.gateway import app, state
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.identities import ClusterTokens
from penstock_runtime.gateway.links import Links
from penstock_runtime.gateway.tokens import TokensFile
from penstock_runtime.gateway.webhooks.messages import delivery_id
from penstock_runtime.gateway.webhooks.targets import Approver, read
from penstock_store.outbox import Delivery
from tests.integration.gateway.conftest import Agent, until
from tests.integration.gateway.receiving import KEY, receiver, secret
from tests.integration.gateway.rights import rights
from tests.integration.gateway.test_escalations import TOKENS
from tests.integration.gateway.test_webhooks import got, know, target, waits
from tests.unit.gateway.reviewers import Reviewer

ANN = Approver(user="ann@example.com", groups=("finance",))
AT = 1_000_000.0  # the gateway's clock; deadlines are Redis' own


@pytest.fixture
async def agent(store):
    made = Agent(store, AgentKey("shop", f"agent-{uuid.uuid4().hex[:10]}"))
    await made.set_route()
    return made


class Door:
    """A gateway with links for ann, on a real Redis; who may what is as the test says."""

    def __init__(self, store, agent, folder):
        (folder / "tokens.json").write_text(json.dumps({"tokens": TOKENS}))
        tokens = TokensFile(folder / "tokens.json")
        tokens.load()
        self.agent, self.reviewer, self.now = agent, Reviewer(), AT
        self.permit("approve", "list")
        self.secret = secret(folder / "links", link_key=KEY)
        self.links = Links("https://agents.example.com", self.secret, 3600)
        cluster = ClusterTokens(self.reviewer, ("penstock",), 30, now=lambda: AT)
        access = Access(tokens, cluster)
        self.name_approver(ANN, folder)
        self.gateway = state.Gateway(
            store, access, now=lambda: self.now, targets=self.targets, links=self.links
        )
        self.app = app.application(self.gateway)

    def name_approver(self, approver, folder):
        told = {"url": "https://hooks.example.com", "secret": str(folder), "namespaces": ["*"]}
        told["approver"] = approver.model_dump(mode="json")
        self.targets = read(json.dumps({"ann": told}))

    def permit(self, *verbs):
        self.reviewer.rights = {(ANN.user, verb, str(self.agent.key)) for verb in verbs}

    async def link(self, identifier, **changes):
        """The path of ann's link for an escalation."""
        found = await self.agent.store.escalations.get(identifier)
        self.now = found.asked_ms / 1000
        found = replace(found, asked_ms=found.asked_ms - changes.get("earlier_ms", 0))
        url = self.links.document(found, "ann", changes.get("approver", ANN))["url"]
        return urlsplit(url).path

    async def ask(self, method, path, **form):
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, path, data=form or None)

    async def open(self, path):
        return await self.ask("GET", path)

    async def post(self, path, **form):
        """Decide with the form of the page that the link shows."""
        [digest] = set(re.findall(r'name="digest" value="(\w+)"', (await self.open(path)).text))
        return await self.ask("POST", path, digest=digest, **form)

    async def status(self, identifier):
        return (await self.agent.store.escalations.get(identifier)).status


@pytest.fixture
def door(store, agent, tmp_path):
    return Door(store, agent, tmp_path)


async def test_a_link_shows_the_call_to_whoever_opens_it_and_decides_nothing(door, agent):
    identifier = await waits(agent, session="of-monday")
    path = await door.link(identifier)
    for _ in range(3):
        page = await door.open(path)
        assert page.status_code == 200
    assert "refund" in page.text
    assert '{"amount":150}' in unescape(page.text)
    assert "I want my money back." in page.text
    assert "<dt>In the session</dt><dd>of-monday</dd>" in page.text
    assert (await door.ask("HEAD", path)).status_code == 405
    assert await door.status(identifier) == "Open"


async def test_the_page_is_plain_and_nobody_keeps_frames_or_runs_it(door, agent):
    page = await door.open(await door.link(await waits(agent)))
    headers = page.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    seen = Seen()
    seen.feed(page.text)
    assert seen.lang == "en"
    assert not {"script", "img", "link", "iframe", "a"} & seen.tags
    assert seen.labels == seen.fields == {"note", "answer"}


class Seen(HTMLParser):
    """What a page is made of."""

    def __init__(self):
        super().__init__()
        self.tags, self.labels, self.fields, self.lang = set(), set(), set(), ""

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        self.lang = given["lang"] if tag == "html" else self.lang
        if tag == "label":
            self.labels.add(given["for"])
        if tag == "textarea":
            self.fields.add(given["id"])
        assert not [name for name in given if name.startswith("on") or name == "style"]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"decision": "Approve", "note": "as agreed"}, "Approved"),
        ({"decision": "Deny", "note": ""}, "Denied"),
        ({"decision": "Answer", "answer": "paid\r\non Monday"}, "Answered"),
    ],
)
async def test_the_form_decides_once_and_the_link_then_says_what_was_decided(
    door, agent, form, status
):
    identifier = await waits(agent)
    path = await door.link(identifier)
    said = await door.post(path, **form)
    assert (said.status_code, await door.status(identifier)) == (200, status), said.text
    found = await agent.store.escalations.get(identifier)
    assert found.decided_by == (ANN.user,)
    assert found.answer == ("paid\non Monday" if status == "Answered" else "")
    page = await door.open(path)
    assert f"{status}: by {ANN.user}" in page.text
    assert "<form" not in page.text
    again = await door.ask("POST", path, digest=found.digest, **form)
    assert again.status_code == 200
    other = {"Deny": "Approve"}.get(form["decision"], "Deny")
    late = await door.ask("POST", path, digest=found.digest, decision=other)
    assert late.status_code == 409
    [claim] = await agent.claim()
    assert claim.decision.verdict == form["decision"]


@pytest.mark.parametrize("why", ["two", "sign-in"])
async def test_where_a_rule_wants_two_or_a_token_the_link_shows_the_command_and_decides_nothing(
    door, agent, why
):
    ask = Ask("why", (), 2) if why == "two" else Ask("why", (), 1, sign_in=True)
    identifier = await waits(agent, ask=ask)
    path = await door.link(identifier)
    page = await door.open(path)
    assert page.status_code == 200
    assert f"penstock escalations approve {identifier}" in page.text
    assert "<form" not in page.text
    found = await agent.store.escalations.get(identifier)
    said = await door.ask("POST", path, digest=found.digest, decision="Approve")
    assert (said.status_code, await door.status(identifier)) == (403, "Open")


@pytest.mark.parametrize("verbs", [(), ("list",), ("approve",)])
async def test_what_the_person_may_do_is_asked_at_the_click_and_not_remembered(door, agent, verbs):
    identifier = await waits(agent)
    path = await door.link(identifier)
    assert (await door.open(path)).status_code == 200
    door.permit(*verbs)
    found = await agent.store.escalations.get(identifier)
    page = await door.open(path)
    said = await door.ask("POST", path, digest=found.digest, decision="Approve")
    assert (page.status_code, said.status_code) == (403, 403)
    assert "150" not in page.text
    assert await door.status(identifier) == "Open"


async def test_who_is_in_none_of_the_groups_or_has_submitted_the_task_does_not_decide(door, agent):
    groups = await waits(agent, ask=Ask("why", (("directors",),)))
    own = await waits(agent, user=ANN.user.upper())
    for identifier in (groups, own):
        path = await door.link(identifier)
        found = await agent.store.escalations.get(identifier)
        assert (await door.open(path)).status_code == 403
        said = await door.ask("POST", path, digest=found.digest, decision="Approve")
        assert (said.status_code, await door.status(identifier)) == (403, "Open")


async def test_a_link_ends_in_its_time_and_with_the_question_at_the_latest(door, agent):
    long, short = await waits(agent), await waits(agent, timeout_seconds=600)
    for identifier, seconds in ((long, 3600), (short, 600)):
        path = await door.link(identifier)
        begun = door.now
        door.now = begun + seconds - 1
        assert (await door.open(path)).status_code == 200
        door.now = begun + seconds
        page = await door.open(path)
        assert page.status_code == 410
        assert "refund" not in page.text
        said = await door.ask("POST", path, digest="d", decision="Approve")
        assert (said.status_code, await door.status(identifier)) == (410, "Open")


async def test_a_call_that_is_asked_for_once_more_has_a_link_and_a_message_of_its_own(door, agent):
    identifier = await waits(agent)
    former = await door.link(identifier, earlier_ms=1)
    said = await door.ask("POST", former, digest="x", decision="Approve")
    assert "before the one that waits now" in said.text
    assert (said.status_code, (await door.open(former)).status_code) == (404, 404)
    assert await door.status(identifier) == "Open"
    found = await agent.store.escalations.get(identifier)
    delivery = Delivery(agent.key, "ann", "Asked", 1, identifier, "x")
    later = replace(found, asked_ms=found.asked_ms + 1)
    assert delivery_id(delivery, found) != delivery_id(delivery, later)


async def test_what_is_no_link_of_ours_opens_nothing_and_asks_nobody(door, agent, tmp_path):
    identifier = await waits(agent)
    path = await door.link(identifier)
    said, _, signature = path.rpartition("/")[2].partition(".")
    other = Links(door.links.url, secret(tmp_path / "other", link_key="o" * 32), 3600)
    found = await agent.store.escalations.get(identifier)
    for wrong in (
        "x",
        f"{said}.",
        f"{said}.{signature[:-2]}AA",
        f"{said[:-2]}AA.{signature}",
        "a" * 5000,
        "\u00e4.\u00e4",
        urlsplit(other.document(found, "ann", ANN)["url"]).path.rpartition("/")[2],
    ):
        page = await door.open(f"/v1/links/{wrong}")
        assert page.status_code == 404, wrong
    assert not door.reviewer.asked


async def test_a_link_is_void_when_the_chart_names_another_person_or_other_groups(door, agent):
    identifier = await waits(agent)
    for changed in (Approver(user="bob"), Approver(user=ANN.user, groups=("finance", "legal"))):
        path = await door.link(identifier, approver=changed)
        assert (await door.open(path)).status_code == 404


async def test_the_key_is_replaced_and_links_of_the_former_one_open_until_it_is_gone(door, agent):
    path = await door.link(await waits(agent))
    (door.secret / "link-key").write_text("n" * 40)
    assert (await door.open(path)).status_code == 404
    (door.secret / "former-link-key").write_text(KEY)
    assert (await door.open(path)).status_code == 200


async def test_a_form_for_another_call_than_that_on_the_page_or_without_one_decides_nothing(
    door, agent
):
    identifier = await waits(agent)
    path = await door.link(identifier)
    for form, status in (
        ({"decision": "Approve"}, 400),
        ({"decision": "Approve", "digest": "0" * 64}, 409),
        ({"decision": "Approve", "digest": "x" * 65}, 400),
        ({"digest": "0" * 64}, 400),
    ):
        said = await door.ask("POST", path, **form)
        assert (said.status_code, await door.status(identifier)) == (status, "Open"), form
    assert (await door.ask("POST", path)).status_code == 400


async def test_what_a_model_writes_is_text_on_the_page(door, agent):
    identifier = await waits(agent)
    evil = json.dumps({"to": '"><script>alert(1)</script><button name=decision value=Approve>'})
    key = f"{{{agent.key}}}:esc:{identifier}"
    await agent.store._connection._client.hset(key, "arguments", evil)
    page = await door.open(await door.link(identifier))
    seen = Seen()
    seen.feed(page.text)
    assert "script" not in seen.tags
    assert "alert(1)" in page.text


async def test_a_static_token_does_not_decide_where_a_token_of_the_cluster_is_asked_for(
    door, agent
):
    identifier = await waits(agent, ask=Ask("why", (), 1, sign_in=True))
    transport = httpx.ASGITransport(door.app)
    headers = {"Authorization": "Bearer ann-of-finance"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        path = f"/v1/escalations/{identifier}"
        shown = (await client.get(path, headers=headers)).json()
        said = await client.post(f"{path}/decision", json={"decision": "Approve"}, headers=headers)
    assert (shown["signIn"], said.status_code) == ("Required", 403)
    assert "token of the cluster" in said.json()["detail"]


async def test_from_the_question_to_the_call_by_a_link_through_a_gateway_and_an_api_server(
    start, store, agent, tmp_path, reviewing, cluster, kubectl, namespace
):
    made = Agent(store, AgentKey(namespace, f"agent-{uuid.uuid4().hex[:8]}"))
    await made.set_route()
    rule = {
        "apiGroups": ["penstock.dev"],
        "resources": ["agents/tasks"],
        "verbs": ["approve", "list"],
    }
    role, binding = rights(namespace, "deciders", [rule])
    binding["subjects"] = [
        {"kind": "Group", "name": "finance", "apiGroup": "rbac.authorization.k8s.io"}
    ]
    installation = f"i{uuid.uuid4().hex[:8]}"
    await know(made, installation=installation)
    with receiver() as hook:
        told = target(hook, tmp_path, namespaces=[namespace], approver=ANN.model_dump(mode="json"))
        gateway = start(
            **reviewing,
            PENSTOCK_INSTALLATION=installation,
            PENSTOCK_WEBHOOKS=json.dumps({"ann": told}),
            PENSTOCK_LINKS_URL="http://localhost",
            PENSTOCK_LINKS_SECRET=str(secret(tmp_path / "links", link_key=KEY)),
        )
        await waits(made)
        [one] = await got(hook, 1)
    path = urlsplit(one.document["link"]["url"]).path
    async with gateway.client() as client:
        form = {"decision": "Approve", "digest": one.document["escalation"]["digest"]}
        assert (await client.post(path, data=form)).status_code == 403
        cluster.apply(role, binding)

        async def may():
            return (await client.post(path, data=form)).status_code != 403

        # The API server hears of the role a moment later than it stores it.
        await until(may, lambda: client.get(path))
        assert (await client.get(path)).status_code == 200
    [claim] = await made.claim()
    assert (claim.decision.verdict, claim.decision.by) == ("Approve", (ANN.user,))
