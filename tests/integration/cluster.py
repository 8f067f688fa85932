"""An Agent in a namespace of its own, and ways to wait for what the operator does with it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

DEADLINE_SECONDS = 180.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Cluster:
    """kubectl in the test's namespace, with waiting."""

    kubectl: Callable[..., str]

    def get(self, *arguments: str) -> Any:
        """An object or a list as JSON; None when it is not there."""
        shown = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        return json.loads(shown) if shown.strip() else None

    def items(self, kind: str) -> list[Any]:
        """All objects of a kind in the namespace."""
        return list(json.loads(self.kubectl("get", kind, "-o", "json"))["items"])

    def apply(self, *documents: dict[str, Any]) -> None:
        """kubectl apply."""
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def until(self, what: str, look: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
        """Poll until ``look`` returns something true; fails saying what was seen last."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            assert time.monotonic() < deadline, f"not seen within {seconds} s: {what}: {seen!r}"
            time.sleep(POLL_SECONDS)
        return seen

    def wait(self, resource: str, condition: str, seconds: float = 240.0) -> None:
        """kubectl wait, in spells that are shorter than a call of kubectl may take here."""
        spell = ("wait", f"--for=condition={condition}", resource, "--timeout=30s")
        self.until(
            f"{resource} {condition}",
            lambda: "condition met" in self.kubectl(*spell, check=False),
            seconds,
        )

    def condition(self, resource: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition; empty strings when it is not there."""
        found = self.get(*resource.split("/")) or {}
        for item in found.get("status", {}).get("conditions", []):
            if item["type"] == kind:
                return item["status"], item["reason"], item["message"]
        return "", "", ""

    def until_condition(
        self, resource: str, kind: str, status: str, reason: str | None = None
    ) -> str:
        """Wait for a condition; returns its message."""

        def look() -> str | None:
            seen = self.condition(resource, kind)
            return seen[2] or " " if seen[0] == status and reason in (None, seen[1]) else None

        try:
            return str(self.until(f"{resource} {kind}={status} {reason or ''}", look))
        except AssertionError:
            pytest.fail(f"{resource} {kind}={status} {reason}: {self.get(*resource.split('/'))}")


def version(obj: dict[str, Any]) -> str:
    """What any write of an operator changes: of a Deployment, whose status others write, its generation."""
    kept = "generation" if obj["kind"] == "Deployment" else "resourceVersion"
    return str(obj["metadata"][kept])


def agent(instructions: str = "Be kind.", name: str = "support", **spec: Any) -> dict[str, Any]:
    """An Agent manifest."""
    template = {"instructions": instructions, "model": {"name": "claude-haiku-5-5"}}
    template.update(spec.pop("template", {}))
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }
