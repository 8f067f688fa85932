"""The four limits of a rollout at their declared numbers: each rolls a bad version back, and says by what."""

import contextlib
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

#: Over 5 % of errors in five minutes, a mean over 10 s, over 200 % of the expected cost, over 20 % escalations.
FIVE_MINUTES = {
    "windowSeconds": 300,
    "errorRatePercent": 5,
    "latencyMeanSeconds": 10,
    "costPercentOfBudget": 200,
    "escalationRatePercent": 20,
}
EXPECTED = {"worker": {"concurrency": 24}, "budgets": {"costUSD": {"perTask": "0.00003"}}}


@dataclass(frozen=True)
class Limit:
    """A version that breaks one limit, and how the verdict tells its numbers."""

    name: str
    reason: str
    fake: dict[str, Any]
    words: str


LIMITS = (
    Limit(
        "errors",
        "ErrorRateRegression",
        {"errorPercent": 30},
        r"error rate [\d.]+ % on the canary \((\d+)/(\d+)\) and .* in the last 300 s, limit 5 %",
    ),
    Limit(
        "slow",
        "LatencyRegression",
        {"latencyMs": 15_000},
        r"mean latency ([\d.]+) s on the canary \(n=\d+\) and .* in the last 300 s, limit 10 s",
    ),
    Limit(
        "dear",
        "CostRegression",
        {"outputTokens": 250},
        r"mean cost (0\.000[1-9]\d+) USD on the canary \(n=\d+\) and (0\.0000[01]\d) USD on stable \(n=\d+\) in the "
        r"last 300 s, limit 0\.000060 USD \(200 % of 0\.000030\)",
    ),
    Limit(
        "escalating",
        "EscalationRateRegression",
        {"refusalPercent": 40},
        r"escalation rate [\d.]+ % on the canary \((\d+)/(\d+)\) and .* in the last 300 s, limit 20 %",
    ),
)


def agent(limit: Limit, words: str, **fake: Any) -> dict[str, Any]:
    return manifests.agent(words, name=limit.name, spec=EXPECTED, **fake)


def until_rejected(product: Product, limit: Limit) -> Any:
    """Wait for the verdict on the bad version, whose workers may be gone by then."""

    def verdict() -> Any:
        told = product.rollout(limit.name).get("verdicts", [])
        return told[-1] if told else None

    return product.until(f"a verdict on {limit.name}", verdict, 150)


@pytest.mark.timeout(400)
def test_each_of_the_four_limits_rolls_back_what_breaks_it_with_its_numbers(
    product: Product,
) -> None:
    for limit in LIMITS:
        policy = manifests.rollout(
            ((20, 3000, 1),), name=limit.name, agent=limit.name, guardrails=FIVE_MINUTES
        )
        product.cluster.apply(agent(limit, "Answer in one sentence."), policy)
    stable = {limit.name: product.until_stable(limit.name) for limit in LIMITS}
    with contextlib.ExitStack() as traffic:
        loads = {
            limit.name: traffic.enter_context(product.live_traffic(8, limit.name))
            for limit in LIMITS
        }
        for limit in LIMITS:
            product.cluster.apply(agent(limit, "A bad change.", **limit.fake))
        for limit in LIMITS:
            verdict = until_rejected(product, limit)
            print(f"{limit.name}: {verdict['message']} ({verdict['tasks']} tasks)")
            assert (verdict["result"], verdict["reason"]) == ("Rejected", limit.reason)
            assert re.search(limit.words, verdict["message"]), verdict["message"]
            assert verdict["percent"] == 20
            assert verdict["users"] >= 3, "the canary really served"
            told = product.cluster.condition(f"agentrollout/{limit.name}", "RolledBack")
            assert told[:2] == ("True", limit.reason)
    for limit in LIMITS:
        product.until_all_ended(loads[limit.name], limit.name)
        assert product.share(limit.name) == 0
        later = product.crowd([f"later-{number}" for number in range(5)], limit.name)
        assert set(by_revision(later)) == {stable[limit.name]}
