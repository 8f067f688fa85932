"""On the running product: what was rejected never serves again by accident."""

import json
from typing import Any

import pytest

from penstock import names
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

LATER_RELEASES = 12


def reject(product: Product, template: dict[str, Any]) -> tuple[str, str]:
    """Try a template and abort it; answers stable and the rejected revision."""
    stable = product.until_stable()
    product.cluster.apply(template)
    rejected = product.until_canary(stable)
    product.request("abort", rejected)
    assert product.until_verdict(rejected)["result"] == "Rejected"
    return stable, rejected


def who_answers(product: Product, prefix: str) -> set[str]:
    """The revisions that forty users are given to."""
    found = {one.revision for one in product.crowd([f"{prefix}-{n}" for n in range(40)])}
    assert product.share() == 0
    return found


@pytest.mark.timeout(300)
def test_stables_record_is_deleted_while_a_former_stable_is_rejected(product: Product) -> None:
    cluster = product.cluster
    cluster.apply(manifests.agent("v1"), manifests.rollout(manifests.PARKED))
    first = product.until_stable()
    cluster.apply(manifests.agent("v2"))
    second = product.until_canary(first)
    product.request("promote-full", second)
    product.until("v2 is stable", lambda: product.agent()["stableRevision"] == second)
    _, rejected = reject(product, manifests.agent("v1"))
    assert rejected == first
    product.patch("agentrollout/support", {"paused": True, "traffic": {"canaryPercent": 0}})
    cluster.kubectl("delete", "controllerrevision", second)

    def noted() -> bool:
        record = cluster.get("controllerrevision", second)
        notes = record["metadata"].get("annotations", {}) if record else {}
        return int(notes.get(names.ANNOTATION_PROMOTED, 0)) > 1

    product.until("stable's record says again that it was promoted last", noted)
    assert who_answers(product, "after") == {second}
    assert product.agent()["stableRevision"] == second


@pytest.mark.timeout(300)
def test_an_agent_is_made_again_beside_its_rollout(product: Product) -> None:
    cluster = product.cluster
    cluster.apply(manifests.agent("v1"), manifests.rollout(manifests.PARKED))
    stable, rejected = reject(product, manifests.agent("bad"))
    cluster.kubectl("delete", "agent", "support", "--cascade=foreground")
    cluster.apply(manifests.agent("other"))

    def another() -> str:
        found = str(product.agent().get("stableRevision", ""))
        return found if found not in ("", stable, rejected) else ""

    other = product.until("the new Agent's first revision serves", another)
    cluster.until_condition("agent/support", "Ready", "True", "Serving")
    assert who_answers(product, "again") == {other}
    cluster.apply(manifests.agent("bad"))
    cluster.until_condition("agent/support", "UpToDate", "False", "CandidateRejected")
    assert who_answers(product, "bad") == {other}


@pytest.mark.timeout(580)
def test_twelve_releases_later_and_with_another_rollout_it_is_still_rejected(
    product: Product,
) -> None:
    cluster = product.cluster
    short = {"revisionHistoryLimit": 1, "scaling": {"maxReplicas": 1}}
    cluster.apply(manifests.agent("v0", spec=short), manifests.rollout(manifests.PARKED))
    stable, rejected = reject(product, manifests.agent("bad", spec=short))
    for number in range(1, LATER_RELEASES + 1):
        cluster.apply(manifests.agent(f"v{number}", spec=short))
        canary = product.until_canary(stable)
        product.request("promote-full", canary)
        product.until(
            f"v{number} is stable",
            lambda wanted=canary: product.agent()["stableRevision"] == wanted,  # type: ignore[misc]
        )
        stable = canary
    cluster.kubectl("delete", "agentrollout", "support")
    cluster.kubectl("delete", "controllerrevision", rejected, "--ignore-not-found")
    cluster.apply(manifests.rollout(manifests.PARKED, name="renamed"))
    cluster.apply(manifests.agent("bad", spec=short))
    cluster.until_condition("agent/support", "UpToDate", "False", "CandidateRejected")
    assert {one.revision for one in product.crowd([f"user-{n}" for n in range(40)])} == {stable}
    record = product.until("a new record", lambda: cluster.get("controllerrevision", rejected))
    told = record["metadata"].get("annotations", {}).get(names.ANNOTATION_VERDICT, "{}")
    assert json.loads(told).get("result", "Rejected") == "Rejected"
