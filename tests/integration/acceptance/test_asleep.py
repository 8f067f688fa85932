"""An agent that is scaled to nothing: its first task wakes it at once, and a Redis that has forgotten it is put right."""

import time

import pytest
import redis

from penstock.names import AgentKey
from penstock_store import keys
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

#: Workers that nobody needs are kept for a minute.
ASLEEP_SECONDS = 240.0
#: Longer than a message takes and a pass, shorter than the rounds that would find out without it: a minute.
AT_ONCE_SECONDS = 45.0


def replicas(product: Product) -> list[int]:
    """The workers that each Deployment asks for."""
    return [found["spec"]["replicas"] for found in product.cluster.items("deployments")]


def comes_to_rest(product: Product) -> None:
    """The last pass that writes anything, and the one after it: some seconds in which nothing is written."""

    def versions() -> str:
        path = "jsonpath={.items[*].metadata.resourceVersion}"
        return product.cluster.kubectl("get", "agents,deployments", "-o", path)

    def rested() -> bool:
        before = versions()
        time.sleep(5)
        return versions() == before

    product.until("nothing is written any more", rested)


@pytest.mark.timeout(500)
def test_the_first_task_wakes_an_agent_that_sleeps_and_its_route_outlives_a_redis_that_forgets(
    product: Product,
) -> None:
    scaling = {"scaling": {"minReplicas": 0, "maxReplicas": 1}}
    product.cluster.apply(manifests.agent(spec=scaling))
    stable = product.until_stable()
    product.until("it sleeps", lambda: replicas(product) == [0], ASLEEP_SECONDS)

    route = keys.AgentKeys(AgentKey(product.namespace, "support")).route
    assert product.environment.redis_url
    with redis.Redis.from_url(product.environment.redis_url, protocol=2) as raw:
        comes_to_rest(product)
        raw.delete(route)
        product.until("the route is put back", lambda: raw.exists(route), AT_ONCE_SECONDS)
    assert replicas(product) == [0]

    comes_to_rest(product)
    begun = time.monotonic()
    asked = product.ask("ann")
    assert asked.status_code == 202, asked.text
    product.until("a worker is asked for", lambda: replicas(product) == [1], AT_ONCE_SECONDS)
    print(f"a worker of {stable} was asked for after {time.monotonic() - begun:.1f} s")
    task = asked.json()["id"]
    product.until("it is done", lambda: product.read(task)["status"] == "Succeeded")
