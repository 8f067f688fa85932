"""A route that somebody with the namespace's Redis credentials has changed is put back."""

import pytest
from redis import Redis

from penstock.names import AgentKey
from penstock_store.keys import AgentKeys
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.election.operators import STEADY, Operators

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CHANGES = (
    ("percent", "100"),
    ("stable", "ffffffff"),
    ("suspended", "1"),
    ("epoch", ""),  # the one that the next leader will have
    ("epoch", str(2**30 + 1)),
    ("epoch", "many"),
    ("version", str(10**12)),
    ("version", str(2**62)),
)


def test_whatever_is_written_into_a_route_the_leader_puts_it_back_and_keeps_its_epoch(
    operators: Operators, product: Product
) -> None:
    operators.until_leads(operators.start("one", STEADY))
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(manifests.PARKED))
    stable = product.until_stable()
    product.cluster.apply(manifests.agent("v2"))
    product.until_canary(stable)
    product.until_share(5)
    epoch = operators.epoch()
    assert product.environment.redis_url
    redis = Redis.from_url(product.environment.redis_url, decode_responses=True)
    key = AgentKeys(AgentKey(product.namespace, "support")).route
    before = redis.hgetall(key)
    for field, value in CHANGES:
        redis.hset(key, field, value or epoch + 1)
        product.until(
            f"{field} is what it was before {value}",
            lambda: before.items() <= redis.hgetall(key).items(),
        )
    assert operators.epoch() == epoch
    product.set_percent(20)
    product.until_share(20)
    product.until("the route follows", lambda: redis.hget(key, "percent") == "20")
