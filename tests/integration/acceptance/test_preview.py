"""On the running product: a canary that no user is given answers whoever may choose it, and nothing is decided by that."""

from typing import Any

import pytest

from penstock import names
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

PATIENCE_SECONDS = 240.0


@pytest.mark.timeout(900)
def test_a_canary_at_0_percent_is_asked_and_no_evidence_comes_of_it(product: Product) -> None:
    assert product.environment.approver_token
    person = {"Authorization": f"Bearer {product.environment.approver_token}"}
    held = manifests.rollout(manifests.PARKED)
    held["spec"]["traffic"] = {"canaryPercent": 0}
    product.cluster.apply(manifests.agent("Version 1."), held)
    stable = product.until_stable(seconds=PATIENCE_SECONDS)
    product.cluster.apply(manifests.agent("Version 2."))
    canary = product.until_canary(stable, seconds=PATIENCE_SECONDS)

    path = product.target().path
    body = {"input": "Who are you?", "user": "ann", "revision": canary, "wait": 60}
    assert product.call("POST", path, json=body).status_code == 403, "a token of no person"

    def answered() -> dict[str, Any] | None:
        told = product.call("POST", path, json=body, headers=person)
        assert told.status_code in (200, 202, 409), told.text
        return told.json() if told.status_code != 409 else None

    task: dict[str, Any] = product.until("its worker is heard", answered, PATIENCE_SECONDS)
    product.until("it has ended", lambda: product.read(task["id"])["finishedAt"], PATIENCE_SECONDS)
    task = product.read(task["id"])
    assert (task["status"], task["revision"], task["preview"]) == ("Succeeded", canary, True)
    assert float(task["usage"]["costUSD"]) > 0

    ordinary = product.ask("ann", wait=60).json()
    assert ordinary["revision"] == stable, "her side is another"
    assert {row.revision for row in product.log().rows} == {names.hash_of(stable)}
    assert product.work(canary).tasks == 0
    status = product.cluster.get("agentrollout", "support")["status"]
    assert status["share"]["percent"] == 0
    assert not status["analysis"].get("canary", {}).get("tasks")
