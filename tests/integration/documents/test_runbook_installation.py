"""The runbook's sections on operator, gateway and Redis: its commands typed while it is so, and what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis
import yaml

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.chart import charts
from tests.integration.cluster import Cluster
from tests.integration.documents import stand_ins
from tests.integration.documents.conftest import ROLLOUT, Follow
from tests.integration.documents.typist import Section
from tests.integration.election.operators import STEADY, Operators

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]


def line_of(said: str, *words: str) -> str:
    """The first line that has all these words."""
    found = [line for line in said.splitlines() if all(word in line for word in words)]
    assert found, f"no line has {words}: {said}"
    return found[0]


def refusals(product: Product, problem: str) -> float:
    """How often the gateway has refused for this reason."""
    page = httpx.get(f"{product.environment.gateway_url}/metrics", timeout=30, trust_env=False).text
    found = re.findall(
        rf'^penstock_gateway_refusals_total{{[^}}]*problem="{problem}".*}} (\S+)$',
        page,
        re.MULTILINE,
    )
    return sum(map(float, found))


# ---------------------------------------------------------------------------------- the operator


def test_whatever_rings_its_first_commands_show_pods_agents_warnings_and_the_operator_s_log(
    product: Product, installation: Cluster, runbook: Follow
) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(manifests.PARKED, name=ROLLOUT))
    stable = product.until_stable()
    product.cluster.apply(manifests.agent("v2"))
    canary = product.until_canary(stable, ROLLOUT)
    product.request("abort", canary, ROLLOUT)
    product.until_verdict(canary, ROLLOUT)
    with runbook("Runbooks") as section:
        pods = section.type("get pods")
        for part in ("operator", "gateway", "redis"):
            assert "Running" in line_of(pods, f"penstock-{part}-")
        agents = section.type("get agents,agentrollouts")
        assert "Serving" in line_of(agents, product.namespace, "agent.penstock.dev/support")
        assert "RolledBack" in line_of(agents, product.namespace, "agentrollout.penstock.dev")
        warnings = section.type("type=Warning")
        assert canary in line_of(warnings, product.namespace, "RolledBack", "Retry: kubectl")
        log = section.type("logs")
        assert log.startswith("[pod/penstock-operator-")
        assert section.type("agentRef").strip() == ROLLOUT
        assert not section.type("agentRef", NAME="another").strip()


def test_an_operator_that_does_not_start_is_found_with_its_last_words(
    installation: Cluster, rendered: list[charts.Document], runbook: Follow
) -> None:
    owner = charts.named(rendered, "Deployment", "penstock-operator")
    words = "PENSTOCK_REDIS_URL: the Secret penstock-redis has no key url"
    installation.apply(stand_ins.ending(owner, words))
    label = ("-l", "app.kubernetes.io/component=operator")

    def crashed() -> bool:
        pods = installation.get("pods", *label)["items"]
        told = [one for pod in pods for one in pod["status"].get("containerStatuses", ())]
        return len(told) == 1 and told[0]["restartCount"] >= 1

    installation.until("the only pod has crashed", crashed)
    with runbook("PenstockOperatorDown") as section:
        assert "0/1" in line_of(section.type("get deployment"), "deployment.apps/")
        assert re.search(r"Exit Code:\s+1", section.type("describe"))
        assert words in section.type("--previous")


LEADER = "penstock-operator-leads"


@pytest.fixture
def elected(product: Product, namespace: str, tmp_path: Path) -> Iterator[None]:
    """An operator of that name leads by the release's Lease; it watches the test's namespace alone."""
    operators = Operators(product.environment, namespace, tmp_path)
    operators.delete_lease()  # nobody waits until that of a test before expires
    one = operators.start(LEADER, STEADY)
    try:
        product.until("it leads", one.leads)
        yield
    finally:
        one.kill()


def look_at_the_lease(section: Section, right: str) -> None:
    """The Lease, whether the operator's account may do what it must, and its log."""
    lease = yaml.safe_load(section.type("penstock-system -o yaml"))
    assert lease["spec"]["holderIdentity"].startswith(LEADER)
    assert lease["spec"]["renewTime"]
    assert section.type(f"can-i {right}").strip() == "yes"
    assert section.type("--since=10m").startswith("[pod/penstock-operator-")


@pytest.mark.usefixtures("elected", "installation")
def test_who_holds_the_lease_and_whether_it_may_is_shown(runbook: Follow) -> None:
    with runbook("PenstockOperatorLeaderless") as section:
        look_at_the_lease(section, "update leases")


@pytest.mark.usefixtures("elected")
def test_the_pod_of_the_leader_is_found_by_the_lease_and_deleted(
    installation: Cluster, runbook: Follow
) -> None:
    installation.apply(stand_ins.alone(LEADER))
    with runbook("PenstockOperatorBlind") as section:
        look_at_the_lease(section, "list agents")
        assert LEADER in section.type("delete pod")
    installation.until("it is gone", lambda: installation.get("pod", LEADER) is None)


