"""/openapi.json is what the gateway does: its paths, its answers, its problems."""

from __future__ import annotations

import json
import re

import jsonschema_rs
import pytest

from penstock.errors import AdmissionRefused, StoreUnavailable
from penstock_runtime.gateway import problems

TASKS = "/v1/namespaces/{namespace}/agents/{agent}/tasks"


@pytest.fixture
async def described(client):
    return (await client.get("/openapi.json")).json()


@pytest.fixture
def fits(described):
    """Whether a document fits one of the named schemas."""

    def check(document, schema):
        root = {"$ref": f"#/components/schemas/{schema}", "components": described["components"]}
        jsonschema_rs.validate(root, document)

    return check


def test_every_reference_leads_somewhere(described):
    text = json.dumps(described)
    names = set(described["components"]["schemas"])
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= names
    assert {"TaskRequest", "Task", "EventList", "Event", "Problem"} <= names


def test_every_call_is_described_and_asks_for_a_token(described):
    calls = {
        (method, path): operation
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }
    assert set(calls) == {
        ("post", TASKS),
        ("get", TASKS),
        ("get", TASKS.replace("/tasks", "/budget")),
        ("get", TASKS.replace("/tasks", "/models")),
        ("post", TASKS.replace("/tasks", "/compensations")),
        ("get", "/v1/tasks/{task}"),
        ("delete", "/v1/tasks/{task}"),
        ("get", "/v1/tasks/{task}/events"),
        ("get", "/v1/escalations"),
        ("post", "/v1/tasks/{task}/escalate"),
        ("post", "/v1/tasks/{task}/retry"),
        ("get", TASKS.replace("/tasks", "/effects")),
        ("get", TASKS.replace("/tasks", "/rows")),
        ("get", TASKS.replace("/tasks", "/copies")),
        ("delete", TASKS.replace("/tasks", "/users/{user}")),
        ("get", "/v1/escalations/{escalation}"),
        ("post", "/v1/escalations/{escalation}/decision"),
    }
    for (_, path), operation in calls.items():
        described_names = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert described_names == set(re.findall(r"{(\w+)}", path))
        assert operation["security"] == [{"bearer": []}]
        assert {"401", "404", "500", "503"} <= set(operation["responses"])
        assert "422" not in operation["responses"]


async def test_documents_fit_their_schemas(submit, store, client, fits):
    created = await submit({"input": "x", "user": "u"})
    fits(created.json(), "Task")
    place = created.headers["location"]
    await store.end(created.json()["id"])
    fits((await client.get(place)).json(), "Task")
    fits((await client.get(f"{place}/events")).json(), "EventList")
    fits((await client.get("/v1/namespaces/shop/agents/support/tasks")).json(), "TaskList")
    fits((await submit(b"{")).json(), "Problem")


async def test_every_problem_of_a_submission_is_described(submit, store, described):
    responses = described["paths"][TASKS]["post"]["responses"]
    answers = [
        await submit(b"{"),
        await submit({"input": "x"}, **{"Content-Type": "text/plain"}),
        await submit(b"x" * 1_100_000),
        await submit({"input": "x"}, Authorization="Bearer nobody"),
        await submit({"input": "x"}, "shop/other", Authorization="Bearer one-agent"),
    ]
    for slug in (
        "agent-not-found",
        "no-route",
        "agent-suspended",
        "idempotency-key-reused",
        "rate-exceeded",
    ):
        store.failures = [AdmissionRefused(slug, "no")]
        answers.append(await submit({"input": "x"}))
    store.failures = [StoreUnavailable("gone")] * 2
    answers.append(await submit({"input": "x"}))
    for answer in answers:
        described_as = responses[str(answer.status_code)]
        slug = answer.json()["type"].rpartition("/")[2]
        assert f"`{slug}`" in described_as["description"]
        assert list(described_as["content"]) == [problems.MEDIA_TYPE]


@pytest.mark.parametrize(
    "body",
    [
        {"input": "x"},
        {"input": "x", "wait": 0.5, "priority": "Critical", "metadata": {"a": "b"}},
        {"input": "x", "wait": 300, "idempotencyKey": "k" * 255, "user": "u" * 256},
        {},
        {"input": 1},
        {"input": "x", "wait": 301},
        {"input": "x", "wait": "1"},
        {"input": "x", "user": "u" * 257},
        {"input": "x", "idempotencyKey": "k" * 256},
        {"input": "x", "priority": "Low"},
        {"input": "x", "replica": "y"},
        {"input": "x", "metadata": {"a": 1}},
        {"input": "x", "metadata": {"": "a"}},
        {"input": "x", "metadata": {str(n): "" for n in range(33)}},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
async def test_what_fits_the_described_body_is_accepted_and_nothing_else(body, submit, store, fits):
    try:
        fits(body, "TaskRequest")
    except jsonschema_rs.ValidationError:
        assert (await submit(body)).status_code == 400
    else:
        now = {**body, "wait": min(body.get("wait", 0), 0.01)}
        assert (await submit(now)).status_code == 202
