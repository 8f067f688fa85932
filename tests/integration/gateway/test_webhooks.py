"""Webhooks of escalations: a real gateway posts to a real server, whatever dies or is away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import signal
import threading
import time
import uuid

import pytest
import yaml

from penstock.escalation import Verdict
from penstock.guard import unguarded
from penstock.names import AgentKey
from penstock.task import Submission, task_id
from penstock_runtime.gateway import metrics
from penstock_runtime.gateway.links import Links
from penstock_runtime.gateway.webhooks import sender
from penstock_runtime.gateway.webhooks.targets import read
from penstock_store import testing
from penstock_store.escalations import Word
from penstock_store.store import Store
from tests.integration.gateway.conftest import Agent, until
from tests.integration.gateway.receiving import KEY, receiver, secret
from tests.integration.gateway.test_escalations import TOKENS, park
from tests.integration.runtime import test_tls

certificate = test_tls.certificate
EXAMPLES = pathlib.Path(__file__).parents[3] / "docs" / "examples" / "webhooks"


@pytest.fixture
def hook():
    with receiver() as made:
        yield made


@pytest.fixture
async def agent(store):
    made = Agent(store, AgentKey("shop", f"agent-{uuid.uuid4().hex[:10]}"))
    await made.set_route()
    return made


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Seconds of minutes: what is waited for, not how long."""
    quick = {"LOOK_SECONDS": 0.1, "FIRST_PAUSE_SECONDS": 0.2, "HELD_SECONDS": 1.0}
    for name, seconds in {**quick, "STANDBY_SECONDS": 0.2, "LEASE_SECONDS": 5.0}.items():
        monkeypatch.setattr(sender, name, seconds)