def test_passes_that_fail_are_told_by_the_log_and_by_the_agent_in_the_same_words(
    product: Product, installation: Cluster, runbook: Follow
) -> None:
    product.cluster.apply({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"count/deployments.apps": "0"}},
    })  # fmt: skip
    product.cluster.until(
        "the quota is counted",
        lambda: product.cluster.get("resourcequota", "none")["status"].get("used"),
    )
    product.cluster.apply(manifests.agent())
    product.cluster.until_condition("agent/support", "Stalled", "True")
    with runbook("PenstockOperatorRetries") as section:
        told = line_of(section.type("jsonpath"), f"{product.namespace}/support ")
        assert "exceeded quota: none" in told
        product.until(
            "the log has it, too",
            lambda: any(
                "exceeded quota" in line and product.namespace in line
                for line in section.type("logs").splitlines()
            ),
        )


def test_what_the_operator_may_is_listed(
    product: Product, installation: Cluster, runbook: Follow
) -> None:
    with runbook("PenstockOperatorForbidden") as section:
        assert "agents.penstock.dev" in section.type("--list")
        kinds = {one["kind"] for one in yaml.safe_load(section.type("clusterrole,"))["items"]}
        assert kinds == {"ClusterRole", "ClusterRoleBinding"}


def test_agents_are_listed_without_a_head(product: Product, runbook: Follow) -> None:
    product.cluster.apply(manifests.agent())
    product.until_stable()
    with runbook("PenstockOperatorBacklog") as section:
        said = section.type("--no-headers")
        assert line_of(said, product.namespace, "support")
        assert "NAMESPACE" not in said


# ------------------------------------------------------------------------------- gateway and Redis


def test_a_gateway_is_found_with_its_endpoints_and_its_log(
    product: Product, installation: Cluster, runbook: Follow
) -> None:
    with runbook("PenstockGatewayDown") as section:
        found = section.type("get deployment")
        for kind in ("deployment.apps/", "pod/"):  # no controller makes EndpointSlices here
            assert line_of(found, f"{kind}penstock-gateway")
        assert "the gateway listens" in section.type("logs")
    # Its words are seen by tests/integration/gateway/test_webhooks.py.
    with runbook("PenstockWebhookWaits") as section:
        assert "[pod/penstock-gateway-" in section.type("logs")


def test_answers_of_a_suspended_agent_say_why_and_so_do_metric_and_status(
    product: Product, installation: Cluster, runbook: Follow
) -> None:
    product.cluster.apply(manifests.agent(spec={"suspended": True}))
    product.until("it refuses", lambda: product.ask("ana").json()["type"].endswith("suspended"))
    assert refusals(product, "agent-suspended") >= 1
    with runbook("PenstockGatewayErrors") as section:
        product.until(  # the route comes first
            "the Agent says so",
            lambda: "Suspended" in line_of(section.type("get agents"), product.namespace),
        )
        assert "[pod/penstock-gateway-" in section.type("logs")


def test_while_redis_is_away_callers_hear_so_and_what_was_accepted_waits(
    product: Product, installation: Cluster, runbook: Follow
) -> None:
    product.cluster.apply(manifests.agent("Slowly.", latencyMs=8000))
    product.until_stable()
    waiting = product.ask("ana").json()["id"]
    product.stop("redis")
    try:
        refused = product.until(
            "it refuses", lambda: (said := product.ask("bob")).status_code == 503 and said
        )
        assert refused.json()["type"].endswith("store-unavailable")
        url = f"{product.environment.operator_url}/metrics"
        metrics = lambda: httpx.get(url, timeout=30, trust_env=False).text
        product.until("the metric says so", lambda: "\npenstock_redis_up 0.0" in metrics())
        with runbook("PenstockStoreUnavailable") as section:
            assert line_of(section.type("get pods"), "penstock-redis-0")
            product.until(
                "its last words",
                lambda: "Redis is now ready to exit" in section.type("logs"),
            )
    finally:
        product.start("redis")
    product.until("it accepts", lambda: product.ask("bob").status_code == 202)
    product.until(
        "what was accepted has ended", lambda: product.read(waiting)["status"] == "Succeeded", 120
    )


def test_a_full_redis_refuses_everything_and_a_bound_of_the_queue_or_more_memory_helps(
    product: Product, installation: Cluster, runbook: Follow
) -> None:
    slow = {"worker": {"concurrency": 1}, "scaling": {"maxReplicas": 1}}
    product.cluster.apply(manifests.agent("Slowly.", spec=slow, latencyMs=60_000))
    product.until_stable()
    product.crowd([f"user-{number}" for number in range(5)])
    with redis.Redis.from_url(product.environment.redis_url) as server:
        server.config_set("maxmemory", server.info("memory")["used_memory"] // 2)
        try:
            product.until(
                "callers hear 503", lambda: product.ask("late").json()["type"].endswith("full")
            )
        finally:
            server.config_set("maxmemory", "0")  # as it runs
    assert product.ask("late").status_code == 202
    with runbook("PenstockRedisMemory") as section:
        product.until(
            "the column shows the queue",
            lambda: int(line_of(section.type("get agents"), product.namespace).split()[-3]) >= 1,
        )
        assert line_of(section.type("get pods"), "penstock-redis-0", "Running")
        limited = section.type("maxQueuedTasks")
        assert "patched" in limited
    product.cluster.kubectl(
        "patch", "agent", "support", "--type=merge",
        "-p", '{"spec":{"scaling":{"maxQueuedTasks":1}}}',
    )  # fmt: skip
    full = product.until(
        "callers of this agent are refused",
        lambda: (said := product.ask("x")).status_code == 503 and said,
    )
    assert full.json()["type"].endswith("queue-full")
    assert int(full.headers["retry-after"]) > 0
