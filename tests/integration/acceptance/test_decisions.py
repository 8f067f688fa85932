"""What was decided on a canary is kept beside its record: a chain whose end is on the record itself."""

import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

PATIENT = {"latencyMeanSeconds": 3600}


def kept(product: Product, revision: str) -> list[str]:
    """The texts of the decisions on a revision; none while there are none."""
    named = [
        made["data"]
        for made in product.cluster.items("configmaps")
        if made["metadata"]["name"] == f"{revision}-decisions"
    ]
    return [text for data in named for _, text in sorted(data.items())]


@pytest.mark.timeout(400)
def test_each_decision_on_a_canary_is_kept_and_chained(product: Product) -> None:
    product.cluster.apply(
        manifests.agent("v1"), manifests.rollout(manifests.PARKED, guardrails=PATIENT)
    )
    stable = product.until_stable()
    product.cluster.apply(manifests.agent("v2"))
    canary = product.until_canary(stable)
    product.until_share(5)
    product.crowd([f"user-{number}" for number in range(40)])
    product.set_percent(20)
    product.until_share(20)

    def decisions() -> list[dict[str, Any]]:
        return [json.loads(text) for text in kept(product, canary)]

    product.until("three decisions are kept", lambda: len(decisions()) >= 3, seconds=30)
    found = decisions()
    assert [one["rule"] for one in found[:3]] == [
        "checks.superseded",
        "checks.first_step",
        "checks.setpoint",
    ]
    assert [one["after"]["percent"] for one in found[:3]] == [0, 5, 20]
    assert found[2]["measured"]["rows"]["count"] >= 40, "each of them was routed"

    def head() -> str:
        record = product.cluster.get("controllerrevision", canary)
        return str(record["metadata"]["annotations"].get("penstock.dev/decisions", ""))

    texts = kept(product, canary)
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    for (_, digest), (text, _) in pairwise(zip(texts, digests, strict=True)):
        assert json.loads(text)["previous"] == digest
    product.until(
        "the chain's end is on the record", lambda: head() == f"{len(texts)} {digests[-1]}"
    )
    told = product.rollout()["decisions"]
    assert told == {"revision": canary, "count": len(texts), "head": digests[-1]}
