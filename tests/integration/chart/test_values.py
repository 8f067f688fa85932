"""Every documented value does something, and what is not documented is refused."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.integration.chart.charts import (
    CHART,
    MONITORING,
    ROOT,
    Document,
    Helm,
    Values,
    named,
    of_kind,
)

sys.path.insert(0, str(ROOT / "tools"))
import chart

_DIGEST = "sha256:" + "0123456789abcdef" * 4

#: Everything optional is on, so that what is set below is seen.
EVERYTHING: Values = {
    "gateway.ingress.enabled": True,
    "gateway.ingress.hosts": ["agents.example.com"],
    "gateway.httpRoute.enabled": True,
    "gateway.httpRoute.parentRefs": [{"name": "front"}],
    "gateway.autoscaling.enabled": True,
    "gateway.service.type": "NodePort",
    "monitoring.dashboard.enabled": True,
    "networkPolicy.egress": True,
    "networkPolicy.workerNamespaces": ["acme"],
    "demo.enabled": True,
}
#: Values that stand somewhere in what is rendered: each is set to something that stands nowhere else.
MARKED: Values = {
    "fullnameOverride": "renamed",
    "installation": "my-installation",
    "watchNamespaces": ["watched"],
    "image.registry": "registry.example.com/penstock",
    "image.pullSecrets": [{"name": "pull"}],
    "operator.lease.durationSeconds": 31,
    "operator.lease.renewSeconds": 23,
    "operator.lease.retrySeconds": 19,
    "gateway.service.port": 8082,
    "gateway.service.nodePort": 30083,
    "gateway.service.annotations": {"a": "on-the-service"},
    "gateway.metricsPort": 9191,
    "gateway.limits.maxConnections": 3001,
    "gateway.limits.maxConnectionsPerAddress": 3003,
    "gateway.limits.streamsPerCaller": 3005,
    "gateway.limits.waitsPerCaller": 3007,
    "retention.endedTaskSeconds": 2_591_999,
    "retention.idempotencySeconds": 1_234_567,
    "retention.effectsSeconds": 7_654_321,
    "retention.evidenceSeconds": 654_321,
    "retention.evidenceRows": 7_654_323,
    "gateway.tokens.existingSecret": "my-tokens",
    "gateway.auth.kubernetes.audiences": ["my-audience"],
    "gateway.ingress.className": "my-ingress-class",
    "gateway.ingress.annotations": {"a": "on-the-ingress"},
    "gateway.ingress.hosts": ["marked.example.com"],
    "gateway.ingress.tls": [{"secretName": "my-certificate"}],
    "gateway.httpRoute.annotations": {"a": "on-the-route"},
    "gateway.httpRoute.parentRefs": [{"name": "my-front-door"}],
    "gateway.httpRoute.hostnames": ["route.example.com"],
    "gateway.autoscaling.minReplicas": 41,
    "gateway.autoscaling.maxReplicas": 43,
    "gateway.autoscaling.targetCPUUtilizationPercentage": 47,
    "model.url": "http://marked-model.example.com",
    "model.resources": {"limits": {"memory": "101Mi"}},
    "prices": {"my-model": {"prices": [{"inputPerMTok": "1", "outputPerMTok": "20261.5"}]}},
    "redis.existingSecret": "my-redis",
    "redis.image": "registry.example.com/redis:8",
    "redis.persistence.size": "103Gi",
    "redis.persistence.storageClassName": "my-storage",
    "redis.userID": 1009,
    "redis.maxmemory": "109mb",
    "redis.resources": {"limits": {"memory": "107Mi"}},
    "networkPolicy.apiServerPorts": [8443],
    "networkPolicy.workerNamespaces": ["limited"],
    "networkPolicy.workerEgress": [{"ports": [{"protocol": "TCP", "port": 9443}]}],
    "monitoring.podMonitor.interval": "53s",
    "monitoring.podMonitor.labels": {"a": "on-the-monitor"},
    "monitoring.prometheusRule.labels": {"a": "on-the-rule"},
    "monitoring.prometheusRule.runbookURL": "https://docs.example.com/runbooks",
    "monitoring.dashboard.labels": {"a": "on-the-dashboard"},
    "demo.namespace": "demonstration",
    **{
        f"{component}.image.{key}": f"{component}-{key}"
        for component in ("operator", "runtime", "model")
        for key in ("repository", "tag")
    },
    **{
        f"{component}.{key}": value
        for number, component in enumerate(("operator", "gateway"))
        for key, value in {
            "resources": {"limits": {"memory": f"{211 + number}Mi"}},
            "serviceAccount.annotations": {"a": f"on-the-{component}-account"},
            "podDisruptionBudget.maxUnavailable": f"{61 + number}%",
            "podAnnotations": {"a": f"on-the-{component}-pods"},
            "podLabels": {"team": f"{component}-team"},
            "extraEnv": [{"name": "A", "value": f"for-the-{component}"}],
            "nodeSelector": {"disk": f"{component}-disk"},
            "tolerations": [{"operator": "Exists", "key": f"{component}-taint"}],
            "affinity": {"nodeAffinity": {"a": f"{component}-affinity"}},
            "topologySpreadConstraints": [{"topologyKey": f"{component}-rack"}],
            "priorityClassName": f"{component}-priority",
        }.items()
    },
}
_NO_REDIS: Values = {"redis.bundled": False, "redis.existingSecret": "mine"}
_REPLICATED: Values = _NO_REDIS | {"redis.durability": "Replicated"}
PROMETHEUS: Values = {
    "main": {
        "url": "https://prometheus.monitoring.svc:9090/base",
        "credentialsSecret": "prometheus-token",
        "namespaces": ["acme"],
        "namespaceLabel": "namespace",
    },
    "open": {"url": "http://open.monitoring.svc", "namespaces": ["*"]},
}
WEBHOOKS: Values = {
    "ann": {
        "url": "https://hooks.slack.com",
        "secret": "webhook-ann",
        "namespaces": ["acme"],
        "agents": ["refunds"],
        "kinds": ["Asked", "Decided"],
        "approver": {"user": "ann@example.com", "groups": ["finance"]},
        "body": {"text": "${escalation.tool}: ${link.url}"},
    },
    "jira": {"url": "https://jira.example.com/x", "secret": "webhook-jira", "namespaces": ["*"]},
}
LINKS: Values = {
    "gateway.links.url": "https://agents.example.com",
    "gateway.links.secret": "penstock-links",
}
#: Values of another kind: what each is set to, and what is set with and without it.
SWITCHED: dict[str, tuple[object, Values]] = {
    "operator.prometheus": (PROMETHEUS, {}),
    "networkPolicy.prometheusPorts": (
        [9443],
        {"operator.prometheus": PROMETHEUS, "networkPolicy.egress": True},
    ),
    "gateway.webhooks": (WEBHOOKS, LINKS),
    "gateway.links.url": ("https://agents.example.com", {"gateway.links.secret": "penstock-links"}),
    "gateway.links.secret": ("other-links", LINKS),
    "gateway.links.lifetimeSeconds": (600, LINKS),
    "networkPolicy.webhookPorts": (
        [8443],
        {"gateway.webhooks": WEBHOOKS, "networkPolicy.egress": True} | LINKS,
    ),
    "nameOverride": ("agents", {}),
    "operator.replicas": (5, {}),
    "operator.logLevel": ("DEBUG", {}),
    "operator.image.digest": (_DIGEST, {}),
    "operator.image.pullPolicy": ("Always", {}),
    "operator.podDisruptionBudget.enabled": (False, {}),
    "gateway.replicas": (5, {}),
    "gateway.logLevel": ("DEBUG", {}),
    "gateway.service.type": ("NodePort", {}),
    "gateway.tokens.enabled": (False, {}),
    "gateway.auth.kubernetes.enabled": (False, {}),
    "gateway.ingress.enabled": (True, {"gateway.ingress.hosts": ["agents.example.com"]}),
    "gateway.httpRoute.enabled": (True, {"gateway.httpRoute.parentRefs": [{"name": "front"}]}),
    "gateway.autoscaling.enabled": (True, {}),
    "gateway.podDisruptionBudget.enabled": (False, {}),
    "runtime.image.digest": (_DIGEST, {}),
    "runtime.image.pullPolicy": ("Always", {}),
    "runtime.upgrade": ("OnNextRevision", {}),
    "model.image.digest": (_DIGEST, {"demo.enabled": True}),
    "model.image.pullPolicy": ("Always", {"demo.enabled": True}),
    "redis.bundled": (False, {"redis.existingSecret": "mine"}),
    "redis.tls.caSecret": ("ca", _NO_REDIS),
    "redis.users": ("Shared", _NO_REDIS),
    "redis.durability": ("Replicated", _NO_REDIS),
    "redis.replicas": (2, _REPLICATED),
    "redis.replicaTimeoutMilliseconds": (2500, _REPLICATED),
    "redis.imagePullPolicy": ("Always", {}),
    "redis.persistence.enabled": (False, {}),
    "rbac.aggregate": (False, {}),
    "admissionPolicy.enabled": (False, {}),
    "admissionPolicy.actions": (["Warn", "Audit"], {}),
    "networkPolicy.enabled": (False, {}),
    "networkPolicy.egress": (True, {}),
    "networkPolicy.redisPorts": ([16379], _NO_REDIS | {"networkPolicy.egress": True}),
    "monitoring.podMonitor.enabled": (False, {}),
    "monitoring.prometheusRule.enabled": (False, {}),
    "monitoring.dashboard.enabled": (True, {}),
    "demo.enabled": (True, {}),
}


def nested(flat: Values) -> Values:
    """Values by dotted paths as the tree that Helm takes."""
    tree: Values = {}
    for path, value in flat.items():
        *parents, last = path.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return tree


def rendered(helm: Helm, flat: Values) -> str:
    """What is rendered, without what is drawn at random."""
    documents = helm.render(
        nested(flat), options=tuple(f"--api-versions={kind}" for kind in MONITORING)
    )
    for secret in of_kind(documents, "Secret"):
        secret["data"] = sorted(secret["data"])
    return re.sub(r'"checksum/config": "\w+"', "", json.dumps(documents))


def last_leaf(value: object) -> str:
    """The last scalar in a value, as text."""
    match value:
        case dict():
            return last_leaf(list(value.values())[-1])
        case list():
            return last_leaf(value[-1])
    return str(value)


@pytest.fixture(scope="module")
def renderings(helm: Helm):
    """What is rendered with these values; each only once."""
    known: dict[str, str] = {}

    def look(values: Values) -> str:
        key = json.dumps(values, sort_keys=True)
        if key not in known:
            known[key] = rendered(helm, values)
        return known[key]

    return look


def test_each_documented_value_is_tried_and_each_tried_value_is_documented():
    documented = {".".join(value.path) for value in chart.values(ROOT)}
    assert documented == MARKED.keys() | SWITCHED.keys()
    assert not MARKED.keys() & SWITCHED.keys()


@pytest.mark.parametrize("path", sorted(MARKED))
def test_what_a_value_is_set_to_stands_in_what_is_rendered(renderings, path):
    mark = re.compile(rf"(?<![\w.-]){re.escape(last_leaf(MARKED[path]))}(?![\w.])")
    assert not mark.search(renderings(EVERYTHING))
    assert mark.search(renderings(EVERYTHING | MARKED))


@pytest.mark.parametrize("path", sorted(SWITCHED))
def test_a_switch_changes_what_is_rendered(renderings, path):
    value, besides = SWITCHED[path]
    assert renderings(besides | {path: value}) != renderings(besides)


@pytest.mark.parametrize(
    "typo",
    [
        {"operatr": {}},
        {"operator": {"replica": 3}},
        {"gateway": {"service": {"nodeport": 30080}}},
        {"gateway": {"auth": {"kubernetes": {"audience": ["x"]}}}},
        {"redis": {"tls": {"secret": "ca"}}},
        {"demo": {"enable": True}},
        {"monitoring": {"podmonitor": {}}},
        {"operator": {"image": {"name": "x"}}},
        {"operator": {"resources": {"limit": {}}}},
        {"retention": {"taskSeconds": 3600}},
        {"gateway": {"limits": {"connections": 1}}},
    ],
    ids=json.dumps,
)
def test_a_misspelt_value_is_refused(helm, typo):
    assert "additional properties" in helm.refusal(typo)


@pytest.mark.parametrize(
    "wrong",
    [
        {"operator": {"replicas": 0}},
        {"operator": {"replicas": "two"}},
        {"operator": {"logLevel": "Loud"}},
        {"operator": {"image": {"digest": "sha256:abc"}}},
        {"redis": {"bundled": False}},
        {"redis": {"maxmemory": "640Mi"}},
        {"redis": {"maxmemory": "0"}},
        {"networkPolicy": {"redisPorts": []}},
        {"redis": {"users": "Shared"}},
        {"redis": {"tls": {"caSecret": "ca"}}},
        {"redis": nested(_NO_REDIS)["redis"] | {"users": "Shared", "tls": {"caSecret": "ca"}}},
        {"gateway": {"ingress": {"enabled": True}}},
        {"gateway": {"httpRoute": {"enabled": True}}},
        {"gateway": {"tokens": {"enabled": False}, "auth": {"kubernetes": {"enabled": False}}}},
        {"admissionPolicy": {"actions": ["Deny", "Warn"]}},
        {"admissionPolicy": {"actions": []}},
        {"watchNamespaces": ["Not_A_Namespace"]},
        {"demo": {"namespace": ""}},
        {"redis": {"durability": "Replicated"}},
        {"redis": nested(_NO_REDIS)["redis"] | {"durability": "Always"}},
        {"redis": nested(_NO_REDIS)["redis"] | {"durability": "Replicated", "replicas": 0}},
        {"redis": {"replicaTimeoutMilliseconds": 0}},
        {"retention": {"endedTaskSeconds": 5}},
        {"retention": {"idempotencySeconds": 3600.5}},
        {"gateway": {"metricsPort": 8080}},
        {"gateway": {"metricsPort": 80}},
        {"gateway": {"limits": {"maxConnections": 0}}},
        {"gateway": {"limits": {"streamsPerCaller": "many"}}},
        {"operator": {"prometheus": {"main": {"url": "http://prometheus"}}}},
        {"operator": {"prometheus": {"main": {"url": "http://prometheus", "namespaces": []}}}},
        {"operator": {"prometheus": {"main": {"url": "ftp://prometheus", "namespaces": ["*"]}}}},
        {"operator": {"prometheus": {"main": {"url": "http://a:b@host", "namespaces": ["*"]}}}},
        {"operator": {"prometheus": {"No Name": {"url": "http://host", "namespaces": ["*"]}}}},
        {"networkPolicy": {"prometheusPorts": []}},
        {"gateway": {"webhooks": {"a": {"url": "https://hooks", "secret": "s"}}}},
        {"gateway": {"webhooks": {"a": {"url": "https://hooks", "namespaces": ["*"]}}}},
        {"gateway": {"webhooks": {"a": WEBHOOKS["jira"] | {"url": "https://hooks?key=1"}}}},
        {"gateway": {"webhooks": {"a": WEBHOOKS["jira"] | {"kinds": ["Told"]}}}},
        {"gateway": {"webhooks": {"No Name": WEBHOOKS["jira"]}}},
        {"gateway": {"links": {"lifetimeSeconds": 5}}},
        {"model": {"url": "model:8090"}},
        {"model": {"url": "https://user:password@model"}},
        {"model": {"url": "https://model?key=1"}},
    ],
    ids=json.dumps,
)
def test_values_that_cannot_work_are_refused_before_anything_is_installed(helm, wrong):
    assert "values don't meet the specifications of the schema" in helm.refusal(wrong)


# ------------------------------------------------------------------------------ the bundled Redis

REDIS = "penstock-redis"


def configured(documents: list[Document]) -> dict[str, str]:
    """What redis.conf sets."""
    text = named(documents, "ConfigMap", REDIS)["data"]["redis.conf"]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


def test_the_bundled_redis_refuses_writes_well_before_its_limit_would_kill_it(helm):
    documents = helm.render()
    found = configured(documents)
    (container,) = named(documents, "StatefulSet", REDIS)["spec"]["template"]["spec"]["containers"]
    assert found["maxmemory-policy"] == "noeviction"
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert int(found["maxmemory"].removesuffix("mb")) <= 0.7 * 1024


def released_as(version: str, folder: Path) -> Path:
    """A copy of the chart as another version of it, in which what is drawn is always the same."""
    copy = Path(shutil.copytree(CHART, folder / version))
    about = copy / "Chart.yaml"
    about.write_text(
        re.sub(r"^version: .*$", f"version: {version}", about.read_text(), flags=re.MULTILINE)
    )
    drawing = copy / "templates" / "_redis.tpl"
    drawn, always = "randAlphaNum (int (index . 3))", 'repeat (int (index . 3)) "x"'
    assert drawing.read_text().count(drawn) == 1
    fixed = drawing.read_text().replace(drawn, always)
    drawing.write_text(fixed)
    return copy


def restarted(before: list[Document], after: list[Document]) -> set[str]:
    """The components whose pods an upgrade from one rendering to the other restarts."""

    def pods(documents: list[Document]) -> dict[str, Document]:
        return {
            one["metadata"]["name"].removeprefix("penstock-"): one["spec"]["template"]
            for one in of_kind(documents, "Deployment") + of_kind(documents, "StatefulSet")
        }

    old, new = pods(before), pods(after)
    assert old.keys() == new.keys() == {"operator", "gateway", "redis"}
    return {name for name in old if old[name] != new[name]}


def test_pods_restart_for_what_is_in_their_configuration_and_for_no_version_of_the_chart(
    helm, tmp_path
):
    old, new = (released_as(version, tmp_path) for version in ("0.9.1", "0.9.2"))
    own_secret = {"redis": {"existingSecret": "mine"}}
    fuller = {"redis": {"maxmemory": "109mb"}}
    before = helm.render(chart=old)
    assert restarted(before, helm.render(chart=new)) == set()
    assert restarted(before, helm.render(fuller, chart=new)) == {"redis"}
    assert restarted(before, helm.render(own_secret, chart=new)) == {"operator", "gateway", "redis"}
    mine = helm.render(own_secret, chart=old)
    assert restarted(mine, helm.render(own_secret, chart=new)) == set()
    users = new / "files" / "redis-users.yaml"
    users.write_text(users.read_text().replace("+xlen", "+xlen +xsetid"))
    assert restarted(before, helm.render(chart=new)) == {"redis"}


# ------------------------------------------------------------------------------- limited egress


def anywhere(policy: Document) -> set[tuple[str, object]]:
    """The ports that a NetworkPolicy lets be reached at every address."""
    return {
        (port["protocol"], port["port"])
        for rule in policy["spec"]["egress"]
        if "to" not in rule
        for port in rule["ports"]
    }


@pytest.fixture(scope="module")
def policies(helm):
    """The NetworkPolicies of operator, gateway and workers with a Redis of one's own."""
    asked = {
        "egress": True,
        "workerNamespaces": ["acme"],
        "workerEgress": [],
        "redisPorts": [16379],
    }
    redis = {"bundled": False, "existingSecret": "mine"}
    found = of_kind(helm.render({"networkPolicy": asked, "redis": redis}), "NetworkPolicy")
    assert len(found) == 3
    return {one["metadata"]["name"].removeprefix("penstock-"): one for one in found}


