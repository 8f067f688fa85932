"""Prometheus servers of the chart reach the operator: their addresses, who may ask, the mounted credential."""

from __future__ import annotations

from pathlib import Path

from penstock_operator.external import servers
from penstock_operator.external.servers import Server
from tests.integration.chart.charts import Helm, named
from tests.integration.chart.test_values import PROMETHEUS

OPERATOR = "penstock-operator"


def test_the_operator_reads_what_the_chart_writes(helm: Helm):
    documents = helm.render({"operator": {"prometheus": PROMETHEUS}})
    pod = named(documents, "Deployment", OPERATOR)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = {one["name"]: one.get("value") for one in container["env"]}
    folder = "/etc/penstock/prometheus/main"
    assert servers.read(told["PENSTOCK_PROMETHEUS"]) == {
        "main": Server(
            url="https://prometheus.monitoring.svc:9090/base",
            namespaces=("acme",),
            namespace_label="namespace",
            credentials=Path(folder),
        ),
        "open": Server(url="http://open.monitoring.svc", namespaces=("*",)),
    }
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes[mounted[folder]]["secret"] == {"secretName": "prometheus-token"}
    assert "prometheus-open" not in volumes


def test_without_any_nothing_of_it_is_rendered(helm: Helm):
    values = {"networkPolicy": {"egress": True}}
    text = helm.text(values)
    assert "PENSTOCK_PROMETHEUS" not in text
    policy = named(helm.render(values), "NetworkPolicy", OPERATOR)
    with_one = {**values, "operator": {"prometheus": PROMETHEUS}}
    wider = named(helm.render(with_one), "NetworkPolicy", OPERATOR)
    ports = [rule for rule in wider["spec"]["egress"] if rule not in policy["spec"]["egress"]]
    assert ports == [{"ports": [{"protocol": "TCP", "port": port} for port in (9090, 443)]}]
