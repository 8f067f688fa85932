"""A first revision climbs: who is not given to it is refused, a bad one never gets there, a good one serves everybody."""

from typing import Any

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision


def policy(name: str, *steps: tuple[int, int, int], **guardrails: Any) -> dict[str, Any]:
    made = manifests.rollout(steps, name=name, agent=name, guardrails=guardrails)
    made["spec"]["strategy"]["firstRevision"] = "Steps"
    return made


def refuses_everybody(product: Product, name: str) -> bool:
    answers = [product.ask(f"user-{number}", name) for number in range(5)]
    return {answer.status_code for answer in answers} == {503}


def told_to_a_person(product: Product, name: str) -> tuple[str, ...] | None:
    stalled = product.cluster.condition(f"agent/{name}", "Stalled")
    return stalled if stalled[0] == "True" else None


@pytest.mark.timeout(500)
def test_the_first_revision_climbs_and_only_a_good_one_gets_to_everybody(product: Product) -> None:
    product.cluster.apply(
        manifests.agent(name="good"),
        policy("good", (20, 3, 3), (50, 3000, 1)),
        manifests.agent(name="bad", errorPercent=70),
        policy("bad", (50, 3000, 1), onStable="Rollback"),
    )
    with product.live_traffic(10, "good") as load, product.live_traffic(10, "bad"):
        product.until("it serves half of its users", lambda: product.share("good") == 50, 150)
        refused = product.until(
            "somebody is refused",
            lambda: next(
                (
                    one
                    for n in range(60)
                    if (one := product.ask(f"new-{n}", "good")).status_code == 503
                ),
                None,
            ),
        )
        assert refused.json()["type"].endswith("/not-assigned")
        assert refused.headers["Retry-After"] == "60"
        ready = product.cluster.condition("agent/good", "Ready")
        assert ready[:2] == ("False", "FirstRevisionClimbs")
        assert "everybody else is refused" in ready[2]
        (serves,) = by_revision(load.accepted)
        product.kill_operator()
        (verdict,) = product.until("a verdict", lambda: product.rollout("bad").get("verdicts"), 150)
        print(verdict)
        product.until("nobody of the bad one is served", lambda: refuses_everybody(product, "bad"))
        assert (verdict["result"], verdict["check"], verdict["percent"]) == (
            "Rejected",
            "errorRate",
            50,
        )
        assert verdict["users"], "it really served"
        stalled = product.until("it is told", lambda: told_to_a_person(product, "bad"))
        assert stalled[1] == "CandidateRejected"
        assert "retry: kubectl annotate agentrollout bad" in stalled[2]
        assert product.share("good") == 50
        product.request("promote-full", serves, "good")
        assert product.until_stable("good") == serves
    unseen = {"404 agent-not-found", "503 no-route"}  # before the operator has looked at it
    assert set(load.refused) <= {"503 not-assigned", *unseen}
    assert {one.revision for one in product.crowd([f"new-{n}" for n in range(60)], "good")} == {
        serves
    }
    product.until_all_ended(load, "good")
