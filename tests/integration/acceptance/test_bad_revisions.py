"""Bad revisions at 20 % of live traffic: rolled back for the right reason, and they stay so."""

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest

from penstock import names
from penstock.outcomes import RowKind
from penstock.rollout.facts import COMPARABLE_PERCENT
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.outcome_log import OutcomeLog
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

#: So that work of a slow canary also queues.
NARROW = {"worker": {"concurrency": 24}, "scaling": {"maxReplicas": 1}}
#: So that no task that hangs is over before its revision is condemned, however slow the machine is.
PATIENT = {
    "model": {"name": "claude-haiku-5-5", "maxTokens": 256, "timeoutSeconds": 600},
    "limits": {"wallSeconds": 600},
}


@dataclass(frozen=True)
class Case:
    """A bad change and what must be said of it."""

    name: str
    reason: str
    check: str
    fake: dict[str, Any]
    step: int = 20
    by_hand: int | None = None
    template: dict[str, Any] | None = None

    @property
    def shares(self) -> set[int]:
        """Where it may be condemned: at its share, or where it came back to be compared."""
        asked = self.by_hand or self.step
        return {asked, min(asked, COMPARABLE_PERCENT)}

    def agent(self, words: str, **fake: Any) -> dict[str, Any]:
        """The Agent; without `fake` a good one."""
        return manifests.agent(words, name=self.name, template=self.template, spec=NARROW, **fake)

    @property
    def bad(self) -> dict[str, Any]:
        """The Agent with the bad change."""
        return self.agent("A bad change.", **self.fake)

    @property
    def rollout(self) -> dict[str, Any]:
        """Its policy: one step that nobody waits for."""
        steps: manifests.Steps = ((self.step, 3000, 1),)
        return manifests.rollout(steps, name=self.name, agent=self.name, final_hold_seconds=60)


CASES = (
    Case("errors", "ErrorRateRegression", "errorRate", {"errorPercent": 30}),
    Case("slow", "LatencyRegression", "latencyMean", {"latencyMs": 15_000}),
    Case("hanging", "LatencyRegression", "latencyMean", {"latencyMs": 500_000}, template=PATIENT),
    Case("refusing", "EscalationRateRegression", "escalationRate", {"refusalPercent": 40}),
    # Nobody is left on stable to compare with.
    Case("forced", "ErrorRateRegression", "errorRate", {"errorPercent": 30}, 1, by_hand=100),
)


def assert_rolled_back(product: Product, case: Case, canary: str) -> None:
    """Assert that a canary is rolled back, wherever that is told."""
    share = product.rollout(case.name)["share"]
    assert (share["percent"], share["source"]) == (0, "Rollback")
    targets = product.agent(case.name)["traffic"]["targets"]
    assert [(item["role"], item["percent"]) for item in targets] == [("Stable", 100)]
    for kind, condition, state, reason in (
        ("agentrollout", "Ready", "False", "RolledBack"),
        ("agentrollout", "Stalled", "True", "RolledBack"),
        ("agent", "Ready", "True", None),
        ("agent", "UpToDate", "False", "CandidateRejected"),
    ):
        found = product.cluster.condition(f"{kind}/{case.name}", condition)
        assert found[0] == state, (kind, condition, found)
        assert reason in (None, found[1]), (kind, condition, found)
    later = product.crowd([f"later-{number}" for number in range(20)], case.name)
    assert canary not in by_revision(later)


def assert_handed_over(log: OutcomeLog, stable: str, canary: str) -> None:
    """Nothing ended on the canary: it was seen to hang before any task was over."""
    assert not log.ended_on(names.hash_of(canary))
    begun = {row.task for row in log.of(RowKind.STARTED) if row.revision == names.hash_of(canary)}
    rescued = log.rehomed & log.ended_on(names.hash_of(stable))
    print(f"handed over: {len(rescued & begun)} running, {len(rescued - begun)} queued")
    assert rescued & begun, "what ran on the canary is ended by stable"
    assert rescued - begun, "and so is what waited there"


