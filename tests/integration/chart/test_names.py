"""Names that Helm lets through are names that the API server takes: of releases, namespaces, overrides."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.integration.chart.charts import CHART, MONITORING, Document, Helm, Values, of_kind

LONGEST_RELEASE = 53
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
#: A label of its pods is its name, a dash and ten characters.
LONGEST_STATEFUL_SET = 52

RELEASES = [
    "penstock", "acme", "2024", "0", "1e3", "0x1f", "1.5", "my.release", "a.b.c", "true", "null", "y",
    "no", "on", "9lives", "9-", "7e7", "12_", "a" * LONGEST_RELEASE, "1" * LONGEST_RELEASE,
    "a" + "-" * 48 + "b", "a" * 46, "a" * 49 + "-b", "x.penstock", "penstock.2024", "0b1", "2024-11-28",
]  # fmt: skip
LEGAL_RELEASE = re.compile(rf"(?=.{{1,{LONGEST_RELEASE}}}$){SUBDOMAIN.pattern}")
NAMESPACES = ["penstock-system", "2024", "1e3", "null", "true", "0x10", "a" * 63]
OVERRIDES: list[Values] = [
    {},
    {"nameOverride": "agents"},
    {"nameOverride": "1.2"},
    {"nameOverride": "a" * 200},
    {"fullnameOverride": "true"},
    {"fullnameOverride": "null"},
    {"fullnameOverride": "a" * 63},
    {"fullnameOverride": "a" * 49 + "-b"},
]
EVERYTHING: Values = {
    "demo": {"enabled": True, "namespace": "1e3"},
    "watchNamespaces": ["2024", "1e3"],
    "gateway": {
        "ingress": {"enabled": True, "hosts": ["agents.example.com"], "className": "true"},
        "tokens": {"existingSecret": "1e3"},
        "priorityClassName": "1e3",
    },
    "operator": {"priorityClassName": "007"},
    "redis": {"userID": 1_000_680_000, "persistence": {"storageClassName": "1.0", "size": "8"}},
    "installation": "2024",
    "networkPolicy": {"workerNamespaces": ["2024"], "egress": True},
    "monitoring": {"dashboard": {"enabled": True}},
}


def rendered(helm: Helm, values: Values, **more: str) -> list[Document]:
    options = tuple(f"--api-versions={kind}" for kind in MONITORING)
    return helm.render(values, options=options, **more)


def texts(value: object, path: str = "") -> list[tuple[str, object]]:
    """Every value in a document that only a string can be, with its place."""
    found: list[tuple[str, object]] = []
    if isinstance(value, dict):
        for key, inner in value.items():
            place = f"{path}.{key}"
            if key in ("labels", "matchLabels", "annotations", "selector") and isinstance(
                inner, dict
            ):
                found += [
                    (f"{place}.{name}", text)
                    for name, text in inner.items()
                    if name != "matchLabels"
                ]
            if key in (
                "name",
                "namespace",
                "secretName",
                "serviceName",
                "serviceAccountName",
                "image",
                "policyName",
                "priorityClassName",
                "storageClassName",
                "ingressClassName",
            ):
                found.append((place, inner))
            if key == "value" and ".env" in path:
                found.append((place, inner))
            found += texts(inner, place)
    if isinstance(value, list):
        for number, inner in enumerate(value):
            found += texts(inner, f"{path}[{number}]")
    return found  # fmt: skip


def wrong(document: Document) -> list[str]:
    """What a reader of the document would not take of its names and labels."""
    about = document["metadata"]
    kind, name = document["kind"], about["name"]
    found = [f"{place} is {text!r}" for place, text in texts(document) if not isinstance(text, str)]
    if not (isinstance(name, str) and SUBDOMAIN.fullmatch(name) and len(name) <= 253):
        found.append(f"name {name!r}")
    if kind == "Service" and not SERVICE.fullmatch(name):
        found.append(f"name of a Service {name!r}")
    if kind == "StatefulSet" and len(name) > LONGEST_STATEFUL_SET:
        found.append(f"name of a StatefulSet {name!r}")
    labels = [about.get("labels", {})]
    labels += [document.get("spec", {}).get("template", {}).get("metadata", {}).get("labels", {})]
    found += [
        f"label {key}: {value!r}"
        for some in labels
        for key, value in some.items()
        if not LABEL_VALUE.fullmatch(str(value))
    ]
    return [f"{kind}: {words}" for words in found]


def complaints(documents: list[Document]) -> list[str]:
    assert len(documents) > 20
    return [words for document in documents for words in wrong(document)]


@pytest.mark.parametrize("release", [*filter(LEGAL_RELEASE.fullmatch, RELEASES)])
def test_every_name_of_a_release_that_helm_takes_makes_names_that_the_api_server_takes(
    helm, release
):
    assert not complaints(rendered(helm, EVERYTHING, release=release))
    assert not complaints(rendered(helm, {}, release=release))


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_name_of_a_namespace_stays_a_string(helm, namespace):
    documents = rendered(helm, EVERYTHING, namespace=namespace)
    assert not complaints(documents)
    assert {one["metadata"]["namespace"] for one in of_kind(documents, "Service")} == {namespace}


@pytest.mark.parametrize("override", OVERRIDES, ids=json.dumps)
@pytest.mark.parametrize("release", ["acme", "2024", "a" * LONGEST_RELEASE])
def test_every_override_that_the_schema_takes_makes_names_that_the_api_server_takes(
    helm, release, override
):
    assert not complaints(rendered(helm, EVERYTHING | override, release=release))


@pytest.mark.parametrize(
    "name", ["9lives", "my.name", "-a", "a-", "A", "a_b", "a" * 64, "ä", "a b"]
)
def test_a_full_name_that_no_service_can_have_is_refused_by_the_schema(helm, name):
    assert "fullnameOverride" in helm.refusal({"fullnameOverride": name})


def services(helm: Helm, release: str, override: Values | None = None) -> set[str]:
    found = of_kind(helm.render(override, release=release), "Service")
    return {one["metadata"]["name"] for one in found}


def test_releases_that_differ_by_what_is_taken_out_have_names_of_their_own(helm):
    alike = ("my.release", "my-release", "2024", "r2024", "20.24", "20-24")
    found = [services(helm, release) for release in alike]
    assert len(set().union(*found)) == sum(map(len, found))


def test_a_name_that_was_legal_stays_as_it_was(helm):
    assert services(helm, "acme") == {
        f"acme-penstock-{part}" for part in ("gateway", "operator", "redis")
    }
    assert services(helm, "my-penstock") == {
        f"my-penstock-{part}" for part in ("gateway", "operator", "redis")
    }
    long = services(helm, "a" * LONGEST_RELEASE)
    assert {"a" * 50 + "-gateway", "a" * 50 + "-operator"} <= long  # fmt: skip


def test_numbers_above_a_million_are_written_as_numbers(helm):
    (made,) = of_kind(helm.render({"redis": {"userID": 1_000_680_000}}), "StatefulSet")
    assert made["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 1_000_680_000


def test_a_version_with_a_build_makes_labels_and_tags_that_are_legal(helm, tmp_path):
    copy = tmp_path / "penstock"
    copy.mkdir()
    for path in CHART.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(CHART)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    about = copy / "Chart.yaml"
    text = re.sub(
        r"^appVersion: .*$",
        'appVersion: "0.2.0+' + "b" * 70 + '"',
        about.read_text(),
        flags=re.MULTILINE,
    )
    about.write_text(
        re.sub(r"^version: .*$", "version: 0.2.0+build." + "c" * 70, text, flags=re.MULTILINE)
    )
    documents = helm.render(chart=copy)
    assert not complaints(documents)
    images = {
        c["image"]
        for d in of_kind(documents, "Deployment")
        for c in d["spec"]["template"]["spec"]["containers"]
    }
    assert images
    assert not [image for image in images if "+" in image]


def umbrella(folder: Path, values: Values) -> Path:
    """A chart that has this one as a dependency, on a condition."""
    whole = folder / "platform"
    (whole / "charts").mkdir(parents=True)
    (whole / "charts" / "penstock").symlink_to(CHART)
    about = {
        "apiVersion": "v2",
        "name": "platform",
        "version": "1.0.0",
        "dependencies": [{"name": "penstock", "version": "*", "condition": "penstock.enabled"}],
    }
    (whole / "Chart.yaml").write_text(yaml.safe_dump(about))
    (whole / "values.yaml").write_text(yaml.safe_dump(values))
    return whole


@pytest.mark.parametrize("enabled", [True, False])
def test_the_chart_may_be_a_dependency_that_is_switched(helm, tmp_path, enabled):
    values = {"penstock": {"enabled": enabled}, "global": {"region": "eu"}}
    documents = helm.render(chart=umbrella(tmp_path, values), release="2024")
    assert bool(of_kind(documents, "Deployment")) is enabled
    assert not [words for document in documents for words in wrong(document)]


STRANGE = [("2024", "2024"), ("my.release", "1e3"), ("1" * LONGEST_RELEASE, "null")]


@pytest.mark.parametrize(("release", "namespace"), STRANGE)
def test_the_api_server_takes_a_release_of_a_strange_name(helm, administrator, release, namespace):
    for name in {namespace, "2024", "1e3"}:
        administrator("create", "namespace", name, check=False)
    shown = helm.text(EVERYTHING, release=release, namespace=namespace)
    answer = administrator(
        *("apply", "--dry-run=server", "--server-side", "--validate=strict", "-f", "-"), stdin=shown
    )
    assert answer.count("serverside-applied") == shown.count("\nkind: ")
