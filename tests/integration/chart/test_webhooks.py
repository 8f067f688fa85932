"""Webhooks of the chart reach the gateway: what it reads, its mounted Secrets, where it may send."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from penstock_runtime.gateway.settings import GatewaySettings
from tests.integration.chart.charts import ROOT, Helm, named
from tests.integration.chart.test_values import LINKS, WEBHOOKS, nested

GATEWAY = "penstock-gateway"
VALUES = nested({"gateway.webhooks": WEBHOOKS, **LINKS})


def pod(documents):
    return named(documents, "Deployment", GATEWAY)["spec"]["template"]["spec"]


def settings(documents, monkeypatch):
    """What a gateway reads in this pod."""
    (container,) = pod(documents)["containers"]
    for one in container["env"]:
        monkeypatch.setenv(one["name"], one.get("value", "redis://redis"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    return GatewaySettings()


def test_the_gateway_reads_what_the_chart_writes(helm: Helm, monkeypatch):
    documents = helm.render(VALUES)
    told = settings(documents, monkeypatch)
    assert set(told.targets) == {"ann", "jira"}
    ann = told.targets["ann"]
    assert (ann.url, ann.secret) == ("https://hooks.slack.com", Path("/etc/penstock/webhooks/ann"))
    assert (ann.approver.user, ann.approver.groups) == ("ann@example.com", ("finance",))
    assert ann.body == {"text": "${escalation.tool}: ${link.url}"}
    assert told.links.seconds == 86_400
    (container,) = pod(documents)["containers"]
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(documents)["volumes"]}
    assert volumes[mounted[str(ann.secret)]]["secret"]["secretName"] == "webhook-ann"
    assert volumes[mounted[str(told.links.secret)]]["secret"]["secretName"] == "penstock-links"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/examples/webhooks").glob("*.yaml")), ids=lambda path: path.name
)
def test_the_chart_takes_each_example(helm: Helm, monkeypatch, path):
    values = yaml.safe_load(path.read_text())
    assert list(settings(helm.render(values), monkeypatch).targets) == list(
        values["gateway"]["webhooks"]
    )


def test_without_any_nothing_of_it_is_rendered(helm: Helm):
    values = {"networkPolicy": {"egress": True}}
    text = helm.text(values)
    assert "PENSTOCK_WEBHOOKS" not in text
    assert "PENSTOCK_LINKS" not in text
    policy = named(helm.render(values), "NetworkPolicy", GATEWAY)
    wider = named(helm.render(values | VALUES), "NetworkPolicy", GATEWAY)
    ports = [rule for rule in wider["spec"]["egress"] if rule not in policy["spec"]["egress"]]
    assert ports == [{"ports": [{"protocol": "TCP", "port": 443}]}]