def release_all(product: Product) -> dict[str, str]:
    """Good revisions of all agents; the names of what is stable."""
    for case in CASES:
        product.cluster.apply(case.agent("Answer in one sentence."), case.rollout)
    return {case.name: product.until_stable(case.name) for case in CASES}


def make_all_bad(product: Product, stable: dict[str, str]) -> dict[str, str]:
    """Bad revisions of all agents, at their shares; the names of the canaries."""
    for case in CASES:
        product.cluster.apply(case.bad)
    canaries = {}
    for case in CASES:
        canaries[case.name] = until_tried(product, stable[case.name], case.name)
        if case.by_hand:
            product.set_percent(case.by_hand, case.name)
    return canaries


def until_tried(product: Product, stable: str, name: str) -> str:
    """Wait for a canary; one that is bad enough is rejected before anybody has looked at it."""

    def canary() -> str:
        found = str(product.rollout(name).get("canaryRevision") or "")
        return "" if found == stable else found

    return str(product.until(f"a canary of {name}", canary))


def assert_condemned(product: Product, case: Case, canary: str) -> None:
    """Wait for the verdict; it says what is wrong with the canary and whom it touched."""
    verdict = product.until_verdict(canary, case.name, 200)
    print(f"{case.name}: {verdict['message']} ({verdict['tasks']} tasks)")
    said = (verdict["result"], verdict["reason"], verdict["check"])
    assert said == ("Rejected", case.reason, case.check)
    assert verdict["percent"] in case.shares
    assert verdict["users"] >= 3, "the canary really served"
    assert verdict["tasks"] >= 0.97 * verdict["users"], (
        "a HyperLogLog counts users to one in a hundred"
    )


def stir(product: Product, case: Case, canary: str) -> None:
    """All that might revive a rejected revision, and a word that it must refuse."""
    if case.name == "slow":  # and all its progress with it
        product.cluster.kubectl("delete", "agentrollout", case.name)
    product.cluster.apply(case.bad, case.rollout)
    product.cluster.kubectl("delete", "configmap", canary)
    product.cluster.kubectl("label", "agent", case.name, "touched=yes")
    product.set_percent(50, case.name)


def until_refused(product: Product, case: Case) -> None:
    """Wait until the setpoint was looked at, and refused."""

    def refused() -> bool:
        return any(
            event["reason"] == "PercentRefused" and event["involvedObject"]["name"] == case.name
            for event in product.cluster.items("events")
        )

    product.until("the setpoint is refused", refused)


@pytest.mark.timeout(600)
def test_bad_revisions_are_rolled_back_for_the_right_reason_and_stay_so(product: Product) -> None:
    stable = release_all(product)
    with contextlib.ExitStack() as traffic:
        loads = {
            case.name: traffic.enter_context(product.live_traffic(8, case.name)) for case in CASES
        }
        canary = make_all_bad(product, stable)
        product.kill_operator()  # in the middle of its judgement
        for case in CASES:
            assert_condemned(product, case, canary[case.name])
    logs = {case.name: product.until_all_ended(loads[case.name], case.name) for case in CASES}
    assert all(log.routed_to(Arm.CANARY) >= 3 for log in logs.values())
    assert_handed_over(logs["hanging"], stable["hanging"], canary["hanging"])

    product.kill_operator()
    for case in CASES:
        stir(product, case, canary[case.name])
    for case in CASES:
        until_refused(product, case)
        assert_rolled_back(product, case, canary[case.name])
        product.set_percent(None, case.name)
    revive(product, CASES[0], canary["errors"], stable["errors"])


def revive(product: Product, case: Case, canary: str, stable: str) -> None:
    """Two ways back: a person's retry, and a mended manifest."""
    product.request("retry", canary, case.name)
    product.until_share(case.step, case.name)
    assert product.rollout(case.name)["attempt"] == 2
    product.request("abort", canary, case.name)
    product.until_share(0, case.name)

    product.cluster.apply(case.agent("A fixed change."))
    product.until(
        "the fixed manifest is a new canary",
        lambda: product.rollout(case.name)["canaryRevision"] not in (canary, stable),
    )
    product.until_share(case.step, case.name)
    assert product.rollout(case.name)["attempt"] == 1