@pytest.mark.parametrize("component", ["operator", "gateway", "workers"])
def test_dns_is_reached_in_pods_on_the_node_and_on_the_port_of_openshift(policies, component):
    dns = {(protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)}
    assert dns <= anywhere(policies[component])


@pytest.mark.parametrize("component", ["operator", "gateway", "workers"])
def test_a_redis_of_ones_own_is_reached_on_the_ports_that_are_named(policies, component):
    reached = {port for _protocol, port in anywhere(policies[component])}
    apis = set() if component == "workers" else {443, 6443}
    assert reached - {53, 5353} == apis | {16379}


# ------------------------------------------------------------ what processes are told of bounds


def environment(helm: Helm, component: str, values: Values | None = None) -> dict[str, str]:
    """What the pods of a component are told, by name."""
    found = named(helm.render(values), "Deployment", f"penstock-{component}")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value", "") for one in container["env"]}


_BOUNDS = (
    "PENSTOCK_MAX_CONNECTIONS", "PENSTOCK_MAX_CONNECTIONS_PER_ADDRESS",
    "PENSTOCK_STREAMS_PER_CALLER", "PENSTOCK_WAITS_PER_CALLER",
)  # fmt: skip


def test_a_bound_that_is_not_given_is_the_gateways_own(helm):
    assert not set(_BOUNDS) & environment(helm, "gateway").keys()
    limits = {"maxConnections": 65_536, "waitsPerCaller": 1_000_000}
    found = environment(helm, "gateway", {"gateway": {"limits": limits}})
    assert {name: found.get(name) for name in _BOUNDS} == {
        "PENSTOCK_MAX_CONNECTIONS": "65536",
        "PENSTOCK_MAX_CONNECTIONS_PER_ADDRESS": None,
        "PENSTOCK_STREAMS_PER_CALLER": None,
        "PENSTOCK_WAITS_PER_CALLER": "1000000",
    }


