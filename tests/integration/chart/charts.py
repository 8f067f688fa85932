"""Helm on the shipped charts: what it renders, as documents."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "penstock"
DEFINITIONS_CHART = ROOT / "charts" / "penstock-crds"
RELEASE = "penstock"
NAMESPACE = "penstock-system"
MONITORING = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")
DEADLINE_SECONDS = 60

Document = dict[str, Any]
Values = dict[str, Any]


class _AsKubernetes(yaml.SafeLoader):
    """Reads YAML as the API server does: 1e3 is a number to it, and to PyYAML alone a string."""


_AsKubernetes.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+"), list("-+0123456789")
)


@dataclass(frozen=True)
class Helm:
    """A Helm that sees no configuration of the developer's own."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command; its exit code is the caller's to judge."""
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig or self.home / "none"),
        }
        return subprocess.run(
            [self.program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
            env=variables,
        )

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """One command that succeeds; what it prints."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return done.stdout

    def render(
        self,
        values: Values | None = None,
        *,
        release: str = RELEASE,
        namespace: str = NAMESPACE,
        chart: Path = CHART,
        options: tuple[str, ...] = (),
    ) -> list[Document]:
        """What the chart renders with these values, without a cluster."""
        shown = self.text(
            values, release=release, namespace=namespace, chart=chart, options=options
        )
        documents = yaml.load_all(shown, Loader=_AsKubernetes)
        return [document for document in documents if document]

    def text(
        self,
        values: Values | None = None,
        *,
        release: str = RELEASE,
        namespace: str = NAMESPACE,
        chart: Path = CHART,
        options: tuple[str, ...] = (),
    ) -> str:
        """The same as it is sent to the API server."""
        return self(
            *("template", release, str(chart), "--namespace", namespace, "--values", "-"),
            *options,
            stdin=json.dumps(values or {}),
        )

    def refusal(self, values: Values) -> str:
        """What Helm says of values that the schema refuses."""
        done = self.run("template", RELEASE, str(CHART), "--values", "-", stdin=json.dumps(values))
        assert done.returncode != 0, f"accepted: {values}"
        return done.stderr


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """The documents of a kind."""
    return [document for document in documents if document["kind"] == kind]


def named(documents: list[Document], kind: str, name: str) -> Document:
    """The one document of this kind and name."""
    found = [one for one in of_kind(documents, kind) if one["metadata"]["name"] == name]
    assert len(found) == 1, (kind, name, [one["metadata"]["name"] for one in found])
    return found[0]


def pod_templates(documents: list[Document]) -> list[Document]:
    """The spec of every pod that the documents make, in the order of the documents."""
    owners = ("Deployment", "StatefulSet")
    made = [one["spec"]["template"]["spec"] for one in documents if one["kind"] in owners]
    return made + [one["spec"] for one in documents if one["kind"] == "Pod"]
