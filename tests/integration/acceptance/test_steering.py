"""On the running product: a rollout is seen, explained and steered from the terminal."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from penstock_cli.exits import Exit
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

#: A worker starts in seconds, and in minutes where the machine is crowded.
PATIENCE_SECONDS = 240.0

Ended = subprocess.CompletedProcess[str]


@pytest.fixture
def penstock(product: Product) -> Callable[..., Ended]:
    """The terminal of a person in the test's namespace."""
    return product.terminal


def version(number: str) -> dict[str, Any]:
    """An Agent that declares its version."""
    return manifests.agent(f"Version {number}.", template={"version": number})


@pytest.mark.timeout(900)
def test_a_person_takes_a_canary_through_its_life_by_typing(
    product: Product, penstock: Callable[..., Ended]
) -> None:
    def explained() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(penstock("explain", "-o", "json").stdout)
        return found

    def until_waits(reason: str) -> dict[str, Any]:
        def waits() -> dict[str, Any] | None:
            found = explained()
            return found if found["waiting"] == reason and not found["outdated"] else None

        found: dict[str, Any] = product.until(f"it waits: {reason}", waits, PATIENCE_SECONDS)
        return found

    def accepted(verb: str, *arguments: str) -> str:
        done = penstock(verb, *arguments, "--wait", str(PATIENCE_SECONDS / 2))
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("$ kubectl "), "the same with kubectl"
        return done.stdout

    product.cluster.apply(version("1.0"), manifests.rollout(manifests.PARKED))
    stable = product.until_stable(seconds=PATIENCE_SECONDS)
    assert penstock("promote").returncode == Exit.REFUSED, "there is no canary"
    product.cluster.apply(version("2.0"))
    canary = product.until_canary(stable, seconds=PATIENCE_SECONDS)

    assert "is held at 20 %" in accepted("set-percent", "20")
    seen = json.loads(penstock("get", "-o", "json").stdout)
    assert (seen["share"]["percent"], seen["share"]["source"]) == (20, "Setpoint")
    assert {one["name"]: one["percent"] for one in seen["revisions"]} == {canary: 20, stable: 80}
    assert all(one["pods"] for one in seen["revisions"])
    (first, *_) = until_waits("HeldBySetpoint")["commands"]
    assert first["command"] == f"penstock set-percent support auto -n {product.namespace}"

    accepted("set-percent", "auto")
    assert "spec.paused is true" in accepted("pause")
    until_waits("Paused")
    accepted("resume")
    assert "enters step" in accepted("promote", "--revision", "2.0")
    assert product.share() == 50

    assert f"back to {stable}" in accepted("undo"), "the canary in flight goes at once"
    assert "✗ 50 %" in penstock("get").stdout
    refused = penstock("promote")
    assert refused.returncode == Exit.REFUSED
    assert "the operator refused to promote" in refused.stderr
    assert "attempt 2" in accepted("retry")
    accepted("promote", "--full")
    assert product.rollout()["stableRevision"] == canary
