"""A canary that loops: stopped at its cap, while its agent's users and another agent notice nothing."""

from typing import Any

import pytest

from penstock import names
from penstock.money.ledger import Scope
from penstock.names import AgentKey
from penstock.task import TaskStatus
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

CAP = 20_000  # micro-USD
#: A tool that never answers well: whoever asks for it again and again gets nowhere.
NOWHERE = {
    "name": "look_up",
    "inputSchema": {"type": "object"},
    "effect": "ReadOnly",
    "approval": {"mode": "None"},
    "timeoutSeconds": 1,
    "http": {"url": "http://127.0.0.1:9/"},
}
ENDLESS = {"modelCalls": 1000, "toolCalls": 900, "identicalActions": 100, "inputTokens": 1_000_000}
#: On a busy machine a loop is slow before it is dear; here it is stopped for what it spends alone.
PATIENT = {"latencyMeanSeconds": 3600, "errorRatePercent": 100}
TEMPLATE = {"tools": [NOWHERE], "limits": {**ENDLESS, "costUSD": "5", "wallSeconds": 600}}
BUDGET = {"budgets": {"costUSD": {"daily": "1000"}}}


def policy(cap: str) -> dict[str, Any]:
    made = manifests.rollout(((20, 3000, 1),), guardrails=PATIENT)
    made["spec"]["analysis"]["canarySpendCapUSD"] = cap
    return made


def spent(product: Product, canary: str) -> int:
    """What the canary has spent of its cap, with what calls that run hold."""
    key, revision = AgentKey(product.namespace, "support"), names.hash_of(canary)
    said = product.background.run(product.store.ledger.spending(key, canary=revision))
    (found,) = [one for one in said.windows if one.scope is Scope.CANARY]
    return found.settled.micro_usd + found.held.micro_usd


def until_stopped(product: Product) -> str:
    """Wait until the canary is stopped, which is no verdict; what is told of it."""

    def stopped() -> str:
        status, reason, message = product.cluster.condition("agentrollout/support", "Stopped")
        return message if (status, reason) == ("True", "SpendCapReached") else ""

    message = str(product.until("the canary is stopped", stopped))
    print(message)
    assert product.share() == 0
    assert not product.rollout().get("verdicts")
    return message


@pytest.mark.timeout(400)
def test_a_looping_canary_is_stopped_at_its_cap_and_a_higher_cap_or_a_person_lets_it_go_on(
    product: Product,
) -> None:
    good = manifests.agent("Answer in one sentence.", template=TEMPLATE, spec=BUDGET)
    other = manifests.agent("Answer in one sentence.", name="other")
    product.cluster.apply(good, policy("0.02"), other)
    stable = product.until_stable()
    product.until_stable("other")
    with product.live_traffic(8) as load, product.live_traffic(4, "other") as others:
        loops = manifests.agent("Loop.", template=TEMPLATE, spec=BUDGET, loopTool="look_up")
        product.cluster.apply(loops)
        canary = product.until_canary(stable)
        message = until_stopped(product)
    assert "of the 0.020000 USD that analysis.canarySpendCapUSD leaves it" in message
    assert by_revision(load.accepted)[canary] >= 3, "the canary really served"
    product.until_all_ended(load)
    product.until_all_ended(others, "other")
    ended = product.tasks(sorted(load.tasks | others.tasks))
    assert {task.status for task in ended} == {TaskStatus.SUCCEEDED}
    assert CAP / 2 < spent(product, canary) <= CAP
    later = product.crowd([f"later-{number}" for number in range(10)])
    assert set(by_revision(later)) == {stable}

    product.cluster.apply(policy("0.04"))
    product.until_share(20)
    with product.live_traffic(8) as again:
        until_stopped(product)
    assert by_revision(again.accepted)[canary] >= 1
    product.until_all_ended(again)
    assert CAP < spent(product, canary) <= 2 * CAP

    product.request("promote", canary)
    product.until_share(20)
    last = product.rollout()["lastRequest"]
    assert last["result"] == "Accepted"
    assert "spends what the Agent's own budgets allow" in last["message"]
    assert product.cluster.condition("agentrollout/support", "Stopped")[:2] == ("False", "NotStopped")  # fmt: skip
