"""Tokens of a real API server: whose they are, what they may, and what holds while it is away."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from redis.asyncio import Redis

from penstock.names import AgentKey
from penstock_dev import dev_cli, processes
from penstock_dev.state import StateDirectory
from tests.integration.gateway.conftest import CANARY, Agent, launch, until
from tests.integration.gateway.rights import GATEWAY_RULES, rights, until_may
from tests.integration.gateway.test_terminal import ended

pytestmark = pytest.mark.cluster

CALLS = ("create", "get", "delete")


@pytest.fixture
def account(kubectl, cluster, namespace):
    """Makes a ServiceAccount that may do these verbs with tasks; returns a token of it."""

    def make(name, *verbs, audience="penstock", agents=()):
        kubectl("create", "serviceaccount", name)
        rule = {"apiGroups": ["penstock.dev"], "resources": ["agents/tasks"], "verbs": list(verbs)}
        if agents:
            rule["resourceNames"] = list(agents)
        if verbs:
            cluster.apply(*rights(namespace, name, [rule]))
            until_may(cluster, namespace, name, verbs[-1], *agents[-1:])
        return token(kubectl, name, audience)

    return make


def token(kubectl, name, audience="penstock"):
    return kubectl("create", "token", name, "--audience", audience).strip()


@pytest.fixture
async def agent(store, namespace):
    agent = Agent(store, AgentKey(namespace, "support"))
    await agent.set_route()
    return agent


def resigned(environment, token, **claims):
    """The same token with other claims, signed by the cluster's own key."""
    head, payload, _ = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(payload + "=="))
    body = base64.urlsafe_b64encode(json.dumps({**told, **claims}).encode()).rstrip(b"=").decode()
    pem = (environment.state_dir / "pki" / "service-account.key").read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    signature = key.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    raw = b"".join(part.to_bytes(32, "big") for part in utils.decode_dss_signature(signature))
    return f"{head}.{body}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


async def post(gateway, agent, token, path=None):
    async with gateway.client(token) as client:
        return await client.post(path or agent.tasks, json={"input": "x"})


async def test_an_account_with_the_role_is_a_caller_and_shares_its_tasks_with_its_namespace(
    start, reviewing, account, agent, store, namespace
):
    gateway = start(**reviewing, PENSTOCK_TOKENS_FILE="")
    web, batch = account("web", *CALLS), account("batch", "get")
    created = await post(gateway, agent, web)
    assert created.status_code == 202, created.text
    place = created.headers["location"]
    stored = await store.tasks.get(created.json()["id"], f"kubernetes:namespace:{namespace}")
    assert stored is not None
    async with gateway.client(batch) as client:
        assert (await client.get(place)).json()["status"] == "Queued"
        refused = await client.delete(place)
        assert refused.status_code == 403
        assert f"'system:serviceaccount:{namespace}:batch' may not delete" in refused.text
    async with gateway.client(web) as client:
        assert (await client.delete(place)).json()["status"] == "Cancelled"
        metrics = (await client.get("/metrics")).text
    assert 'penstock_gateway_reviews_total{result="yes",review="token"} 2.0' in metrics
    assert 'penstock_gateway_reviews_total{result="no",review="access"} 1.0' in metrics
    async with gateway.client("all-agents") as client:
        assert (await client.get(place)).status_code == 401, "there is no tokens file"


async def test_who_has_no_role_or_one_for_other_agents_is_refused(
    start, reviewing, account, agent, store
):
    gateway = start(**reviewing)
    nobody = account("nobody")
    limited = account("limited", *CALLS, agents=("support",))
    refused = await post(gateway, agent, nobody)
    assert refused.status_code == 403
    assert "create on agents/tasks of penstock.dev" in refused.json()["detail"]
    assert (await post(gateway, agent, limited)).status_code == 202
    other = Agent(store, AgentKey(agent.key.namespace, "other"))
    await other.set_route()
    assert (await post(gateway, other, limited)).status_code == 403
    elsewhere = Agent(store, AgentKey("elsewhere", "support"))
    assert (await post(gateway, elsewhere, limited)).status_code == 403
    assert (await post(gateway, agent, "all-agents")).status_code == 202, "static tokens go on"


