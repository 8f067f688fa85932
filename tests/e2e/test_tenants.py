"""What a worker of one namespace can do in Redis: nothing in another namespace."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest

from tests.e2e.site import Site, Tenant
from tests.integration.acceptance import manifests

ASKED = """
import json, os, sys
import redis
client = redis.Redis.from_url(os.environ["PENSTOCK_REDIS_URL"], decode_responses=True)
said = {}
for command in json.load(sys.stdin):
    try:
        said[" ".join(command)] = "done: " + repr(client.execute_command(*command))
    except redis.RedisError as error:
        said[" ".join(command)] = "refused: " + str(error)
print(json.dumps(said))
"""


def in_redis(tenant: Tenant, *commands: tuple[str, ...]) -> dict[str, str]:
    """What Redis answers to commands sent from inside a worker's pod, with its credentials."""
    found = tenant.cluster.get("pods", "-l", "penstock.dev/agent=support")
    pod = found["items"][0]["metadata"]["name"]
    said = tenant.cluster.kubectl(
        "exec", "-i", pod, "--", "python", "-c", ASKED, stdin=json.dumps(commands)
    )
    answers: dict[str, str] = json.loads(said)
    return answers


@pytest.mark.timeout(240)
def test_a_worker_reaches_its_own_keys_and_no_others(tenant: Tenant, site: Site) -> None:
    tenant.cluster.apply(manifests.agent("v1"))
    tenant.until_stable()
    assert tenant.ask("support", "alice").status_code == 200
    own = ("HGETALL", f"{{{tenant.namespace}/support}}:route")
    others = "{default/hello}:route"
    answers = in_redis(
        tenant, own, ("HGETALL", others), ("HSET", others, "percent", "100"), ("DEL", others),
        ("KEYS", "*"), ("ACL", "WHOAMI"), ("CONFIG", "GET", "*"), ("FLUSHALL",),
        ("SUBSCRIBE", "{default/hello}:news"), ("EVAL", "return redis.call('GET', KEYS[1])", "1",
        others),
    )  # fmt: skip
    print(json.dumps(answers, indent=1))
    mine = answers.pop(" ".join(own))
    assert mine.startswith("done: "), mine
    assert all(said.startswith("refused: ") for said in answers.values()), answers


def test_the_redis_secret_of_a_namespace_holds_only_its_own_user(
    tenant: Tenant, site: Site
) -> None:
    tenant.cluster.apply(manifests.agent("v1"))
    tenant.until_stable()
    secret = tenant.cluster.get("secret", "penstock-redis-user")
    assert set(secret["data"]) <= {"url", "ca.crt"}
    theirs = site.within("default").get("secret", "penstock-redis-user")
    found = [base64.b64decode(one["data"]["url"]).decode() for one in (secret, theirs)]
    users = [urllib.parse.urlsplit(url).username for url in found]
    assert users == [f"penstock-penstock.{place}" for place in (tenant.namespace, "default")]
