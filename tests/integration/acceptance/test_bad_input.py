"""Bad input on every door of the running product: a clear problem document, condition or refusal."""

import json
from typing import Any

import pytest
import yaml

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

JSON = {"content-type": "application/json"}


def tasks(agent: str, namespace: str) -> str:
    return f"/v1/namespaces/{namespace}/agents/{agent}/tasks"


def test_bad_requests_get_a_problem_document_that_says_what_is_wrong(product: Product) -> None:
    product.cluster.apply(manifests.agent())
    product.until_stable()
    here, nowhere = tasks("support", product.namespace), tasks("nobody", product.namespace)
    first: dict[str, Any] = {"input": "One.", "idempotencyKey": "key-1"}
    assert product.call("POST", here, json=first).status_code == 202
    deep = '{"input":"Hi","metadata":' + '{"a":' * 5000 + "1" + "}" * 5001
    wrong_token = {"headers": {"Authorization": "Bearer not-a-token"}}
    table: list[tuple[str, dict[str, Any], int, str, str]] = [
        (here, {"content": b"", "headers": JSON}, 400, "invalid-body", ""),
        (here, {"json": {"input": ""}}, 400, "invalid-body", "empty"),
        (here, {"json": {"input": "x" * 50_000}}, 400, "input-too-long", "20000"),
        (here, {"content": b'{"input":"\xff\xfe"}', "headers": JSON}, 400, "invalid-body", "UTF-8"),
        (here, {"content": deep.encode(), "headers": JSON}, 400, "invalid-body", "deep"),
        (here, {"json": {"input": "Hi", "inptu": 1}}, 400, "invalid-body", "inptu"),
        (nowhere, {"json": {"input": "Hi"}}, 404, "agent-not-found", "nobody"),
        (here, {"json": {"input": "Hi"}, **wrong_token}, 401, "unauthorized", "token"),
        (here, {"json": first | {"input": "Two."}}, 409, "idempotency-key-reused", "key"),
    ]
    for path, request, status, slug, word in table:
        answer = product.call("POST", path, **request)
        said = answer.json()
        assert answer.status_code == status, said
        assert answer.headers["content-type"] == "application/problem+json"
        assert said["type"].endswith(f"/{slug}"), said
        assert (said["status"], said["instance"]) == (status, path)
        assert word in said["detail"], said
        assert len(said["traceId"]) == 32
    again = product.call("POST", here, json=first | {"wait": 30})
    assert (again.status_code, again.json()["status"]) == (200, "Succeeded")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modle": {}}, 'unknown field "spec.template.modle"'),
        ({"instructions": None}, "exactly one of instructions and instructionsFrom must be set"),
        ({"limits": {"modelCalls": 0}}, "spec.template.limits.modelCalls"),
    ],
)
def test_a_manifest_that_cannot_mean_anything_is_refused_when_it_is_applied(
    product: Product, change: dict[str, Any], words: str
) -> None:
    manifest = manifests.agent(template=change)
    said = product.cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(manifest), check=False)
    assert words in said
    assert product.cluster.get("agent", "support") is None


def test_a_malformed_tool_schema_is_told_in_a_condition_and_costs_no_user_anything(
    product: Product,
) -> None:
    product.cluster.apply(manifests.agent())
    stable = product.until_stable()
    tool = {
        "name": "lookup",
        "inputSchema": {"type": "objekt"},
        "http": {"url": "http://127.0.0.1:9/"},
    }
    product.cluster.apply(manifests.agent(template={"tools": [tool]}))
    said = product.cluster.until_condition("agent/support", "Accepted", "False")
    assert "lookup" in said
    assert "objekt" in said
    answer = product.ask("somebody", wait=30).json()
    assert (answer["revision"], answer["status"]) == (stable, "Succeeded"), json.dumps(answer)
