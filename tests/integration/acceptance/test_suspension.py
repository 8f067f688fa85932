"""The kill switch: nothing is admitted, running tasks stop, and both go on afterwards."""

import pytest

from penstock.task import TaskStatus
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product


@pytest.mark.timeout(240)
def test_a_suspended_agent_refuses_and_stops_and_goes_on_when_it_is_released(
    product: Product,
) -> None:
    product.cluster.apply(manifests.agent("Slowly.", latencyMs=20_000))
    stable = product.until_stable()
    accepted = product.crowd([f"user-{number}" for number in range(10)])
    identifiers = [one.task for one in accepted]
    product.until("all of them run", lambda: product.work(stable).running == 10)

    product.patch("agent/support", {"suspended": True})
    product.until("it refuses", lambda: product.ask("late").status_code == 503)
    refusal = product.ask("late")
    assert refusal.json()["type"].endswith("/agent-suspended")
    assert int(refusal.headers["retry-after"]) > 0
    product.until(
        "the running tasks have stopped",
        lambda: {task.status for task in product.tasks(identifiers)} == {TaskStatus.HALTED},
    )
    assert product.cluster.condition("agent/support", "Ready")[0] == "False"

    product.patch("agent/support", {"suspended": False})
    product.until("it accepts", lambda: product.ask("early").status_code == 202)
    product.until(
        "the stopped tasks have ended well",
        lambda: {task.status for task in product.tasks(identifiers)} == {TaskStatus.SUCCEEDED},
    )
    assert set(product.log().finished.values()) <= {1}