@contextlib.asynccontextmanager
async def sending(targets, *agents, links=None):
    """Sends in this process, for agents of an installation of their own."""
    store = await know(*agents)
    known = read(json.dumps(targets))
    sends = sender.sending(store, known, links, "test", time.time, time.monotonic)
    running = asyncio.create_task(sends.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


async def know(*agents, installation=""):
    """A store of an installation that knows these agents: the operator's index is written."""
    of = agents[0].store.routes._scripts
    store = Store(of.connection, of.scripts, installation or f"i{uuid.uuid4().hex[:8]}")
    await store.routes.set_index({one.key: "uid" for one in agents})
    return store


def target(hook, tmp_path, **more):
    folder = secret(tmp_path / f"secret-{uuid.uuid4().hex[:6]}")
    return {"url": hook.url, "secret": str(folder), "namespaces": ["shop"], **more}


async def waits(agent, user="u-1", session="", **more):
    """A task whose call waits, made without a gateway; the escalation's id."""
    identifier = task_id(agent.key, uuid.uuid4().bytes)
    submission = Submission("x", "acme", user=user, session=session)
    await agent.store.tasks.admit(agent.key, identifier, submission)
    [claim] = await agent.claim()
    await park(agent, claim, **more)
    return (await agent.store.tasks.get(identifier, "acme")).escalation


async def got(hook, count):
    async def enough():
        return len(hook.got) >= count

    async def seen():
        return [(one.path, one.headers, one.body) for one in hook.got]

    await until(enough, seen)
    return hook.got


def count(outcome, target):
    return metrics.WEBHOOK_DELIVERIES.labels(target, outcome)._value.get()


async def becomes(condition):
    async def true():
        return condition()

    async def seen():
        return "see the condition"

    await until(true, seen)


async def test_who_is_asked_is_told_once_signed_and_again_when_it_is_decided(hook, agent, tmp_path):
    told = target(hook, tmp_path, kinds=["Asked", "Decided"])
    (pathlib.Path(told["secret"]) / "former-signing-key").write_text("f" * 40)
    async with sending({"once": told}, agent):
        identifier = await waits(agent)
        [asked] = await got(hook, 1)
        assert asked.is_signed_by(KEY, "f" * 40), asked.headers
        said = asked.document
        assert (said["event"], said["escalation"]["id"]) == ("Asked", identifier)
        assert said["escalation"]["arguments"] == {"amount": 150}
        assert (said["link"], said["command"]) == (None, f"penstock escalations show {identifier}")
        assert "conversation" not in said["escalation"]
        await agent.store.escalations.decide(identifier, Word("ann", Verdict.DENY, "too much"))
        _, decided = await got(hook, 2)
        assert decided.document["escalation"]["decidedBy"] == ["ann"]
        assert decided.headers["Penstock-Delivery"] != asked.headers["Penstock-Delivery"]
        await becomes(lambda: count("delivered", "once") == 2)
        await asyncio.sleep(0.5)  # rounds of looks
        assert hook.kinds() == ["Asked", "Decided"]


async def test_each_example_reaches_its_service_in_the_form_that_it_takes(hook, store, tmp_path):
    agent = Agent(store, AgentKey("shop", "refunds"))
    await agent.set_route()
    words = {"path": "/services/T/B?sig=1", "authorization": "Basic abc"}
    targets = {}
    for path in EXAMPLES.glob("*.yaml"):
        [(name, told)] = yaml.safe_load(path.read_text())["gateway"]["webhooks"].items()
        folder = secret(tmp_path / name, **words)
        targets[name] = told | {"url": f"{hook.url}/{path.stem}", "secret": str(folder)}
    links = Links("https://agents.example.com", secret(tmp_path / "links", link_key=KEY), 3600)
    async with sending(targets, agent, links=links):
        identifier = await waits(agent)
        found = {one.path.split("/")[1]: one for one in await got(hook, len(targets))}
        for one in found.values():
            assert one.path.endswith("/services/T/B?sig=1")
            assert one.headers["Authorization"] == "Basic abc"
            assert "${" not in one.body.decode()
        slack, teams, tickets = (found[name].document for name in ("slack", "teams", "tickets"))
        assert slack["text"] == "shop/refunds asks for a decision: refund"
        assert slack["blocks"][1]["fields"][0]["text"] == 'With {"amount": 150}'
        [button] = slack["blocks"][2]["elements"]
        assert button["url"].startswith("https://agents.example.com/v1/links/")
        [card] = teams["attachments"]
        assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
        shown = card["content"]["body"]
        assert {block["type"] for block in shown} == {"RichTextBlock"}
        assert shown[-1]["inlines"][0]["text"] == f"penstock escalations show {identifier}"
        assert tickets["fields"]["summary"] == "shop/refunds: refund waits for a person"
        assert tickets["fields"]["labels"][1] == (
            f"penstock-{found['tickets'].headers['Penstock-Delivery']}"
        )


async def test_a_target_gets_what_is_its_own_and_one_that_is_away_holds_up_no_other(
    hook, agent, store, tmp_path
):
    other = Agent(store, AgentKey("bank", f"agent-{uuid.uuid4().hex[:10]}"))
    await other.set_route()
    with receiver() as broken:
        broken.answer = 500
        targets = {
            "mine": target(hook, tmp_path),
            "one-agent": target(broken, tmp_path, namespaces=["*"], agents=[other.key.name]),
        }
        async with sending(targets, agent, other):
            first, second = await waits(agent), await waits(other)
            [one] = await got(hook, 1)
            assert one.document["escalation"]["id"] == first
            again = await got(broken, 2)
            assert {each.document["escalation"]["id"] for each in again} == {second}
            assert len({each.headers["Penstock-Delivery"] for each in again}) == 1
            await becomes(lambda: oldest("one-agent") > 1)
            assert oldest("mine") == 0
            broken.answer = 204
            await becomes(lambda: count("delivered", "one-agent") == 1)
            await becomes(lambda: oldest("one-agent") == 0)
    assert len(hook.got) == 1


def oldest(target):
    return metrics.WEBHOOK_OLDEST.labels(target)._value.get()


async def test_an_answer_that_sends_it_elsewhere_is_a_failure_and_nobody_else_gets_it(
    hook, agent, tmp_path
):
    with receiver() as elsewhere:
        hook.answer, hook.headers = 307, {"Location": elsewhere.url}
        async with sending({"all": target(hook, tmp_path)}, agent):
            await waits(agent)
            await got(hook, 2)
            assert not elsewhere.got


async def test_what_was_decided_meanwhile_is_asked_of_nobody_any_more(
    hook, agent, tmp_path, capsys
):
    hook.answer = 503
    async with sending({"late": target(hook, tmp_path)}, agent):
        identifier = await waits(agent)
        await got(hook, 1)
        await agent.store.escalations.decide(identifier, Word("ann", Verdict.DENY))
        await becomes(lambda: count("dropped", "late") == 1)
    said = capsys.readouterr().out
    assert "a webhook did not take a message" in said
    assert "it answered 503" in said
    assert hook.url not in said


async def test_of_two_gateways_one_sends_and_what_it_leaves_when_it_is_killed_the_other_sends_as_the_same(
    start, hook, agent, tmp_path
):
    (tmp_path / "tokens.json").write_text(json.dumps({"tokens": TOKENS}))
    installation = f"i{uuid.uuid4().hex[:8]}"
    own = await know(agent, installation=installation)
    told = json.dumps({"all": target(hook, tmp_path)})
    gateways = [start(PENSTOCK_INSTALLATION=installation, PENSTOCK_WEBHOOKS=told) for _ in range(2)]
    first = await waits(agent)
    await got(hook, 1)
    assert not await own.outbox.lead("somebody else", 0)
    hook.gate = threading.Event()
    second = await waits(agent)
    await got(hook, 2)
    sent = [await deliveries(gateway) for gateway in gateways]
    assert sorted(sent) == [0, 1]
    dead = gateways[sent.index(1)]
    dead.process.send_signal(signal.SIGKILL)
    dead.process.wait(20)
    gate, hook.gate = hook.gate, None
    gate.set()
    await pass_time(agent, installation)
    await got(hook, 3)
    ids = [one.document["escalation"]["id"] for one in hook.got]
    assert ids == [first, second, second]
    assert len({one.headers["Penstock-Delivery"] for one in hook.got}) == 2


async def deliveries(gateway):
    """How many messages a gateway has delivered, as its measures say."""
    async with gateway.client() as client:
        text = (await client.get("/metrics")).text
    name = 'penstock_gateway_webhook_deliveries_total{outcome="delivered",target="all"}'
    [line] = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.rsplit(" ", 1)[1])


