"""The chart's own files agree: values with their schema, rights with what the operator ships, alerts with metrics."""

from __future__ import annotations

import json
import re
import sys
from datetime import date, timedelta

import pytest
import yaml

METRIC = re.compile(r"\bpenstock_[a-z_]+\b")
SUFFIXES = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def chart(root):
    sys.path.insert(0, str(root / "tools"))
    import chart

    return chart


@pytest.fixture(scope="module")
def folder(root):
    return root / "charts" / "penstock"


@pytest.fixture(scope="module")
def schema(folder):
    return json.loads((folder / "values.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rules(folder):
    """Every rule the chart grants, by the file it stands in."""
    files = ("operator-rules.yaml", "access-rules.yaml")
    texts = [(folder / "files" / name).read_text(encoding="utf-8") for name in files]
    return [rule for text in texts for block in yaml.safe_load(text).values() for rule in block]


def test_the_chart_takes_no_day_that_the_operator_would_not_read(schema):
    since = schema["definitions"]["ownPrice"]["properties"]["prices"]["items"]["properties"]["from"]
    for text in (
        "2027-02-30",
        "2027-04-31",
        "2027-13-01",
        "2027-00-10",
        "2027-01-00",
        "0000-01-01",
    ):
        assert not re.search(since["pattern"], text), text
    day = date(2027, 12, 31)
    for _ in range(500):
        assert re.search(since["pattern"], day.isoformat()), day
        day += timedelta(days=1)


def leaves(values, path=()):
    """The paths of all values that are no block of the chart's own with more below it."""
    if isinstance(values, dict) and values and path[-1:] != ("resources",):
        for key, value in values.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def settable(schema, block, path=()):
    """The paths of everything the schema knows by name, references followed."""
    if "$ref" in block:
        block = schema["definitions"][block["$ref"].rpartition("/")[2]]
    if "properties" in block and path[-1:] != ("resources",):
        for key, part in block["properties"].items():
            yield from settable(schema, part, (*path, key))
    else:
        yield path


def test_each_value_has_a_comment_that_documents_it(chart, folder, root):
    values = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))
    documented = {value.path for value in chart.values(root)}
    undocumented = [
        path
        for path in leaves(values)
        if not any(path[: len(known)] == known for known in documented)
    ]
    assert len(documented) > 90
    assert not undocumented


def test_the_schema_knows_what_can_be_set_and_nothing_else(chart, schema, root):
    documented = {value.path for value in chart.values(root)}
    assert documented == set(settable(schema, schema)) - {("global",), ("enabled",)}


def test_no_block_of_the_schema_takes_a_value_it_does_not_know(schema):
    def open_blocks(block, path):
        if not isinstance(block, dict):
            return
        condition = {"if", "then", "else", "anyOf"} & set(path)
        if (
            "properties" in block
            and not condition
            and block.get("additionalProperties") is not False
        ):
            yield path
        for key, part in block.items():
            yield from open_blocks(part, (*path, key))

    assert not list(open_blocks(schema, ()))


def test_the_chart_grants_the_operator_what_the_operator_ships(chart, folder, root):
    granted = yaml.safe_load((folder / "files/operator-rules.yaml").read_text(encoding="utf-8"))
    assert granted == chart.operator_rules(root)
    assert granted["agents"]
    assert granted["release"]


def test_no_rule_grants_everything(rules):
    assert len(rules) > 12
    words = [word for rule in rules for part in rule.values() for word in part]
    assert "*" not in words


def test_nobody_reads_secrets(rules):
    on_secrets = [rule for rule in rules if "secrets" in rule["resources"]]
    assert on_secrets
    for rule in on_secrets:
        assert rule["resourceNames"] == ["penstock-redis-user"]
        assert not {"get", "list", "watch"} & set(rule["verbs"])


def test_each_rule_says_why(chart, folder, root):
    for file in (root / chart.RULES, root / chart.ACCESS):
        reasons = chart.reasons(file.read_text(encoding="utf-8"))
        assert reasons
        assert all(reasons), reasons


@pytest.fixture(scope="module")
def metrics(root):
    """Every metric there is, with what a histogram adds."""
    page = (root / "docs/reference/metrics.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^\| `(penstock_\w+)`", page, re.MULTILINE))
    return names | {name + suffix for name in names for suffix in SUFFIXES}


