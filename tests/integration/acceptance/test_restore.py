"""What remains when statuses and Redis are lost in mid-rollout: nothing is promoted by it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from penstock import names
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

STEPS: manifests.Steps = ((20, 3000, 1), (50, 3000, 1))
BAD = {"errorRate": 1.0}


def lose_everything_but_the_records(product: Product) -> None:
    """With the operator down: an Agent without status, a rollout made anew, and an empty Redis."""
    product.stop("operator")
    product.stop("redis", kill=True)
    for found in Path(product.environment.state_dir, "redis").iterdir():
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    cluster = product.cluster
    cluster.kubectl(
        "patch", "agent", "support", "--subresource=status", "--type=json",
        "-p", '[{"op":"remove","path":"/status"}]',
    )  # fmt: skip
    kept = cluster.get("agentrollout", "support")
    cluster.kubectl("delete", "agentrollout", "support")
    cluster.apply(without_history(kept))
    assert product.agent() == {}
    assert product.rollout() == {}
    product.start("redis")
    product.start("operator")


def without_history(document: dict[str, Any]) -> dict[str, Any]:
    """An object as a backup without status holds it."""
    metadata = {"name": document["metadata"]["name"]}
    return {**{key: document[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata}


def climb_to_20(product: Product) -> tuple[str, str]:
    """Stable, and a candidate at 20 % that has served; the traffic flows on."""
    product.cluster.apply(manifests.agent("v2"))
    stable = str(product.agent()["stableRevision"])
    candidate = product.until_candidate(stable)
    product.until_share(20)
    product.until("it served", lambda: product.log().ended_on(names.hash_of(candidate)))
    return stable, candidate


@pytest.mark.timeout(400)
def test_without_any_status_and_with_an_empty_redis_a_rollout_begins_anew_against_the_same_stable(
    product: Product,
) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(STEPS))
    product.until_stable()
    with product.live_traffic(10):
        stable, candidate = climb_to_20(product)
    lose_everything_but_the_records(product)
    assert product.until_stable() == stable
    shares: list[int] = []

    def begun_anew() -> bool:
        shares.append(product.share())
        return shares[-1] == 20

    with product.live_traffic(10) as load:
        product.until("the first step again", begun_anew)
        product.until(
            "both serve again",
            lambda: all(product.log().ended_on(names.hash_of(it)) for it in (stable, candidate)),
        )
    assert set(shares) <= {0, 20}, "nobody was moved beyond the first step"
    status = product.rollout()
    assert (status["stableRevision"], status["canaryRevision"]) == (stable, candidate)
    assert status["verdicts"] == []
    assert {one.revision for one in load.accepted} == {stable, candidate}


@pytest.mark.timeout(400)
def test_without_any_status_and_with_an_empty_redis_a_rejected_revision_stays_rejected(
    product: Product,
) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(STEPS))
    stable = product.until_stable()
    with product.live_traffic(10):
        product.cluster.apply(manifests.agent("bad", **BAD))
        candidate = product.until_candidate(stable)
        assert product.until_verdict(candidate, seconds=120)["result"] == "Rejected"
    lose_everything_but_the_records(product)
    assert product.until_stable() == stable
    product.until(
        "the verdict is read from the record",
        lambda: product.cluster.condition("agentrollout/support", "RolledBack")[0] == "True",
    )
    with product.live_traffic(10) as load:
        product.until("users are served", lambda: len(load.accepted) >= 30)
    assert {one.revision for one in load.accepted} == {stable}
    assert product.share() == 0
    record = product.cluster.get("controllerrevision", candidate)
    verdict = json.loads(record["metadata"]["annotations"][names.ANNOTATION_VERDICT])
    assert verdict["result"] == "Rejected"
