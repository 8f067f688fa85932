"""A canary that keeps every limit and is slower than stable, where a comparison is declared."""

from typing import Any

import pytest

from penstock import names
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product


def policy(name: str = "support", hold_seconds: int = 3000) -> dict[str, Any]:
    steps: manifests.Steps = ((20, hold_seconds, 1), (50, 3000, 1))
    made = manifests.rollout(steps, name=name, agent=name)
    made["spec"]["analysis"]["comparison"] = {}
    return made


def until_held_for_want_of_tasks(product: Product, name: str) -> None:
    """Without a task nothing is proven, however long it lasts, and that is what is said."""
    product.until_share(20, name)
    product.until(
        "it waits for tasks",
        lambda: (
            product.cluster.condition(f"agentrollout/{name}", "Progressing")[1]
            == "AwaitingEvidence"
        ),
    )
    told = product.cluster.condition(f"agentrollout/{name}", "Progressing")[2]
    assert "the canary has 0" in told, told
    assert product.share(name) == 20
    assert product.rollout(name)["verdicts"] == []


@pytest.mark.timeout(300)
def test_it_is_rolled_back_also_by_an_operator_that_has_just_been_killed(product: Product) -> None:
    cluster = product.cluster
    for name in ("support", "silent"):
        first = manifests.agent("Answer in one sentence.", name=name)
        cluster.apply(first, policy(name, 3000 if name == "support" else 1))
    stable, quiet = product.until_stable(), product.until_stable("silent")
    with product.live_traffic(20):
        product.until("stable serves", lambda: product.log().ended_on(names.hash_of(stable)))
        cluster.apply(manifests.agent("Answer in three words.", latencyMs=900))
        cluster.apply(manifests.agent("Answer in two words.", name="silent"))
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
    assert product.until_canary(quiet, "silent")
    until_held_for_want_of_tasks(product, "silent")
