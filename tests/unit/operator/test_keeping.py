"""What workers are told of how long things are kept and who must have a note of a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.api.agent import AgentSpec
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.settings import Settings
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION


def told(installation, **worker):
    """The variables of a worker of this installation."""
    agent = worlds.agent()
    agent["spec"]["template"]["worker"] = worker
    spec = AgentSpec.model_validate(agent["spec"])
    cut = manifests.revision.cut("support", agent["spec"]["template"], {}, "image")
    made = manifests.deployment(agent, spec, cut, 1, installation)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one.get("value") for one in container["env"]}


def of(**variables):
    read = Settings(**variables)
    return replace(INSTALLATION, retention=read.retention, durability=read.durability)


def test_without_figures_of_its_own_an_installation_changes_no_pod():
    plain = told(INSTALLATION)
    assert told(of()) == plain
    assert not [name for name in plain if name.endswith(("_SECONDS", "_MS", "REPLICAS"))]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ended_task_seconds": 600}, {"PENSTOCK_ENDED_TASK_SECONDS": "600"}),
        ({"idempotency_seconds": 86400}, {"PENSTOCK_IDEMPOTENCY_SECONDS": "86400"}),
        ({"effects_seconds": 86400}, {"PENSTOCK_EFFECTS_SECONDS": "86400"}),
        ({"evidence_seconds": 60}, {"PENSTOCK_EVIDENCE_SECONDS": "60"}),
        ({"evidence_rows": 600_000}, {"PENSTOCK_EVIDENCE_ROWS": "600000"}),
        (
            {"redis_replicas": 2},
            {"PENSTOCK_REDIS_REPLICAS": "2", "PENSTOCK_REDIS_REPLICA_TIMEOUT_MS": "1000"},
        ),
        (
            {"redis_replicas": 1, "redis_replica_timeout_ms": 250},
            {"PENSTOCK_REDIS_REPLICAS": "1", "PENSTOCK_REDIS_REPLICA_TIMEOUT_MS": "250"},
        ),
        ({"redis_replica_timeout_ms": 250}, {}),
    ],
)
def test_workers_are_told_what_the_installation_sets(given, expected):
    plain, found = told(INSTALLATION), told(of(**given))
    assert {name: value for name, value in found.items() if name not in plain} == expected


def test_an_agent_cannot_take_back_what_the_installation_sets():
    own = [{"name": "PENSTOCK_REDIS_REPLICAS", "value": "0"}]
    assert told(of(redis_replicas=1), env=own)["PENSTOCK_REDIS_REPLICAS"] == "1"


def test_the_environment_of_the_chart_is_read(monkeypatch):
    for name, value in {
        "PENSTOCK_ENDED_TASK_SECONDS": "600",
        "PENSTOCK_IDEMPOTENCY_SECONDS": "1200",
        "PENSTOCK_REDIS_REPLICAS": "1",
        "PENSTOCK_REDIS_REPLICA_TIMEOUT_MS": "",
    }.items():
        monkeypatch.setenv(name, value)
    found = Installation.of(Settings())
    assert (found.retention.ended_task_seconds, found.retention.idempotency_seconds) == (600, 1200)
    assert (found.durability.replicas, found.durability.timeout_ms) == (1, 1000)
