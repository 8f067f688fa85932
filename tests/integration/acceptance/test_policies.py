"""An AgentRollout that goes, comes back, or is one of two: nothing is ever released by that."""

import time

import pytest

from penstock import names
from penstock.task import TaskStatus
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

PARKED_AT_20: manifests.Steps = ((20, 3000, 1),)


def until_canary_serves(product: Product, canary: str) -> None:
    product.until(
        "the canary serves",
        lambda: len(product.log().ended_on(names.hash_of(canary))) >= 5,
    )


@pytest.mark.timeout(300)
def test_deleting_the_rollout_freezes_and_a_new_one_begins_with_the_first_step(
    product: Product,
) -> None:
    cluster = product.cluster
    cluster.apply(manifests.agent("v1"), manifests.rollout(PARKED_AT_20))
    stable = product.until_stable()
    with product.live_traffic(15) as load:
        cluster.apply(manifests.agent("v2"))
        canary = product.until_canary(stable)
        product.until_share(20)
        until_canary_serves(product, canary)

        cluster.kubectl("delete", "agentrollout", "support")
        cluster.until_condition("agent/support", "RolloutMissing", "True")
        status = product.agent()
        assert status["traffic"]["targets"] == [
            {"revision": stable, "role": "Stable", "percent": 100}
        ]
        assert (status["stableRevision"], status["latestRevision"]) == (stable, canary)
        early = next(one.user for one in load.accepted if one.revision == canary)
        product.until(  # it is put in force after the Agent has said so
            "the route is frozen", lambda: product.ask(early).json().get("revision") == stable
        )
        frozen = time.monotonic()
        product.until("new users come", lambda: len(load.since(frozen)) >= 60)
        assert set(by_revision(load.since(frozen))) == {stable}

        cluster.apply(manifests.rollout(((10, 3000, 1),)))
        product.until_share(10)
        assert product.rollout()["canaryRevision"] == canary
        assert product.agent()["stableRevision"] == stable
        product.until(
            "the route has the canary",
            lambda: by_revision(load.since(frozen))[canary],
        )
        back = time.monotonic()
        product.until("new users come", lambda: len(load.since(back)) >= 90)
        served = by_revision(load.since(back))
        assert served[canary] >= 1
        assert served[stable] > served[canary]
    product.until_all_ended(load)
    assert {task.status for task in product.tasks(load.tasks)} == {TaskStatus.SUCCEEDED}


@pytest.mark.timeout(300)
def test_of_two_rollouts_the_older_one_governs_and_the_other_says_so(product: Product) -> None:
    cluster = product.cluster
    cluster.apply(manifests.agent("v1"), manifests.rollout(PARKED_AT_20, name="older"))
    stable = product.until_stable()
    cluster.apply(manifests.rollout(((50, 0, 0),), name="another", final_hold_seconds=0))
    said = cluster.until_condition("agentrollout/another", "Stalled", "True", "NotInCharge")
    assert "older" in said
    cluster.apply(manifests.agent("v2"))
    canary = product.until_canary(stable, "older")
    product.until_share(20, "older")
    product.until(
        "the route has it",
        lambda: {one["percent"] for one in product.agent()["traffic"]["targets"]} == {80, 20},
    )
    users = [f"user-{number}" for number in range(200)]
    assert 20 <= by_revision(product.crowd(users))[canary] <= 60
    assert product.share("another") == 0
    assert "canaryRevision" not in product.rollout("another")

    cluster.kubectl("delete", "agentrollout", "older")
    product.until("the other one governs", lambda: product.rollout("another").get("canaryRevision"))
    product.until_share(50, "another")
    assert product.agent()["stableRevision"] == stable