@pytest.mark.parametrize("file", ["alerts.yaml", "dashboard.json"])
def test_alerts_and_dashboard_ask_for_metrics_that_exist(folder, metrics, file):
    asked = set(METRIC.findall((folder / "files" / file).read_text(encoding="utf-8")))
    assert len(asked) > 8
    assert not asked - metrics


def test_each_alert_has_a_runbook(folder, root):
    alerts = yaml.safe_load((folder / "files/alerts.yaml").read_text(encoding="utf-8"))
    page = (root / "docs/operating/runbooks.md").read_text(encoding="utf-8")
    headings = {line.lstrip("# ").strip() for line in page.splitlines() if line.startswith("#")}
    assert alerts
    assert not {alert["alert"] for alert in alerts} - headings


def test_versions_of_chart_and_product_are_one(folder, root):
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE).group(1)
    for name in ("penstock", "penstock-crds"):
        about = yaml.safe_load((folder.parent / name / "Chart.yaml").read_text(encoding="utf-8"))
        assert about["appVersion"] == version


@pytest.fixture(scope="module")
def probe(folder):
    """What asks the bundled Redis whether it is alive, and the line that makes the user it asks as."""
    asked = (folder / "templates/redis/statefulset.yaml").read_text(encoding="utf-8")
    (command,) = re.findall(r"redis-cli .* ping\b", asked)
    (user,) = re.findall(r"--user (\S+)", command)
    users = (folder / "templates/redis/secret.yaml").read_text(encoding="utf-8")
    (line,) = re.findall(rf"^user {user} .*$", users, re.MULTILINE)
    return command, line


@pytest.mark.parametrize("page", ["production.md", "gitops.md"])
def test_the_user_of_redis_own_probes_is_told_to_whom_writes_the_users(probe, root, page):
    _command, line = probe
    assert line in (root / "docs/operating" / page).read_text(encoding="utf-8")


def test_the_runbook_asks_redis_as_its_probes_do(probe, root):
    command, _line = probe
    page = (root / "docs/operating/runbooks.md").read_text(encoding="utf-8")
    assert re.findall(r"redis-cli .* ping\b", page) == [command]


@pytest.fixture(scope="module")
def alerts(folder):
    """What each alert asks, by its name."""
    found = yaml.safe_load((folder / "files/alerts.yaml").read_text(encoding="utf-8"))
    return {alert["alert"]: " ".join(alert["expr"].split()) for alert in found}


def test_the_runbook_names_metrics_that_exist_and_has_a_section_for_each_alert(
    alerts, metrics, root
):
    page = (root / "docs/operating/runbooks.md").read_text(encoding="utf-8")
    asked = set(METRIC.findall(page))
    assert len(asked) > 3
    assert asked <= metrics
    sections = re.findall(r"^## (Penstock\w+)$", page, re.MULTILINE)
    assert sections == list(alerts)


def test_who_chooses_a_namespace_on_the_dashboard_sees_that_namespace(folder):
    """Labels of Agents survive the scrape, and each panel about Agents asks for the chosen ones."""
    monitors = (folder / "templates/monitoring/podmonitors.yaml").read_text(encoding="utf-8")
    assert monitors.count("path: /metrics") == monitors.count("honorLabels: true") == 2
    board = json.loads((folder / "files/dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    of_agents = [e for e in asked if not re.search(r"penstock_(gateway|operator|redis)_", e)]
    assert len(of_agents) > 12
    for expression in of_agents:
        assert 'namespace=~"$namespace", agent=~"$agent"' in expression
    chosen = [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    assert all("penstock_agent_suspended" in query for query in chosen)  # each Agent has it


def test_a_standby_that_lists_hides_no_leader_that_does_not(alerts):
    assert alerts["PenstockOperatorBlind"].endswith(" > 300 and penstock_leader == 1")
    assert "max(" not in alerts["PenstockOperatorBlind"]


def test_it_rings_at_seventy_percent_of_a_limit_and_never_without_one(alerts):
    asked = alerts["PenstockRedisMemory"]
    assert "used_bytes / (penstock_redis_memory_limit_bytes > 0)" in asked  # no limit: no series
    assert asked.endswith(" > 0.7")


def test_it_rings_when_operators_run_and_none_leads(alerts):
    assert "max by (namespace, job) (penstock_leader) == 0" in alerts.values()
