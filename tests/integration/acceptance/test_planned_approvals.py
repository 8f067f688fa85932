"""A declared approval is planned: however many tasks wait for a person, no revision is blamed."""

import pytest

from penstock import names
from penstock.outcomes import RowKind
from penstock.task import Counting
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

REFUND = {
    "name": "refund",
    "description": "Pays money back.",
    "inputSchema": {"type": "object", "properties": {"order": {"type": "string"}}},
    "effect": "Irreversible",
    "approval": {"mode": "Always"},
    "http": {"url": "http://127.0.0.1:9/refund"},
}


@pytest.mark.timeout(300)
def test_a_canary_that_hands_six_of_ten_tasks_to_people_as_declared_is_not_rolled_back(
    product: Product,
) -> None:
    product.cluster.apply(manifests.agent("No tools."), manifests.rollout(((20, 2, 10),)))
    stable = product.until_stable()
    asking = manifests.agent(
        "Refunds need a person.",
        template={"tools": [REFUND]},
        toolCalls=[{"name": "refund", "input": {"order": "17"}}],
        toolCallPercent=60,
    )
    with product.live_traffic(25) as load:
        product.cluster.apply(asking)
        canary = product.until_canary(stable)
        product.until(
            "the canary is promoted",
            lambda: product.agent()["stableRevision"] == canary,
            seconds=120,
        )
        product.until(
            "tasks of everybody on the former canary",
            lambda: len(product.log().ended_on(names.hash_of(canary))) >= 60,
        )
    log = product.until_all_ended(load)
    ended = [row for row in log.of(RowKind.FINISHED) if row.revision == names.hash_of(canary)]
    left_out = [row for row in ended if row.counting is Counting.LEFT_OUT]
    print(f"{len(left_out)} of {len(ended)} tasks wait for a person")
    assert 0.4 <= len(left_out) / len(ended) <= 0.8
    assert {row.counting for row in ended} == {Counting.LEFT_OUT, Counting.GOOD}
    assert log.routed_to(Arm.CANARY) >= 10
    waiting = left_out[0].task
    outcome = product.read(waiting)
    assert (outcome["status"], outcome["outcome"]["reason"]) == ("Escalated", "Approval")
    assert "refund" in outcome["outcome"]["message"]
