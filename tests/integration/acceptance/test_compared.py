"""A canary that keeps every limit and is slower than stable, and one that waits for too long, while the operator is killed."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock import names
from penstock.api.condition import moment
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

DEADLINE_SECONDS = 30
#: Of a step that holds for a second: that, and three times that.
LONGEST_WAIT_SECONDS = 4
#: Both sides, of how many tasks, and how strong the evidence is.
NUMBERS = (
    r"mean latency [\d.]+ s \(n=\d+\) on the canary and [\d.]+ s \(n=\d+\) on stable since it began: "
    r"\d+:1 worse than stable, 67:1 is enough"
)


def late_policy() -> dict[str, Any]:
    """Of one who waits for tasks that do not come in time."""
    made = manifests.rollout(((20, 2, 1_000_000),), name="late", agent="late")
    deadline = {"progressDeadlineSeconds": DEADLINE_SECONDS, "onDeadline": "Rollback"}
    made["spec"]["strategy"] |= deadline
    return made


def policy(name: str = "support", hold_seconds: int = 3000) -> dict[str, Any]:
    steps: manifests.Steps = ((20, hold_seconds, 1), (50, 3000, 1))
    made = manifests.rollout(steps, name=name, agent=name)
    made["spec"]["analysis"]["comparison"] = {}
    return made


def until_held_for_want_of_tasks(product: Product, name: str) -> None:
    """Without a task nothing is proven, however long it lasts, and that is what is said."""
    product.until_share(20, name)
    product.until(
        "it waits for tasks",
        lambda: (
            product.cluster.condition(f"agentrollout/{name}", "Progressing")[1]
            == "AwaitingEvidence"
        ),
    )
    told = product.cluster.condition(f"agentrollout/{name}", "Progressing")[2]
    assert "the canary has 0" in told, told
    began = moment(product.rollout(name)["stepStartedAt"])
    product.until(
        "its time to wait is over twice",
        lambda: (datetime.now(UTC) - began).total_seconds() > 2 * LONGEST_WAIT_SECONDS,
    )
    reason = product.cluster.condition(f"agentrollout/{name}", "Progressing")[1]
    assert reason == "AwaitingEvidence", "and moves nothing"
    assert product.share(name) == 20
    assert product.rollout(name)["verdicts"] == []


def check_deadline(product: Product, canary: str, stable: str, delay: dict[str, str]) -> None:
    """It is rejected when its time is over: the next operator went on counting."""
    verdict = product.until_verdict(canary, "late")
    print(delay, verdict)
    assert (verdict["revision"], verdict["reason"]) == (canary, "DeadlineExceeded")
    passed = moment(verdict["at"]) - moment(delay["since"])
    assert passed.total_seconds() >= DEADLINE_SECONDS
    assert "evidence is missing" in verdict["message"]
    assert (product.share("late"), product.rollout("late")["stableRevision"]) == (0, stable)


@pytest.mark.timeout(600)
def test_it_is_rolled_back_also_by_an_operator_that_has_just_been_killed(product: Product) -> None:
    cluster = product.cluster
    for name in ("support", "silent"):
        first = manifests.agent("Answer in one sentence.", name=name)
        cluster.apply(first, policy(name, 3000 if name == "support" else 1))
    cluster.apply(manifests.agent("Answer in one sentence.", name="late"), late_policy())
    stable, quiet = product.until_stable(), product.until_stable("silent")
    late_stable = product.until_stable("late")
    with product.live_traffic(12), product.live_traffic(5, "late"):
        product.until("stable serves", lambda: product.log().ended_on(names.hash_of(stable)))
        cluster.apply(manifests.agent("Answer in three words.", latencyMs=2500))
        cluster.apply(manifests.agent("Answer in two words.", name="silent"))
        canary = product.until_canary(stable)
        product.until("the canary serves", lambda: product.log().routed_to(Arm.CANARY))
        cluster.apply(manifests.agent("Answer in three words.", name="late"))
        late = product.until_canary(late_stable, "late")
        delay = product.until("the clock runs", lambda: product.rollout("late").get("delay"))
        product.kill_operator()
        product.until("a verdict", lambda: product.rollout().get("verdicts"), seconds=240)
    status = product.rollout()
    verdict = status["verdicts"][-1]
    print(verdict["message"])
    assert (verdict["revision"], verdict["reason"], verdict["check"]) == (
        canary,
        "LatencyRegression",
        "latencyToStable",
    )
    assert re.search(NUMBERS, verdict["message"])
    rows = {check["name"]: check for check in status["analysis"]["checks"]}
    assert rows["latencyMean"]["verdict"] == "Passing", "no limit was broken"
    assert rows["latencyToStable"]["verdict"] == "Breached"
    assert status["share"]["percent"] == 0
    check_deadline(product, late, late_stable, delay)
    assert product.until_canary(quiet, "silent")
    until_held_for_want_of_tasks(product, "silent")
    decided_again = product.terminal("verify")
    assert decided_again.returncode == 0, decided_again.stdout + decided_again.stderr
    assert "decisions are equal" in decided_again.stdout
