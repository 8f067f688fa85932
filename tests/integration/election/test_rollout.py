"""A leader is killed in mid-rollout: each rollout ends as it would have."""

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.election.operators import Operators

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

STEPS: manifests.Steps = ((20, 2, 5), (50, 2, 10))
GOOD, BAD = "good", "bad"
RESULTS = {GOOD: "Promoted", BAD: "Rejected"}


def until_cut(product: Product, name: str, stable: str) -> str:
    """Wait for the revision of the second template; its name."""

    def another() -> str:
        found = str(product.agent(name).get("latestRevision", ""))
        return found if found != stable else ""

    return str(product.until(f"another revision of {name}", another))


def test_rollouts_whose_leader_is_killed_end_as_they_would_have(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one")
    operators.until_leads(leader)
    standby = operators.start("two")
    for name in RESULTS:
        made = manifests.rollout(STEPS, name=name, agent=name, final_hold_seconds=2)
        product.cluster.apply(manifests.agent("v1", name=name), made)
    stable = {name: product.until_stable(name) for name in RESULTS}
    before = operators.epoch()
    with product.live_traffic(12, GOOD) as good, product.live_traffic(8, BAD) as bad:
        product.cluster.apply(manifests.agent("v2", name=GOOD))
        product.cluster.apply(manifests.agent("v2", name=BAD, errorPercent=60))
        canary = {name: until_cut(product, name, stable[name]) for name in RESULTS}
        product.until("users try the bad one", lambda: product.share(BAD) > 0)
        leader.kill()
        operators.until_leads(standby)
        verdicts = {name: product.until_verdict(canary[name], name) for name in RESULTS}
    assert {name: verdict["result"] for name, verdict in verdicts.items()} == RESULTS, verdicts
    assert product.rollout(GOOD)["epoch"] == before + 1
    for name, serves, load in ((GOOD, canary[GOOD], good), (BAD, stable[BAD], bad)):
        product.until(
            "the Agent tells of it",
            lambda name=name, serves=serves: product.agent(name)["stableRevision"] == serves,
        )
        product.until_all_ended(load, name)
