"""Bad revisions at 20 % of live traffic: rolled back for the right reason, and they stay so."""

import contextlib
from dataclasses import dataclass
from typing import Any

import pytest

from penstock import names
from penstock.outcomes import RowKind
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.outcome_log import OutcomeLog
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

ONE_STEP: manifests.Steps = ((20, 3000, 1),)
#: So that work of a slow candidate also queues.
NARROW = {"worker": {"concurrency": 24}, "scaling": {"maxReplicas": 1}}


@dataclass(frozen=True)
class Case:
    """A bad change and what must be said of it."""

    name: str
    reason: str
    check: str
    fake: dict[str, Any]

    def agent(self, words: str, **fake: Any) -> dict[str, Any]:
        """The Agent; without `fake` a good one."""
        return manifests.agent(words, name=self.name, spec=NARROW, **fake)

    @property
    def bad(self) -> dict[str, Any]:
        """The Agent with the bad change."""
        return self.agent("A bad change.", **self.fake)

    @property
    def rollout(self) -> dict[str, Any]:
        """Its policy: all of the climb is the step of 20 %."""
        return manifests.rollout(ONE_STEP, name=self.name, agent=self.name)


CASES = (
    Case("errors", "ErrorRateRegression", "errorRate", {"errorPercent": 30}),
    Case("slow", "LatencyRegression", "latencyMean", {"latencyMs": 15_000}),
    Case("hanging", "LatencyRegression", "latencyMean", {"latencyMs": 59_000}),
    Case("refusing", "EscalationRateRegression", "escalationRate", {"refusalPercent": 40}),
)


def rejected(product: Product, case: Case, candidate: str) -> None:
    """Assert that a candidate is rolled back, wherever that is told."""
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
    assert candidate not in by_revision(later)


def assert_handed_over(log: OutcomeLog, stable: str, candidate: str) -> None:
    """Nothing ended on the candidate: it was seen to hang before any task was over."""
    assert not log.ended_on(names.hash_of(candidate))
    begun = {
        row.task for row in log.of(RowKind.STARTED) if row.revision == names.hash_of(candidate)
    }
    rescued = log.rehomed & log.ended_on(names.hash_of(stable))
    print(f"handed over: {len(rescued & begun)} running, {len(rescued - begun)} queued")
    assert rescued & begun, "what ran on the candidate is ended by stable"
    assert rescued - begun, "and so is what waited there"


@pytest.mark.timeout(400)
def test_bad_revisions_are_rolled_back_for_the_right_reason_and_stay_so(product: Product) -> None:
    cluster = product.cluster
    for case in CASES:
        cluster.apply(case.agent("Answer in one sentence."), case.rollout)
    stable = {case.name: product.until_stable(case.name) for case in CASES}
    candidate, loads = {}, {}
    with contextlib.ExitStack() as traffic:
        for case in CASES:
            loads[case.name] = traffic.enter_context(product.live_traffic(8, case.name))
        for case in CASES:
            cluster.apply(case.bad)
        for case in CASES:
            candidate[case.name] = product.until_candidate(stable[case.name], case.name)
        for case in CASES:
            verdict = product.until_verdict(candidate[case.name], case.name, 90)
            print(f"{case.name}: {verdict['message']} ({verdict['tasks']} tasks)")
            assert (verdict["result"], verdict["reason"], verdict["check"], verdict["percent"]) == (
                "Rejected",
                case.reason,
                case.check,
                20,
            )
            assert verdict["tasks"] >= verdict["users"] >= 3, "the candidate really served"
    for case in CASES:
        log = product.until_all_ended(loads[case.name], case.name)
        assert log.routed_to(Arm.CANDIDATE) >= 3
        if case.name == "hanging":
            assert_handed_over(log, stable["hanging"], candidate["hanging"])

    product.kill_operator()
    cluster.kubectl("delete", "agentrollout", "slow")  # and all its progress with it
    for case in CASES:
        cluster.apply(case.bad, case.rollout)
        cluster.kubectl("delete", "configmap", candidate[case.name])
        cluster.kubectl("label", "agent", case.name, "touched=yes")
        product.set_percent(50, case.name)
    for case in CASES:
        product.until(
            "the setpoint is refused",
            lambda case=case: any(
                event["reason"] == "PercentRefused" and event["involvedObject"]["name"] == case.name
                for event in cluster.items("events")
            ),
        )
        rejected(product, case, candidate[case.name])
        product.set_percent(None, case.name)

    case = CASES[0]
    product.request("retry", candidate[case.name], case.name)
    product.until_share(20, case.name)
    assert product.rollout(case.name)["attempt"] == 2
    product.request("abort", candidate[case.name], case.name)
    product.until_share(0, case.name)

    cluster.apply(case.agent("A fixed change."))
    fixed = product.until(
        "the fixed manifest is a new candidate",
        lambda: (
            (found := product.rollout(case.name)["canaryRevision"])
            not in (candidate[case.name], stable[case.name])
            and found
        ),
    )
    product.until_share(20, case.name)
    status = product.rollout(case.name)
    assert (status["canaryRevision"], status["attempt"]) == (fixed, 1)
