"""The runbook's sections on money: typed while a budget runs out, is spent, and is lifted."""

from __future__ import annotations

import re

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.cluster import Cluster
from tests.integration.documents.conftest import Follow

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

#: A call is billed some 30 tokens of it, and reserves some hundreds.
BUDGET = {"budgets": {"tokens": {"daily": 3000}, "minReplyTokens": 1}}


def test_a_budget_that_runs_out_is_seen_and_a_lift_goes_on(
    product: Product, runbook: Follow
) -> None:
    product.cluster.apply(manifests.agent(spec=BUDGET))
    stable = product.until_stable()
    with product.live_traffic(10):
        reason = lambda: product.cluster.condition("agent/support", "Ready")[1]
        product.until("its budget is spent", lambda: reason() == "BudgetSpent", 120)
    assert product.cluster.condition("agent/support", "Stalled")[:2] == ("False", "BudgetSpent")
    with runbook("PenstockBudgetLow") as section:
        told = section.type("budgetWindows")
        assert re.match(r"daily \d+ % of 3000 tokens 20\S+T00:00:00Z", told)
        assert f"{stable} " in section.type(".status.revisions")
        assert "FAILED" in section.type("--by user")
    assert "BudgetSpent" in product.cluster.kubectl("events", "--for", "agent/support")
    with runbook("PenstockBudgetSpent") as section:
        message = section.type("Ready")
        assert "budgets.tokens.daily" in message
        section.type("lastRequest")
        section.type("budget-lift")  # of dollars, which this Agent does not limit
        answer = lambda: (product.agent().get("lastRequest") or {}).get("result")
        product.until("it is answered", lambda: answer() == "Refused")
        assert "it has: agent/daily 3000 tokens" in section.type("lastRequest")
        lift = message.partition("More until then: ")[2].strip().replace("300tokens", "5000tokens")
        assert lift.startswith("kubectl annotate agent support")
        section.shell.succeeds(lift)
        product.until("it is lifted", lambda: answer() == "Accepted")
        assert "agent/daily: 5000 tokens more until" in section.type("lastRequest")
    product.until("it serves", lambda: reason() == "Serving", 60)
    (kept,) = product.agent()["lifts"]
    assert kept["by"], "kubectl says who I am"
    assert "BudgetLifted" in product.cluster.kubectl("events", "--for", "agent/support")
    typed = lambda words: section.shell.succeeds(f"kubectl penstock budget {words}")
    assert "agent/daily: 100 tokens more until" in typed(
        f"lift support agent/daily 100tokens -n {product.namespace}"
    )
    assert re.search(r"agent/daily +tokens +8100 ", typed(f"show support -n {product.namespace}"))
    assert "support" in typed(f"top -n {product.namespace}").splitlines()[1]
    assert (
        "refused the lift"
        in section.shell.run(
            f"kubectl penstock budget lift support user/daily 1 -n {product.namespace}"
        ).stdout
    )
    task = product.ask("zoe").json()["id"]
    product.until("a task succeeds", lambda: product.read(task)["status"] == "Succeeded")


def test_what_is_typed_about_prices_shows_model_and_log(
    product: Product, runbook: Follow, installation: Cluster
) -> None:
    product.cluster.apply(manifests.agent())
    with runbook("PenstockBoundExceeded") as section:
        assert "claude-haiku-5-5" in section.type("spec.template.model")
    with runbook("PenstockPricesUnreadable") as section:
        assert "cannot be read" not in section.type("prices of the chart")
