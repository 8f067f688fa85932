"""Stricter checks on a real API server: told of what is new, and of what serves only a warning."""

from typing import Any

import pytest

from penstock import revision
from penstock_operator.reconcile import manifests
from tests.integration.cluster import Cluster, agent


def tool(**schema: Any) -> dict[str, Any]:
    return {
        "name": "look_up",
        "description": "Looks an order up.",
        "inputSchema": {"type": "object"} | schema,
        "effect": "ReadOnly",
        "http": {"url": "http://127.0.0.1:9/"},
    }


DOUBLED = {f"n{i}": {"allOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(25)}
COSTLY = {"properties": {"a": {"$ref": "#/$defs/n0"}}, "$defs": {**DOUBLED, "n25": {}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"oneOf": [{"required": ["id"]}, {"required": ["mail"]}]}, "takes no oneOf at the top"),
        ({"properties": {"filter[id]": {}}}, "has 'filter[id]'"),
        (COSTLY, "stands for more than 10000 schemas"),
        ({"properties": {"a": {"pattern": "^(?!x)"}}}, "look-around"),
    ],
)
def test_a_tool_that_no_task_could_use_is_told_before_a_revision_is_cut(
    cluster: Cluster, schema: dict[str, Any], words: str
) -> None:
    manifest = agent()
    manifest["spec"]["template"]["tools"] = [tool(**schema)]
    cluster.apply(manifest)
    said = cluster.until_condition("agent/support", "Accepted", "False", "InvalidTool")
    assert 'tool "look_up": ' in said
    assert words in said
    assert not cluster.items("controllerrevision")


def test_a_revision_that_the_version_before_cut_goes_on_serving(cluster: Cluster) -> None:
    """The version before had no check of what the model's API takes at the top of a schema."""
    manifest = agent()
    manifest["spec"]["template"]["tools"] = [tool(anyOf=[{"required": ["id"]}])]
    cluster.apply(manifest)
    cluster.until_condition("agent/support", "Accepted", "False", "InvalidTool")
    live = cluster.get("agent", "support")
    cut = revision.cut("support", live["spec"]["template"], {}, "penstock-runtime:dev")
    cluster.apply(manifests.record(live, cut, 1))
    said = cluster.until_condition("agent/support", "Accepted", "True", "AcceptedBefore")
    assert "takes no anyOf at the top" in said
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    assert cluster.get("agent", "support")["status"]["stableRevision"] == cut.name
    assert cluster.condition("agent/support", "Stalled")[0] == "False"
