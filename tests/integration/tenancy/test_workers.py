"""Workers under their namespace's Redis user, on a real API server, Redis and node."""

import json

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from penstock_dev import environment as embedded
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.tenancy.conftest import Tenancy

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


def served(product: Product, user: str) -> bool:
    """Whether a task of this user ends well."""
    answer = product.ask(user, wait=30)
    return answer.status_code == 200 and answer.json()["status"] == "Succeeded"


def test_workers_reach_redis_as_their_namespaces_user_and_nothing_else_of_it(
    tenancy: Tenancy, product: Product
) -> None:
    tenancy.start("operator")
    tenancy.cluster.apply(manifests.agent())
    stable = product.until_stable()
    assert served(product, "u")
    user = f"penstock-penstock.{tenancy.namespace}"
    assert user in tenancy.users()
    assert user in tenancy.connected()
    secret = tenancy.secret()
    assert secret
    assert secret.keys() == {"url"}
    password = secret["url"].split(":")[2].split("@")[0]
    kinds = "deployments,replicasets,pods,configmaps,controllerrevisions,agents,events"
    assert password not in json.dumps(tenancy.cluster.get(kinds))
    with Redis.from_url(secret["url"], driver_info=None, protocol=2) as client:
        own = f"{{{tenancy.namespace}/support}}:route"
        assert client.execute_command("HGET", own, "uid")
        for command in (("HGET", "{other/support}:route", "uid"), ("KEYS", "*"), ("FLUSHALL",)):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)
    deployment = tenancy.cluster.get("deployment", stable)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    told = next(item for item in container["env"] if item["name"] == "PENSTOCK_REDIS_URL")
    assert told["valueFrom"]["secretKeyRef"] == {"name": "penstock-redis-user", "key": "url"}


def test_a_redis_that_forgot_its_users_has_them_again_and_no_worker_dies_of_it(
    tenancy: Tenancy, product: Product
) -> None:
    tenancy.start("operator")
    tenancy.cluster.apply(manifests.agent())
    stable = product.until_stable()
    workers = product.worker_pids(stable)
    user = f"penstock-penstock.{tenancy.namespace}"
    tenancy.redis.execute_command("ACL DELUSER", user)
    assert user not in tenancy.users()
    product.until("the user is there again", lambda: user in tenancy.users(), 20)
    assert served(product, "first")
    product.stop("redis", kill=True)
    product.start("redis")
    product.until("the user is there again", lambda: user in tenancy.users(), 30)
    product.until("a task ends", lambda: served(product, "second"), 60)
    assert product.worker_pids(stable) == workers


def test_another_key_gives_other_passwords_and_rolls_the_workers_without_a_gap(
    tenancy: Tenancy, product: Product
) -> None:
    first = tenancy.start("first")
    tenancy.cluster.apply(manifests.agent())
    stable = product.until_stable()
    before = tenancy.secret()
    workers = product.worker_pids(stable)
    first.kill()
    with product.live_traffic(5) as load:
        tenancy.start("second", "another key of the installation for tests")
        product.until("the Secret follows", lambda: tenancy.secret() != before)
        product.until(
            "all workers are new ones",
            lambda: (now := product.worker_pids(stable)) and not set(now) & set(workers),
            90,
        )
        product.until("a new one serves", lambda: served(product, "after"), 60)
    product.until_all_ended(load)
    assert load.refused.total() == 0, load.refused
    assert product.agent()["stableRevision"] == stable
    assert before
    with Redis.from_url(before["url"], driver_info=None) as former:
        assert former.ping(), "the former password is valid until all workers were rolled"


def test_a_secret_that_cannot_be_written_is_told_with_the_reason(
    environment: embedded.Environment, tenancy: Tenancy
) -> None:
    assert environment.kubectl
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/secrets": "0"}},
    }
    tenancy.cluster.apply(quota)
    tenancy.cluster.until(
        "the quota counts",
        lambda: "hard" in (tenancy.cluster.get("resourcequota", "none") or {}).get("status", {}),
    )
    tenancy.start("operator")
    tenancy.cluster.apply(manifests.agent())
    message = tenancy.cluster.until_condition("agent/support", "RedisUserMissing", "True")
    assert "exceeded quota" in message
    tenancy.cluster.until_condition("agent/support", "Stalled", "True", "RedisUserMissing")
    tenancy.cluster.kubectl("delete", "resourcequota", "none")
    tenancy.cluster.until_condition("agent/support", "Ready", "True", "Serving")
    assert tenancy.cluster.condition("agent/support", "RedisUserMissing") == ("", "", "")
