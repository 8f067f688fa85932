"""An operator at rest writes nothing, however its Agents are spelled and whatever it is told."""

from typing import Any

import pytest

from tests.integration.acceptance.product import Product
from tests.integration.cluster import agent
from tests.integration.election.operators import Operator, Operators, until

PASSES = "penstock_operator_reconcile_seconds_count"
SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"default": {"🚢" * 600: None, "\u2028\x7f": {}}, "enum": ["<<", None]},
        "b": {"multipleOf": 0.00001, "maximum": 1e21, "minimum": -0.0, "const": 2**63},
        "c": {"maximum": 1e16},
    },
}
TOOL = {"name": "t", "description": "𝕏\x00", "inputSchema": SCHEMA, "http": {"url": "http://t"}}
#: Nothing of this is wrong, and hardly anything of it is stored as it is written here.
ODD: dict[str, dict[str, Any]] = {
    "plain": {},
    "words": {"template": {"instructions": "You help sailors 🚢.\u0085\ufeff", "tools": [TOOL]}},
    "variables": {
        "template": {"worker": {"env": [{"name": "EMPTY", "value": ""}, {"name": "POD_IP"}]}}
    },
    "quantities": {"worker": {"resources": {"limits": {"cpu": "1000m", "memory": "0.50Gi"}}}},
    "huge": {"worker": {"resources": {"requests": {"memory": "1000E"}}}},  # stored as "1"
    "tolerant": {"worker": {"tolerations": [{"operator": "Exists", "value": ""}]}},
}


def changed(product: Product, names: list[str]) -> None:
    """Something of each Agent that means nothing, so that a pass looks at it."""
    for name in names:
        product.cluster.kubectl("annotate", "--overwrite", "agent", name, f"seen={id(object())}")


def passes_more(operator: Operator, product: Product, count: int) -> None:
    """Wait until every Agent was looked at again, so often."""
    for _ in range(count):
        before = operator.number(PASSES) or 0
        changed(product, list(ODD))
        until("passes", lambda b=before: (operator.number(PASSES) or 0) >= b + len(ODD))


@pytest.mark.timeout(300)
def test_agents_in_unusual_spellings_are_written_once_and_never_again(
    operators: Operators, product: Product
) -> None:
    first = operators.start("first", PENSTOCK_MODEL_URL="", PENSTOCK_REDIS_USERS="Shared")
    product.cluster.apply(*(agent(name=name, **spec) for name, spec in ODD.items()))

    def all_there() -> bool:
        stored = product.cluster.items("agents")
        return all(item.get("status", {}).get("latestRevision") for item in stored) and len(
            product.cluster.items("deployments")
        ) == len(ODD)

    until("a Deployment each", all_there)
    for name in ODD:
        assert product.cluster.condition(f"agent/{name}", "Accepted")[0] == "True"
    passes_more(first, product, 2)
    before = first.writes()
    passes_more(first, product, 3)
    children = ("Deployment", "ConfigMap", "ControllerRevision", "Secret")
    after = first.writes()
    assert {kind: after.get(kind) for kind in children} == {
        kind: before.get(kind) for kind in children
    }
    first.kill()
    second = operators.start("second", PENSTOCK_MODEL_URL="", PENSTOCK_REDIS_USERS="Shared")
    operators.until_leads(second)
    passes_more(second, product, 2)
    written = second.writes()
    assert written.get("Deployment", 0) <= 1, "none but the one that is stored as something else"
    assert not {"ConfigMap", "ControllerRevision"} & written.keys()
