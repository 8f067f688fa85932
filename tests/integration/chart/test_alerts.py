"""The chart's alerts, by promtool, on what the product itself shows: each rings in its case, and no other does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from penstock_dev.kind import programs
from penstock_operator.reconcile import waiting
from tests.integration.chart.charts import MONITORING, NAMESPACE, ROOT, Document, Helm, of_kind
from tests.integration.chart.plant import SCRAPE_SECONDS, Samples
from tests.integration.chart.stories import STORIES

_METRIC: Final = re.compile(r"\bpenstock_[a-z_]+\b")
_STALE: Final = "stale"

pytestmark = pytest.mark.timeout(600)  # all stories are played for the first test

Played = dict[str, list[dict[str, Samples]]]


@pytest.fixture(scope="module")
def rendered(helm: Helm) -> list[Document]:
    return helm.render(options=tuple(f"--api-versions={kind}" for kind in MONITORING))


@pytest.fixture(scope="module")
def groups(rendered: list[Document]) -> dict[str, Any]:
    (rule,) = of_kind(rendered, "PrometheusRule")
    return {"groups": rule["spec"]["groups"]}


@pytest.fixture(scope="module")
def honoured(rendered: list[Document]) -> dict[str, bool]:
    """Whether what a target says of itself wins, by the last part of the PodMonitor's name."""
    return {
        monitor["metadata"]["name"].rpartition("-")[2]: all(
            endpoint.get("honorLabels") for endpoint in monitor["spec"]["podMetricsEndpoints"]
        )
        for monitor in of_kind(rendered, "PodMonitor")
    }


@pytest.fixture(scope="module")
def played() -> Played:
    """What was scraped in every story; in a process of its own, whose measures nobody else uses."""
    command = [sys.executable, "-m", "tests.integration.chart.stories"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: Played = json.loads(done.stdout)
    return found


@pytest.fixture
def rung(tmp_path: Path, groups: dict[str, Any]) -> Callable[..., None]:
    """Asserts that these alerts, and no others, rang at some moment of a sequence of scrapes."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(groups), encoding="utf-8")

    def assert_rung(series: dict[str, list[str]], scrapes: int, rings: dict[str, str]) -> None:
        minutes = scrapes * SCRAPE_SECONDS / 60
        asked = f'ALERTS{{alertstate="firing"}}[{int(minutes) + 1}m]'
        case = {
            "interval": f"{SCRAPE_SECONDS:.0f}s",
            "input_series": [{"series": k, "values": " ".join(v)} for k, v in series.items()],
            "promql_expr_test": [
                {
                    "expr": _rung_at_some_moment(asked),
                    "eval_time": f"{int(scrapes * SCRAPE_SECONDS)}s",
                    "exp_samples": [{"labels": _ring(*ring), "value": 1} for ring in rings.items()],
                }
            ],
        }
        test = tmp_path / "test.yaml"
        content = {"rule_files": [str(rules)], "evaluation_interval": "30s", "tests": [case]}
        test.write_text(yaml.safe_dump(content), encoding="utf-8")
        command = [str(programs.promtool()), "test", "rules", str(test)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return assert_rung


def _rung_at_some_moment(asked: str) -> str:
    """The alerts, and namespace/agent where an alert names an agent."""
    joined = f'label_join(max_over_time({asked}), "where", "/", "namespace", "agent")'
    return f'group by (alertname, where) (label_replace({joined}, "where", "", "where", ".*/"))'


def _ring(alert: str, agent: str) -> str:
    labels = {"alertname": alert} | ({"where": f"acme/{agent}"} if agent else {})
    return "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def _series(
    scrapes: list[dict[str, Samples]], asked: set[str], honoured: dict[str, bool]
) -> dict[str, list[str]]:
    """Each series with its value at each scrape, labelled as Prometheus labels it."""
    found: dict[str, list[str]] = {}
    for at, scrape in enumerate(scrapes):
        seen = {
            _named(name, labels, target, honoured): value
            for target, samples in scrape.items()
            for name, labels, value in samples
            if name in asked
        }
        for name, values in found.items():
            if name not in seen:
                values.append("_" if values[-1] in ("_", _STALE) else _STALE)
        for name, value in seen.items():
            found.setdefault(name, ["_"] * at).append(str(value))
    return found


def _named(name: str, own: dict[str, str], target: str, honoured: dict[str, bool]) -> str:
    component = target.partition("-")[0]
    monitor = "workers" if component == "worker" else component
    place = {"namespace": NAMESPACE if component != "worker" else "acme"}
    place |= {"pod": target, "job": f"{NAMESPACE}/penstock-{monitor}"}
    clash = {} if honoured[monitor] else {f"exported_{k}": own[k] for k in own.keys() & place}
    labels = {**place, **own} if honoured[monitor] else {**own, **place, **clash}
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


@pytest.mark.parametrize("name", STORIES)
def test_what_happens_rings_its_alert_and_no_other(
    name: str,
    played: Played,
    groups: dict[str, Any],
    honoured: dict[str, bool],
    rung: Callable[..., None],
) -> None:
    asked = set(_METRIC.findall(json.dumps(groups)))
    series = _series(played[name], asked, honoured)
    rung(series, len(played[name]), STORIES[name].rings)


def test_every_alert_has_a_case(groups: dict[str, Any]) -> None:
    alerts = {rule["alert"] for group in groups["groups"] for rule in group["rules"]}
    assert alerts == {alert for story in STORIES.values() for alert in story.rings}
    assert sum(not story.rings for story in STORIES.values()) > 8


def test_whatever_waits_for_a_person_s_word_rings_in_the_end(groups: dict[str, Any]) -> None:
    rules = {rule["alert"]: rule for group in groups["groups"] for rule in group["rules"]}
    told = re.search(r'reason=~"([^"]+)"', rules["PenstockRolloutWaitsForPerson"]["expr"])
    assert told
    assert set(told[1].split("|")) == waiting.DECISIONS | {"RolloutMissing"}


def test_every_metric_that_an_alert_asks_for_is_shown_in_some_story(
    played: Played, groups: dict[str, Any]
) -> None:
    asked = set(_METRIC.findall(json.dumps(groups)))
    shown = {
        name
        for scrapes in played.values()
        for samples in scrapes[-1].values()
        for name, _labels, _value in samples
    }
    assert asked <= shown


def test_an_alert_has_no_link_unless_somebody_says_where_the_page_is(helm: Helm) -> None:
    options = tuple(f"--api-versions={kind}" for kind in MONITORING)
    for address, links in (("", 0), ("https://wiki.example.com/runbooks", 1)):
        values = {"monitoring": {"prometheusRule": {"runbookURL": address}}}
        (rule,) = of_kind(helm.render(values, options=options), "PrometheusRule")
        for one in rule["spec"]["groups"][0]["rules"]:
            wanted = [f"{address}#{one['alert'].lower()}"] * links
            assert [v for k, v in one["annotations"].items() if k == "runbook_url"] == wanted
