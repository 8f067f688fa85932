"""Tokens of the cluster at the gateway's door, beside static ones."""

from __future__ import annotations

import pytest

from penstock_runtime.gateway import app
from penstock_runtime.gateway.apiserver import APIServerAway, User
from tests.unit.gateway.reviewers import jwt, service_account

TASKS = "/v1/namespaces/shop/agents/support/tasks"
STATIC = {"Authorization": "Bearer one-agent"}


async def test_a_caller_with_the_verbs_submits_reads_follows_and_cancels(
    cluster_client, reviewer, store
):
    web = reviewer.knows(jwt("web"), service_account("web"), "create", "get", "delete")
    created = await cluster_client.post(TASKS, json={"input": "x"}, headers=web)
    assert created.status_code == 202
    assert store.kept[created.json()["id"]].tenant == "kubernetes:namespace:shop"
    place = created.headers["location"]
    assert (await cluster_client.get(place, headers=web)).json()["status"] == "Queued"
    assert (await cluster_client.get(f"{place}/events", headers=web)).status_code == 200
    assert (await cluster_client.delete(place, headers=web)).json()["status"] == "Cancelled"
    assert reviewer.asked == [
        "token", "create shop/support", "get shop/support", "delete shop/support",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "verb"), [("POST", "create"), ("GET", "get"), ("DELETE", "delete")]
)
async def test_a_caller_without_the_verb_is_told_which_right_is_missing(
    method, verb, cluster_client, reviewer
):
    others = {"create", "get", "delete"} - {verb}
    able = reviewer.knows(jwt("able"), service_account("able"), "create", "get", "delete")
    unable = reviewer.knows(jwt("unable"), service_account("unable"), *others)
    task = (await cluster_client.post(TASKS, json={"input": "x"}, headers=able)).headers["location"]
    path = TASKS if method == "POST" else task
    refused = await cluster_client.request(method, path, headers=unable)
    assert refused.status_code == 403
    assert refused.json()["type"].endswith("/agent-forbidden")
    detail = refused.json()["detail"]
    assert f"'system:serviceaccount:shop:unable' may not {verb} tasks of" in detail
    assert f"the verb {verb} on agents/tasks of penstock.dev" in detail


async def test_tasks_are_shared_within_a_namespace_and_with_nobody_else(cluster_client, reviewer):
    verbs = ("create", "get", "delete")
    web = reviewer.knows(jwt("web"), service_account("web"), *verbs)
    batch = reviewer.knows(jwt("batch"), service_account("batch"), *verbs)
    bank = reviewer.knows(jwt("bank"), service_account("web", "bank"), *verbs)
    person = reviewer.knows(jwt("ann"), User("ann@example.com"), *verbs)
    task = (await cluster_client.post(TASKS, json={"input": "x"}, headers=web)).headers["location"]
    for headers, status in ((batch, 200), (bank, 404), (person, 404), (STATIC, 404)):
        assert (await cluster_client.get(task, headers=headers)).status_code == status
    assert (await cluster_client.delete(task, headers=bank)).status_code == 404
    assert (await cluster_client.delete(task, headers=batch)).status_code == 200


async def test_a_token_that_is_not_valid_is_401_and_says_for_whom_it_must_be_meant(cluster_client):
    for token in (jwt("nobody"), "opaque-token"):
        refused = await cluster_client.post(TASKS, headers={"Authorization": f"Bearer {token}"})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == (
            'Bearer realm="penstock", error="invalid_token"'
        )
        assert "nor a valid one of the cluster for penstock" in refused.json()["detail"]


async def test_while_the_api_server_is_away_static_tokens_go_on_and_others_come_back_later(
    cluster_client, reviewer
):
    reviewer.failure = APIServerAway("gone", 7)
    web = reviewer.knows(jwt("web"), service_account("web"), "create")
    refused = await cluster_client.post(TASKS, json={"input": "x"}, headers=web)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "7")
    assert refused.json()["type"].endswith("/identity-unavailable")
    opaque = {"Authorization": "Bearer opaque-token"}
    assert (await cluster_client.post(TASKS, headers=opaque)).status_code == 401
    accepted = await cluster_client.post(TASKS, json={"input": "x"}, headers=STATIC)
    assert accepted.status_code == 202
    assert (await cluster_client.get("/readyz")).status_code == 200


async def test_a_static_token_is_never_shown_to_the_api_server(cluster_client, reviewer):
    await cluster_client.post(TASKS, json={"input": "x"}, headers=STATIC)
    assert reviewer.asked == []


async def test_the_connections_to_the_api_server_end_with_the_application(
    cluster_gateway, reviewer
):
    application = app.application(cluster_gateway)
    async with application.router.lifespan_context(application):
        assert reviewer.asked == []
    assert reviewer.asked == ["aclose"]
