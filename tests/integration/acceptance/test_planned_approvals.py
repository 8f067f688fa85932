"""A call that waits for a person is planned: however many tasks wait, no revision is blamed."""

import pytest

from penstock import names
from penstock.outcomes import RowKind
from penstock.task import Counting
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

WAIT_SECONDS = 6
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
        template={
            "tools": [REFUND],
            "oversight": {"timeoutSeconds": WAIT_SECONDS, "onTimeout": "Deny"},
        },
        toolCalls=[{"name": "refund", "input": {"order": "17"}}],
        toolCallPercent=60,
    )
    with product.live_traffic(25) as load:
        product.cluster.apply(asking)
        canary = product.until_canary(stable)
        product.until(
            "the canary is promoted",
            lambda: product.agent()["stableRevision"] == canary,
        )
        product.until(
            "tasks of everybody on the former canary",
            lambda: len(product.log().ended_on(names.hash_of(canary))) >= 60,
        )
    log = product.until_all_ended(load)
    ended = [row for row in log.of(RowKind.FINISHED) if row.revision == names.hash_of(canary)]
    waited = [row for row in ended if row.task in log.rehomed]
    print(f"{len(waited)} of {len(ended)} tasks have waited for a person, until time decided")
    assert 0.35 <= len(waited) / len(ended) <= 0.85
    assert {row.counting for row in ended} == {Counting.GOOD}
    assert log.routed_to(Arm.CANARY) >= 10
    came = {row.task: row.at_ms for row in log.of(RowKind.ROUTED)}
    busy = [row.at_ms - came[row.task] - 1000 * WAIT_SECONDS for row in waited]
    assert all(row.latency_ms < most + 100 for row, most in zip(waited, busy, strict=True)), (
        "the wait is no latency of the revision"
    )
    assert product.read(waited[0].task)["status"] == "Succeeded"
    asked = product.call("GET", f"/v1/escalations/{waited[0].task}.1").json()
    assert (asked["status"], asked["decidedBy"]) == ("Denied", [])
