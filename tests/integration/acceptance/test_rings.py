"""Chosen users go first, on the running product: they have the canary alone, keep it, and are no samples."""

from typing import Any

import pytest

from penstock import names, rings
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

STAFF = ["user-1", "user-2", "user-3"]


def policy() -> dict[str, Any]:
    made = manifests.rollout(manifests.PARKED)
    staff = {"name": "staff", "users": STAFF, "holdSeconds": 1, "minTasks": 6}
    made["spec"]["strategy"]["rings"] = [staff]
    return made


@pytest.mark.timeout(300)
def test_a_ring_has_the_canary_before_the_percentage_counts_and_keeps_it(product: Product) -> None:
    product.cluster.apply(manifests.agent(), policy())
    stable = product.until_stable()
    product.cluster.apply(manifests.agent("Answer well."))

    def opened() -> str:
        found = product.rollout()
        return (
            str(found["canaryRevision"])
            if found.get("stage") == "Rings" and found.get("rings")
            else ""
        )

    canary = str(product.until("the ring has the canary", opened))
    assert product.share() == 0
    assert product.rollout()["step"] == "ring 1/1"
    assert not any(user in str(product.rollout()["rings"]) for user in STAFF), "no name is written"
    others = [f"user-{number}" for number in range(10, 40)]
    first = product.crowd([*STAFF, *STAFF, *others])
    assert {one.revision for one in first if one.user in STAFF} == {canary}
    assert {one.revision for one in first if one.user in others} == {stable}

    product.until_share(5)
    assert product.rollout()["rings"][0]["name"] == "staff"
    then = product.crowd([*STAFF, *others])
    assert {one.revision for one in then if one.user in STAFF} == {canary}
    share = by_revision([one for one in then if one.user in others])
    assert share[canary] < len(others) / 2

    chosen = {one.task for one in (*first, *then) if one.user in STAFF}
    rows = [row for row in product.log().rows if row.task in chosen]
    assert {row.revision for row in rows} == {names.hash_of(canary)}
    assert {(row.bucket, row.begin_version) for row in rows} == {(rings.FIRST, 0)}
