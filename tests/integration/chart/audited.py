"""A control plane that keeps a log of what accounts ask for, and is strict about owner references."""

import asyncio
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_dev import environment as embedded
from penstock_dev.controlplane import binaries
from tests.integration.chart.rules import Right

Event = dict[str, Any]

_COMPONENTS = frozenset({"controlplane", "node", "redis", "model"})
_ACCOUNTS = "system:serviceaccounts"
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": [f"{_ACCOUNTS}:kube-system"]},
        # With its body: whether it sets an owner is part of what it needs.
        {"level": "Request", "userGroups": [_ACCOUNTS], "verbs": ["patch"]},
        {"level": "Metadata", "userGroups": [_ACCOUNTS]},
        {"level": "None"},
    ],
}
_WRAPPER = """\
#!/bin/sh
exec {program} "$@" --audit-policy-file={policy} --audit-log-path={log} \
  --enable-admission-plugins=OwnerReferencesPermissionEnforcement
"""
_BOUND_BY = re.compile(r'RBAC: allowed by \w+ "(?P<binding>[^"/]+)')


@dataclass(frozen=True)
class Audited:
    """The running control plane, its node, Redis and model; no operator and no gateway."""

    environment: embedded.Environment
    log: Path

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """kubectl as administrator."""
        done = subprocess.run(
            [
                str(self.environment.kubectl),
                f"--kubeconfig={self.environment.kubeconfig}",
                *arguments,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return done.stdout

    def answered(self, account: str) -> list[Event]:
        """What an account asked for about objects and was answered, oldest first."""
        lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True)
        events = [json.loads(line) for line in lines if account in line and line.endswith("\n")]
        return [
            event
            for event in events
            if event["user"]["username"] == account and "resource" in event.get("objectRef", {})
        ]

    def refused(self, account: str) -> list[str]:
        """How the API server refused what an account may not do."""
        return [
            event["responseStatus"].get("message", "")
            for event in self.answered(account)
            if event["responseStatus"]["code"] == 403
        ]

    def used(self, account: str) -> set[Right]:
        """The rights that an account made use of, but those that every account has."""
        return {
            right
            for event in self.answered(account)
            if event["responseStatus"]["code"] != 403 and not _is_for_everybody(event)
            for right in _rights_behind(event)
        }


def _is_for_everybody(event: Event) -> bool:
    found = _BOUND_BY.match(event["annotations"]["authorization.k8s.io/reason"])
    assert found, event
    return found["binding"].startswith("system:")


def _rights_behind(event: Event) -> Iterator[Right]:
    """What was needed for a request; the API server looks into one that applies an object.

    Applying what is not there needs the right to create it; setting an owner whose deletion waits
    for the object needs one on the owner's finalizers.
    """
    about = event["objectRef"]
    name = about.get("name", "")
    resource = _full(about["resource"], about.get("apiGroup", ""), about.get("subresource", ""))
    yield resource, name, event["verb"]
    if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
        yield resource, name, "create"
        for owner in event["requestObject"]["metadata"].get("ownerReferences", ()):
            if owner.get("blockOwnerDeletion"):
                group = owner["apiVersion"].partition("/")[0]
                plural = f"{owner['kind'].lower()}s"
                yield _full(plural, group, "finalizers"), owner["name"], "update"


def _full(plural: str, group: str, subresource: str) -> str:
    return f"{plural}{f'.{group}' if group else ''}{f'/{subresource}' if subresource else ''}"


@contextmanager
def running(directory: Path) -> Iterator[Audited]:
    """A control plane of the caller's own, for the length of a `with` block."""
    log, state = directory / "audit.log", directory / "state"
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        programs = _programs(directory, log)
        patch.setenv("KUBEBUILDER_ASSETS", str(programs))
        patch.setenv(binaries.SOURCES_VARIABLE, "assets")
        try:
            started = embedded.start(state, _COMPONENTS, report=lines.append)
        except embedded.EnvironmentFailed as error:
            pytest.fail("\n".join(["no environment:", *lines, str(error)]), pytrace=False)
    try:
        yield Audited(started, log)
    finally:
        embedded.stop(state)


def _programs(directory: Path, log: Path) -> Path:
    """A folder of links to the control plane's programs, one of them with more arguments."""
    sources = binaries.Sources.from_environment(os.environ)
    found = asyncio.run(binaries.resolve(sources, print))
    policy, programs = directory / "policy.yaml", directory / "programs"
    policy.write_text(yaml.safe_dump(_POLICY))
    programs.mkdir()
    for name, path in found.items():
        (programs / name).symlink_to(path)
    server = programs / "kube-apiserver"
    server.unlink()
    words = {"program": found["kube-apiserver"], "policy": policy, "log": log}
    server.write_text(_WRAPPER.format_map({k: shlex.quote(str(v)) for k, v in words.items()}))
    server.chmod(0o755)
    return programs
