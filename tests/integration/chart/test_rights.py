"""What is rendered is taken by a real API server, and each account may do what the page says."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.integration.chart.charts import CHART, ROOT, Document, Helm, of_kind, pod_templates
from tests.integration.chart.rules import rights_of

_EVERYBODY = {
    "selfsubjectreviews.authentication.k8s.io",
    "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io",
}
_FULL = {
    "demo": {"enabled": True},
    "gateway": {
        "service": {"type": "NodePort"},
        "autoscaling": {"enabled": True},
        "ingress": {"enabled": True, "hosts": ["agents.example.com"]},
    },
    "monitoring": {"dashboard": {"enabled": True}},
    "networkPolicy": {"egress": True, "workerNamespaces": ["default"]},
}


@pytest.fixture(scope="module")
def place(administrator: Callable[..., str]) -> Iterator[str]:
    """A namespace that refuses what is not restricted, and warns of it."""
    name = "chart-test"
    administrator("create", "namespace", name)
    labels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
    administrator("label", "namespace", name, *labels)
    yield name
    administrator("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize(
    "values",
    [
        {},
        _FULL,
        {"watchNamespaces": ["default"], "redis": {"bundled": False, "existingSecret": "mine"}},
    ],
    ids=["defaults", "everything", "namespaces and an external Redis"],
)
def test_the_api_server_takes_all_that_is_rendered_without_a_warning(
    helm: Helm, administrator: Callable[..., str], place: str, values: Document
):
    documents = helm.render({"fullnameOverride": "chart-test", **values}, namespace=place)
    said = administrator(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin=yaml.safe_dump_all(documents),
    )
    assert said.count("serverside-applied (server dry run)") == len(documents), said
    assert "Warning" not in said


def test_every_pod_is_restricted_limited_and_on_a_read_only_root(helm: Helm):
    pods = pod_templates(helm.render(_FULL))
    assert len(pods) == 5
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def rows(page: str) -> list[list[str]]:
    """The cells of the tables of a page."""
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page.splitlines()]


def documented(account: str, namespace: str) -> set[tuple[str, str, str]]:
    """(resource.group, name, verb) of each right on the page of permissions."""
    page = (ROOT / "docs/reference/permissions.md").read_text(encoding="utf-8")
    section = page.partition(f"## {account}\n")[2].partition("\n## ")[0]
    if namespace != "release":
        section = section.partition("In its own namespace")[0]
    found = set()
    for cells in rows(section):
        if len(cells) != 4 or cells[1] in ("resources", "---"):
            continue
        listed, _, named = cells[1].partition(" named ")
        group = "" if cells[0] == "core" else f".{cells[0]}"
        for resource in re.findall(r"`([^`]+)`", listed):
            plural, slash, sub = resource.partition("/")
            for name in re.findall(r"`([^`]+)`", named) or [""]:
                for verb in cells[2].split(", "):
                    found.add((f"{plural}{group}{slash}{sub}", name, verb))
    return found


def may(
    administrator: Callable[..., str], account: str, namespace: str
) -> set[tuple[str, str, str]]:
    """(resource.group, name, verb) of each right that the API server says an account has."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    said = administrator(
        *("create", "--validate=false", "-f", "-", "-o", "json", "--as", account),
        *("--as-group", "system:authenticated"),
        stdin=json.dumps(review),
    )
    rules = json.loads(said)["status"]["resourceRules"]
    return {right for rule in rules for right in rights_of(rule) if right[0] not in _EVERYBODY}


@pytest.fixture(scope="module")
def accounts(helm: Helm, administrator: Callable[..., str], place: str) -> Iterator[dict[str, str]]:
    """The accounts with their shipped rights, under names of the test's own."""
    shown = ("operator/rbac", "operator/serviceaccount", "gateway/rbac", "gateway/serviceaccount")
    documents = helm.render(
        {"fullnameOverride": "chart-test"},
        namespace=place,
        options=tuple(word for name in shown for word in ("-s", f"templates/{name}.yaml")),
    )
    assert len(of_kind(documents, "ServiceAccount")) == 2
    shipped = yaml.safe_dump_all(documents)
    administrator("apply", "-f", "-", stdin=shipped)
    yield {
        name: f"system:serviceaccount:{place}:chart-test-{name.lower()}"
        for name in ("Operator", "Gateway")
    }
    administrator("delete", "-f", "-", stdin=shipped)


@pytest.mark.parametrize("account", ["Operator", "Gateway"])
@pytest.mark.parametrize("where", ["release", "elsewhere"])
def test_an_account_may_do_what_the_page_of_permissions_says_and_nothing_else(
    administrator: Callable[..., str],
    accounts: dict[str, str],
    place: str,
    account: str,
    where: str,
):
    namespace = place if where == "release" else "default"
    wanted = {
        (resource, name.replace("penstock-operator", "chart-test-operator"), verb)
        for resource, name, verb in documented(account, where)
    }
    assert wanted
    assert may(administrator, accounts[account], namespace) == wanted


def test_workers_have_no_account_and_pods_no_token_they_do_not_need(helm: Helm):
    documents = helm.render(_FULL)
    names = {one["metadata"]["name"] for one in of_kind(documents, "ServiceAccount")}
    assert names == {"penstock-operator", "penstock-gateway", "penstock-caller"}
    for pod in pod_templates(documents):
        account = pod.get("serviceAccountName", "")
        assert account in ("penstock-operator", "penstock-gateway") or (
            pod["automountServiceAccountToken"] is False
        )


def test_both_charts_pass_lint(helm: Helm):
    for chart in (CHART, CHART.with_name("penstock-crds")):
        assert "0 chart(s) failed" in helm("lint", "--strict", str(chart))