@pytest.mark.parametrize("component", ["operator", "gateway"])
def test_both_are_told_alike_how_long_things_are_kept_and_how_many_replicas_confirm(
    helm, component
):
    found = environment(helm, component)
    assert found["PENSTOCK_ENDED_TASK_SECONDS"] == found["PENSTOCK_IDEMPOTENCY_SECONDS"] == "3600"
    assert not [name for name in found if "REPLICA" in name]
    replicated = nested(_REPLICATED | {"redis.replicas": 2})
    found = environment(helm, component, replicated | {"retention": {"endedTaskSeconds": 2592000}})
    assert found["PENSTOCK_ENDED_TASK_SECONDS"] == "2592000"
    assert found["PENSTOCK_REDIS_REPLICAS"] == "2"
    assert found["PENSTOCK_REDIS_REPLICA_TIMEOUT_MS"] == "1000"


def test_measures_of_the_gateway_are_where_no_ingress_and_no_route_leads(helm):
    documents = helm.render(
        nested(EVERYTHING), options=tuple(f"--api-versions={kind}" for kind in MONITORING)
    )
    gateway = named(documents, "Deployment", "penstock-gateway")
    (container,) = gateway["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": 8080, "metrics": 9090}
    probes = [container[kind]["httpGet"] for kind in container if kind.endswith("Probe")]
    assert {probe["port"] for probe in probes} == {"metrics"}
    assert len(probes) == 3
    service = named(documents, "Service", "penstock-gateway")
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    monitor = named(documents, "PodMonitor", "penstock-gateway")
    assert [one["port"] for one in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]
    policy = named(documents, "NetworkPolicy", "penstock-gateway")
    reached = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert reached == {"http", "metrics"}