async def test_a_token_for_another_audience_expired_altered_or_made_up_is_401(
    start, reviewing, account, agent, environment, kubectl
):
    gateway = start(**reviewing)
    valid = account("web", *CALLS)
    now = int(time.time())
    head, body, signature = valid.split(".")
    refused = {
        "another audience": token(kubectl, "web", "other"),
        "the API server's audience": kubectl("create", "token", "web").strip(),
        "expired": resigned(environment, valid, exp=now - 120, iat=now - 3600, nbf=now - 3600),
        "not yet valid": resigned(environment, valid, nbf=now + 3600),
        "altered": f"{head}.{body}.{signature[::-1]}",
        "unsigned": f"{head}.{body}.",
        "garbage": "a.b.c",
        "opaque": "no-token-of-anybody",
    }
    for what, wrong in refused.items():
        answer = await post(gateway, agent, wrong)
        assert (answer.status_code, what) == (401, what)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    resigned_unchanged = resigned(environment, valid)
    assert (await post(gateway, agent, resigned_unchanged)).status_code == 202, (
        "the test signs well"
    )


async def test_no_caller_is_remembered_beyond_the_expiry_of_the_token(
    start, reviewing, account, agent, environment
):
    """The API server accepts a token for a minute more, and remembers that for ten seconds."""
    gateway = start(**reviewing, PENSTOCK_REVIEW_SECONDS="60")
    almost_over = resigned(environment, account("web", *CALLS), exp=int(time.time()) - 45)
    assert (await post(gateway, agent, almost_over)).status_code == 202

    async def refused():
        return (await post(gateway, agent, almost_over)).status_code == 401

    await until(refused, lambda: post(gateway, agent, almost_over), seconds=45)


async def test_rights_and_accounts_that_are_taken_away_end_within_the_remembered_time(
    start, reviewing, account, agent, kubectl, namespace
):
    gateway = start(**reviewing, PENSTOCK_REVIEW_SECONDS="1")
    web, batch = account("web", *CALLS), account("batch", *CALLS)
    for caller in (web, batch):
        assert (await post(gateway, agent, caller)).status_code == 202

    async def answers(token, status):
        return (await post(gateway, agent, token)).status_code == status

    kubectl("delete", "rolebinding", f"{namespace}-web")
    await until(lambda: answers(web, 403), lambda: post(gateway, agent, web))
    kubectl("delete", "serviceaccount", "batch")
    await until(lambda: answers(batch, 401), lambda: post(gateway, agent, batch))


@pytest.mark.parametrize("missing", [0, 1], ids=["tokenreviews", "subjectaccessreviews"])
async def test_a_gateway_without_one_of_its_rights_accepts_nobody_and_says_why_in_its_log(
    missing, start, reviewing, account, agent, cluster, namespace
):
    rules = [rule for index, rule in enumerate(GATEWAY_RULES) if index != missing]
    cluster.apply(*rights(namespace, "gateway", rules, "ClusterRole"))
    gateway = start(**reviewing)
    web = account("web", *CALLS)

    async def refused():
        # RBAC is read from a cache that learns of the change a moment later.
        answer = await post(gateway, agent, web)
        return answer.status_code == 503 and answer

    refused = await until(refused, lambda: post(gateway, agent, web))
    assert refused.json()["type"].endswith("/identity-unavailable")
    assert "system:auth-delegator" in gateway.log.read_text()


async def test_while_the_api_server_is_away_static_and_remembered_tokens_go_on_and_no_others(
    start, reviewing, account, agent, environment
):
    gateway = start(**reviewing, PENSTOCK_REVIEW_SECONDS="60")
    known, unknown = account("known", *CALLS), account("unknown", *CALLS)
    assert (await post(gateway, agent, known)).status_code == 202
    stop_api_server(environment)
    try:
        assert (await post(gateway, agent, known)).status_code == 202
        assert (await post(gateway, agent, "all-agents")).status_code == 202
        refused = await post(gateway, agent, unknown)
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["type"].endswith("/identity-unavailable")
        async with gateway.client(known) as client:
            unasked = await client.get((await post(gateway, agent, known)).headers["location"])
            assert unasked.status_code == 503, "another verb was never reviewed"
            assert (await client.get("/readyz")).status_code == 200
    finally:
        started = await asyncio.to_thread(
            dev_cli.start_component, "kube-apiserver", environment.state_dir
        )
        assert started == 0

    async def accepted():
        return (await post(gateway, agent, unknown)).status_code == 202

    await until(accepted, lambda: post(gateway, agent, unknown))
    log = gateway.log.read_text()
    assert log.count("the API server reviews nothing") == 1
    assert "the API server reviews again" in log


def stop_api_server(environment):
    """Ends as by a crash: with SIGTERM it would wait for its watches."""
    state = StateDirectory.at(environment.state_dir)
    state.stopped_file("kube-apiserver").touch()
    assert processes.kill_identity(state.recorded()["kube-apiserver"])


