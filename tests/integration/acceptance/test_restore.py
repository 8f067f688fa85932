"""What remains when statuses and Redis are lost in mid-rollout: nothing is promoted by it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock import names
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

STEPS: manifests.Steps = ((20, 3000, 1), (50, 3000, 1))
OURS = f"{names.LABEL_MANAGED}={names.MANAGER}"


def lose_everything_but_the_records(product: Product, *agents: str) -> None:
    """With the operator down: Agents that tell nothing, rollouts made anew, an empty Redis."""
    product.stop("operator")
    product.stop("redis", kill=True)
    for found in Path(product.environment.state_dir, "redis").iterdir():
        shutil.rmtree(found) if found.is_dir() else found.unlink()
    for name in agents:
        lose_status(product, name)
    product.start("redis")
    product.start("operator")


def lose_status(product: Product, name: str) -> None:
    """An Agent that tells nothing, beside a rollout that was made anew."""
    cluster = product.cluster
    fence = {key: product.agent(name)["traffic"].get(key, 0) for key in ("epoch", "version")}
    wipe(product, fence, name)
    kept = cluster.get("agentrollout", name)
    cluster.kubectl("delete", "agentrollout", name)
    cluster.apply(without_history(kept))
    assert "stableRevision" not in product.agent(name)
    assert "stableRevision" not in product.rollout(name)


def wipe(product: Product, fence: dict[str, int], name: str = "support") -> None:
    """Leave nothing of the Agent's status but these numbers, which the API server keeps from falling."""
    change = [{"op": "replace", "path": "/status", "value": {"traffic": fence}}]
    product.cluster.kubectl(
        "patch", "agent", name, "--subresource=status", "--type=json", "-p", json.dumps(change)
    )


def without_history(document: dict[str, Any]) -> dict[str, Any]:
    """An object as a backup tool restores it: no status, no owner, a uid of its own."""
    kept = ("name", "labels", "annotations")
    metadata = {key: value for key, value in document["metadata"].items() if key in kept}
    rest = {key: value for key, value in document.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata}


def climb_to_20(product: Product) -> tuple[str, str]:
    """Stable, and a canary at 20 % that has served; the traffic flows on."""
    product.cluster.apply(manifests.agent("v2"))
    stable = str(product.agent()["stableRevision"])
    canary = product.until_canary(stable)
    product.until_share(20)
    product.until("it served", lambda: product.log().ended_on(names.hash_of(canary)))
    return stable, canary


def reject(product: Product, name: str) -> tuple[str, str]:
    """A canary that fails too often, and is rejected for it; stable and its name."""
    stable = product.until_stable(name)
    with product.live_traffic(10, name):
        product.cluster.apply(manifests.agent("bad", name=name, errorPercent=40))
        canary = product.until_canary(stable, name)
        assert product.until_verdict(canary, name)["result"] == "Rejected"
    return stable, canary


def check_begun_anew(product: Product, stable: str, canary: str) -> None:
    """The first step again, with both on their sides, and nobody moved beyond it."""
    assert product.until_stable() == stable
    shares: list[int] = []

    def begun_anew() -> bool:
        shares.append(product.share())
        return shares[-1] == 20

    with product.live_traffic(10) as load:
        product.until("the first step again", begun_anew)
        product.until(
            "both serve again",
            lambda: all(product.log().ended_on(names.hash_of(it)) for it in (stable, canary)),
        )
    assert set(shares) <= {0, 20}, "nobody was moved beyond the first step"
    status = product.rollout()
    assert (status["stableRevision"], status["canaryRevision"]) == (stable, canary)
    assert status["verdicts"] == []
    assert {one.revision for one in load.accepted} == {stable, canary}


def check_rejected(product: Product, name: str, stable: str, canary: str) -> None:
    """It stays so by its record, and nobody is given to it."""
    assert product.until_stable(name) == stable
    product.until(
        "the verdict is read from the record",
        lambda: product.cluster.condition(f"agentrollout/{name}", "RolledBack")[0] == "True",
    )
    served = product.crowd([f"user-{number}" for number in range(30)], name)
    assert {one.revision for one in served} == {stable}
    assert product.share(name) == 0
    record = product.cluster.get("controllerrevision", canary)
    verdict = json.loads(record["metadata"]["annotations"][names.ANNOTATION_VERDICT])
    assert verdict["result"] == "Rejected"


@pytest.mark.timeout(500)
def test_without_any_status_and_with_an_empty_redis_a_rollout_begins_anew_and_a_rejection_holds(
    product: Product,
) -> None:
    for name in ("support", "bad"):
        product.cluster.apply(
            manifests.agent("v1", name=name), manifests.rollout(STEPS, name=name, agent=name)
        )
    product.until_stable()
    with pytest.raises(AssertionError, match="never falls"):
        wipe(product, {"version": 0})
    rejected = reject(product, "bad")
    with product.live_traffic(10):
        stable, canary = climb_to_20(product)
    lose_everything_but_the_records(product, "support", "bad")
    check_begun_anew(product, stable, canary)
    check_rejected(product, "bad", *rejected)


@pytest.mark.timeout(400)
def test_restored_under_other_uids_an_agent_waits_and_begins_with_what_it_is_given_first(
    product: Product,
) -> None:
    cluster = product.cluster
    cluster.apply(manifests.agent("v1"), manifests.rollout(STEPS))
    product.until_stable()
    with product.live_traffic(10):
        stable, canary = climb_to_20(product)
    owned = ("controllerrevisions", "configmaps", "deployments")
    children = [obj for kind in owned for obj in cluster.get(kind, "-l", OURS)["items"]]
    agent, rollout = cluster.get("agent", "support"), cluster.get("agentrollout", "support")
    product.stop("operator")
    cluster.kubectl("delete", "agents,agentrollouts", "--all", "--cascade=foreground")
    cluster.until(
        "its children went along", lambda: cluster.get(",".join(owned), "-l", OURS) is None
    )
    backup = [without_history(obj) for obj in (*children, agent, rollout)]
    cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(backup))
    product.start("operator")
    cluster.until_condition("agent/support", "Stalled", "True", "NameConflict")
    assert not product.agent().get("stableRevision"), "the canary did not become stable by it"
    cluster.apply(manifests.agent("v1"))
    cluster.kubectl("delete", ",".join(owned), "-l", OURS)
    assert product.until_stable() == stable
    cluster.apply(manifests.agent("v2"))
    assert product.until_canary(stable) == canary
    product.until_share(20)
