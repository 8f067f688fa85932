"""A good revision from `kubectl apply` to promoted, as kubectl tells it."""

import re

import pytest

from penstock import names
from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.election import history


def columns(product: Product, kind: str) -> dict[str, str]:
    """The one row of `kubectl get` by its headings; an empty cell is an empty string."""
    head, row = product.cluster.kubectl("get", kind).splitlines()
    titles = list(re.finditer(r"\S+", head))
    ends = [title.start() for title in titles[1:]] + [len(row)]
    return {
        title[0]: row[title.start() : end].strip() for title, end in zip(titles, ends, strict=True)
    }


@pytest.mark.timeout(400)
def test_a_good_revision_climbs_to_everybody_and_kubectl_tells_the_story(product: Product) -> None:
    cluster = product.cluster
    cluster.apply(manifests.agent("Answer in one sentence."), manifests.rollout())
    stable = product.until_stable()
    assert (
        columns(product, "agents").items()
        >= {
            "MODEL": "claude-haiku-5-5",
            "READY": "True",
            "STATUS": "Serving",
            "STABLE": stable,
            "CANARY": "",
        }.items()
    )
    told: list[str] = []

    def promoted() -> bool:
        status = product.rollout()
        if status["share"]["percent"]:
            told.append(product.cluster.kubectl("get", "agents,agentrollouts"))
        return bool(status["stableRevision"] == canary)

    with (
        history.watched(product.environment, product.namespace) as seen,
        product.live_traffic(25) as load,
    ):
        product.until("stable serves", lambda: product.log().ended_on(names.hash_of(stable)))
        cluster.apply(manifests.agent("Answer in three words."))
        canary = product.until_canary(stable)
        product.until(f"{canary} is promoted", promoted)
        climbed = product.until(
            "the watch has told of it",
            lambda: (
                (shares := seen.shares("support"))[-1:] == [0] and [one for one in shares if one]
            ),
        )
    print("\n".join(told))
    log = product.until_all_ended(load)
    assert climbed == [5, 20, 50, 95]
    verdict = product.rollout()["verdicts"][-1]
    assert (verdict["revision"], verdict["result"], verdict["reason"]) == (
        canary,
        "Promoted",
        "AllStepsPassed",
    )
    assert any(stable in text and canary in text for text in told), "kubectl tells of both"
    assert log.routed_to(Arm.CANARY) >= 40, "it was promoted on evidence"
    assert load.refused.total() == 0, load.refused
    product.until(
        "the former stable is drained and closed",
        lambda: (
            cluster.get("deployment", stable) is None
            and [item["name"] for item in product.agent()["revisions"]] == [canary]
        ),
    )
    assert cluster.get("controllerrevision", stable), "its record is kept"
    after = columns(product, "agentrollouts")
    assert (after["STABLE"], after["NOW"], after["STATUS"]) == (canary, "0", "Stable")
    reasons = {event["reason"] for event in cluster.items("events")}
    assert {"RevisionCreated", "CandidateStarted", "StepPassed", "Promoted"} <= reasons


def test_explain_gives_the_command_that_moves_the_share(product: Product) -> None:
    said = " ".join(product.cluster.kubectl("explain", "agentrollout.spec.traffic").split())
    assert "kubectl patch agentrollout NAME --type merge -p" in said
    assert "canaryPercent" in said