async def test_many_first_calls_of_one_caller_are_one_review_of_each_kind(
    start, reviewing, account, agent
):
    gateway = start(**reviewing)
    web = account("web", *CALLS)
    answers = await asyncio.gather(*(post(gateway, agent, web) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {202}
    async with gateway.client(web) as client:
        metrics = (await client.get("/metrics")).text
    for review in ("token", "access"):
        assert f'reviews_total{{result="yes",review="{review}"}} 1.0' in metrics


def test_files_that_are_not_there_end_the_gateway_with_one_line(redis, tmp_path):
    with pytest.raises(pytest.fail.Exception, match=r"penstock gateway: the files for the API"):
        launch(
            redis.url,
            tmp_path,
            PENSTOCK_KUBERNETES_AUTH="true",
            PENSTOCK_KUBERNETES_URL="https://127.0.0.1:1",
            PENSTOCK_KUBERNETES_CA_FILE=str(tmp_path / "none.crt"),
            PENSTOCK_KUBERNETES_TOKEN_FILE=str(tmp_path / "none"),
        )


async def test_outcome_rows_are_for_who_sees_all_tenants_page_by_page(
    start, reviewing, account, agent, store
):
    gateway = start(**reviewing)
    for _ in range(3):
        await post(gateway, agent, "all-agents", agent.tasks)
    await agent.finish((await agent.claim())[0])
    path = agent.tasks.removesuffix("tasks") + "rows"
    for stranger in ("all-agents", account("web", *CALLS), account("reader", "get", "approve")):
        async with gateway.client(stranger) as client:
            refused = await client.get(path)
        assert refused.status_code == 403, refused.text
        assert "the verb list on agents/tasks" in refused.json()["detail"]

    kept = await store.outcomes.rows(agent.key)
    async with gateway.client(account("auditor", "list")) as client:
        found, more = [], {}
        while True:
            page = (await client.get(path, params={"limit": 2, **more})).json()
            assert len(page["items"]) <= 2
            assert (page["first"], page["trimmed"]) == (kept[0].id, False)
            found += page["items"]
            if not page["continue"]:
                break
            more = {"continue": page["continue"]}
        assert [row["id"] for row in found] == [row.id for row in kept]
        assert [row["kind"] for row in found] == [row.kind.value for row in kept] == list("rrrsf")
        assert {(row["side"], row["revision"]) for row in found} == {("S", kept[0].revision)}
        for wrong in ({"limit": "0"}, {"limit": "5001"}, {"continue": "x"}, {"user": "a"}):
            assert (await client.get(path, params=wrong)).status_code == 400


async def test_copies_that_went_another_way_are_for_who_sees_all_tenants(
    start, reviewing, account, agent, redis
):
    gateway = start(**reviewing)
    path = agent.tasks.removesuffix("tasks") + "copies"
    said = {
        "task": "t", "verdict": "OtherCalls", "stable": "Succeeded", "copy": "", "stoppedAt": {"tool": "refund", "arguments": "b" * 64},
        "intents": [{"tool": "refund", "arguments": "b" * 64}], "stableIntents": [{"tool": "refund", "arguments": "a" * 64}],
    }  # fmt: skip
    async with Redis.from_url(redis.url) as raw:
        await raw.lpush(f"{{{agent.key}}}:shadow:found:{CANARY}", json.dumps(said))
    async with gateway.client("all-agents") as client:
        assert (await client.get(path, params={"revision": CANARY})).status_code == 403
    auditor = account("auditor", "list")
    async with gateway.client(auditor) as client:
        for wrong in ({}, {"revision": "x"}, {"revision": CANARY, "user": "a"}):
            assert (await client.get(path, params=wrong)).status_code == 400
        (found,) = (await client.get(path, params={"revision": CANARY})).json()["items"]
    assert found["taskId"].endswith(".t")
    assert found["calls"] == [
        {"tool": "refund", "says": "OtherArguments", "stable": "a" * 64, "canary": "b" * 64}
    ]
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "penstock_cli",
            "copies",
            agent.key.name,
            "-n",
            agent.key.namespace,
        ),
        *("--revision", CANARY),
        env={**os.environ, "PENSTOCK_GATEWAY_URL": gateway.url, "PENSTOCK_TOKEN": auditor},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    code, told, _ = await ended(process)
    assert code == 0
    _, row, summed = told.splitlines()
    assert "stopped at refund" in row
    assert row.split()[-4:] == ["other", "arguments", "a" * 12, "b" * 12]
    assert summed == "1 copies went another way: refund 1 other arguments"