async def pass_time(agent, installation):
    """Let the time be over for which a gateway that died leads, and holds a delivery."""
    raw = agent.store._connection._client
    await raw.hset(f"{{{installation}}}:sender", "until", 1)
    [member] = await raw.zrange(f"{{{agent.key}}}:outbox:all", 0, -1)
    await raw.zadd(f"{{{agent.key}}}:outbox:all", {member: 1})


async def test_over_tls_a_target_is_known_by_the_certificate_of_its_secret(
    agent, tmp_path, certificate
):
    with receiver((certificate, certificate)) as hook:
        told = target(hook, tmp_path)
        async with sending({"tls": told}, agent):
            await waits(agent)
            await becomes(lambda: count("failed", "tls") >= 1)
            assert not hook.got
            (pathlib.Path(told["secret"]) / "ca.crt").write_bytes(certificate.read_bytes())
            assert len(await got(hook, 1)) == 1


async def test_a_secret_that_lacks_its_key_is_said_and_mended_without_a_restart(
    hook, agent, tmp_path
):
    told = target(hook, tmp_path)
    key = pathlib.Path(told["secret"]) / "signing-key"
    key.write_text("short")
    async with sending({"keyless": told}, agent):
        await waits(agent)
        await becomes(lambda: count("failed", "keyless") >= 1)
        assert not hook.got
        key.write_text("z" * 40)
        [one] = await got(hook, 1)
        assert one.is_signed_by("z" * 40)


async def test_redis_full_and_away_loses_nothing_that_is_to_be_told(hook, tmp_path):
    with testing.redis_server() as server:
        store = Store.connect(server.url, guard=unguarded, timeout_seconds=30)
        agent = Agent(store, AgentKey("shop", "refunds"))
        await agent.set_route()
        raw = store._connection._client
        hook.answer = 500
        async with sending({"full": target(hook, tmp_path)}, agent):
            first = await waits(agent)
            await got(hook, 1)
            await raw.config_set("maxmemory", "1")
            hook.answer = 200
            await asyncio.sleep(0.5)
            await raw.config_set("maxmemory", "0")
            await becomes(lambda: count("delivered", "full") == 1)
            hook.answer = 500
            second = await waits(agent)
            await becomes(lambda: ids(hook)[-1] == second)
            server.stop()
            hook.answer = 200
            server.start()
            await becomes(lambda: count("delivered", "full") == 2)
            assert set(ids(hook)) == {first, second}
        await store.aclose()


def ids(hook):
    return [one.document["escalation"]["id"] for one in hook.got]
