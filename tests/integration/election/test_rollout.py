"""A leader is killed in mid-rollout: the rollout ends as it would have."""

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.election.operators import Operators

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

STEPS: manifests.Steps = ((20, 2, 5), (50, 2, 10))


@pytest.mark.parametrize(
    ("second", "result", "stays"),
    [({}, "Promoted", False), ({"errorPercent": 60}, "Rejected", True)],
    ids=["good", "bad"],
)
def test_a_rollout_whose_leader_is_killed_ends_as_it_would_have(
    operators: Operators,
    product: Product,
    second: dict[str, float],
    result: str,
    stays: bool,
) -> None:
    leader = operators.start("one")
    operators.until_leads(leader)
    standby = operators.start("two")
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(STEPS, final_hold_seconds=2))
    stable = product.until_stable()
    before = operators.epoch()
    with product.live_traffic(15) as load:
        product.cluster.apply(manifests.agent("v2", **second))
        canary = product.until_canary(stable)
        product.until("users try it", lambda: product.share() > 0)
        leader.kill()
        operators.until_leads(standby)
        verdict = product.until_verdict(canary, seconds=90)
    assert verdict["result"] == result, verdict
    assert product.rollout()["epoch"] == before + 1
    product.until(
        "the Agent tells of it",
        lambda: product.agent()["stableRevision"] == (stable if stays else canary),
    )
    product.until_all_ended(load)
