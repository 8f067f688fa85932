"""A version that fails only once it is stable: nothing is admitted, or everybody goes back by itself."""

from typing import Any

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.test_undo import PATIENCE_SECONDS, until_serves


def follows(what: str) -> dict[str, Any]:
    return {"analysis": {"guardrails": {"onStable": what}}}


@pytest.mark.timeout(400)
def test_it_is_braked_as_declared_and_left_for_the_version_before_when_that_is_declared(
    product: Product,
) -> None:
    policy = manifests.rollout(manifests.PARKED, guardrails={"onStable": "Suspend"})
    product.cluster.apply(manifests.agent("Answer in one sentence."), policy)
    good = product.until_stable(seconds=PATIENCE_SECONDS)
    product.cluster.apply(manifests.agent("Answer in three words.", errorPercent=60))
    bad = product.until_canary(good, seconds=PATIENCE_SECONDS)
    product.request("promote-full", bad)
    until_serves(product, bad)
    with product.live_traffic(10):
        product.until("it refuses", lambda: product.ask("late").status_code == 503, 120)
        assert product.ask("late").json()["type"].endswith("/agent-suspended")
        product.until(  # the route comes first
            "the Agent says why",
            lambda: "onStable: Suspend" in product.cluster.condition("agent/support", "Ready")[2],
        )
        product.kill_operator()
        product.patch("agentrollout/support", follows("Rollback"))
        until_serves(product, good)
    rejected, back = product.rollout()["verdicts"][-2:]
    print(rejected, back)
    assert (rejected["revision"], rejected["result"], rejected["check"]) == (
        bad,
        "Rejected",
        "errorRate",
    )
    assert (back["revision"], back["reason"]) == (good, "Returned")
    assert {one.revision for one in product.crowd(["a", "b", "c"])} == {good}
