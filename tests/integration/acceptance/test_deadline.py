"""A canary that waits for tasks that do not come in time, while the operator is killed."""

from typing import Any

import pytest

from penstock.api.condition import moment
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

SECONDS = 10


def policy() -> dict[str, Any]:
    made = manifests.rollout(((20, 2, 1_000_000),))
    made["spec"]["strategy"] |= {"progressDeadlineSeconds": SECONDS, "onDeadline": "Rollback"}
    return made


@pytest.mark.timeout(300)
def test_it_is_rejected_when_its_time_is_over_and_the_next_operator_goes_on_counting(
    product: Product,
) -> None:
    product.cluster.apply(manifests.agent("Answer in one sentence."), policy())
    stable = product.until_stable()
    with product.live_traffic(5):
        product.cluster.apply(manifests.agent("Answer in three words."))
        canary = product.until_canary(stable)
        product.until("the canary serves", lambda: product.log().routed_to(Arm.CANARY))
        delay = product.until("the clock runs", lambda: product.rollout().get("delay"))
        product.kill_operator()
        product.until("a verdict", lambda: product.rollout().get("verdicts"), seconds=120)
    status = product.rollout()
    verdict = status["verdicts"][-1]
    print(delay, verdict)
    assert (verdict["revision"], verdict["reason"]) == (canary, "DeadlineExceeded")
    assert (moment(verdict["at"]) - moment(delay["since"])).total_seconds() >= SECONDS
    assert "evidence is missing" in verdict["message"]
    assert status["share"]["percent"] == 0
    assert product.rollout()["stableRevision"] == stable
