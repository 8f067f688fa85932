"""A canary that keeps every limit and is slower than stable, where a comparison is declared."""

from typing import Any

import pytest

from penstock import names
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product


def policy() -> dict[str, Any]:
    made = manifests.rollout(((20, 3000, 1),))
    made["spec"]["analysis"]["comparison"] = {}
    return made


@pytest.mark.timeout(300)
def test_it_is_rolled_back_also_by_an_operator_that_has_just_been_killed(product: Product) -> None:
    cluster = product.cluster
    cluster.apply(manifests.agent("Answer in one sentence."), policy())
    stable = product.until_stable()
    with product.live_traffic(20):
        product.until("stable serves", lambda: product.log().ended_on(names.hash_of(stable)))
        cluster.apply(manifests.agent("Answer in three words.", latencyMs=900))
        canary = product.until_canary(stable)
        product.until("the canary serves", lambda: product.log().routed_to(Arm.CANARY))
        product.kill_operator()
        product.until("a verdict", lambda: product.rollout().get("verdicts"), seconds=120)
    status = product.rollout()
    verdict = status["verdicts"][-1]
    print(verdict["message"])
    assert (verdict["revision"], verdict["reason"], verdict["check"]) == (
        canary,
        "LatencyRegression",
        "latencyToStable",
    )
    assert "worse than stable, 67:1 is enough" in verdict["message"]
    rows = {check["name"]: check for check in status["analysis"]["checks"]}
    assert rows["latencyMean"]["verdict"] == "Passing", "no limit was broken"
    assert rows["latencyToStable"]["verdict"] == "Breached"
    assert status["share"]["percent"] == 0
