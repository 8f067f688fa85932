"""What was decided on a canary is kept beside its record: a chain whose end is on the record itself."""

import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest

from penstock.analysis.pending import position
from penstock.names import AgentKey
from penstock.outcomes import Row
from penstock.rollout.recorded import Head
from penstock.rollout.verify import Checked, Outcome, Verification
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

PATIENT = {"latencyMeanSeconds": 3600}


def kept(product: Product, revision: str) -> list[str]:
    """The texts of the decisions on a revision; none while there are none."""
    named = [
        made["data"]
        for made in product.cluster.items("configmaps")
        if made["metadata"]["name"] == f"{revision}-decisions"
    ]
    return [text for data in named for _, text in sorted(data.items())]


@pytest.mark.timeout(400)
def test_each_decision_on_a_canary_is_kept_and_chained(product: Product) -> None:
    product.cluster.apply(
        manifests.agent("v1"), manifests.rollout(manifests.PARKED, guardrails=PATIENT)
    )
    stable = product.until_stable()
    product.cluster.apply(manifests.agent("v2"))
    canary = product.until_canary(stable)
    product.until_share(5)
    product.crowd([f"user-{number}" for number in range(40)])
    product.set_percent(20)
    product.until_share(20)

    def decisions() -> list[dict[str, Any]]:
        return [json.loads(text) for text in kept(product, canary)]

    product.until("three decisions are kept", lambda: len(decisions()) >= 3, seconds=30)
    found = decisions()
    assert [one["rule"] for one in found[:3]] == [
        "checks.superseded",
        "checks.first_step",
        "checks.setpoint",
    ]
    assert [one["after"]["percent"] for one in found[:3]] == [0, 5, 20]
    assert found[2]["measured"]["rows"]["count"] >= 40, "each of them was routed"

    def head() -> str:
        record = product.cluster.get("controllerrevision", canary)
        return str(record["metadata"]["annotations"].get("penstock.dev/decisions", ""))

    texts = kept(product, canary)
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    for (_, digest), (text, _) in pairwise(zip(texts, digests, strict=True)):
        assert json.loads(text)["previous"] == digest
    product.until(
        "the chain's end is on the record", lambda: head() == f"{len(texts)} {digests[-1]}"
    )
    told = product.rollout()["decisions"]
    assert told == {"revision": canary, "count": len(texts), "head": digests[-1]}
    follows_from_the_rows(product, texts, Head(len(texts), digests[-1]))
    the_terminal_says_the_same(product, len(texts))


def the_terminal_says_the_same(product: Product, count: int) -> None:
    """Of the local environment, without a token that a person gives it."""
    done = product.terminal("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} of {count} decisions are equal" in done.stdout


def follows_from_the_rows(product: Product, texts: list[str], head: Head) -> None:
    """Each decision is made again from the rows in Redis; of a log with one row less it is not."""
    agent = AgentKey(product.namespace, "support")
    rows = product.background.run(product.store.outcomes.rows(agent), 60)
    data = {f"{number:06}.json": text for number, text in enumerate(texts, 1)}

    def said(log: list[Row]) -> list[Checked]:
        looked = Verification(data, head)
        looked.add(log)
        return list(looked.finish())

    wrong = [one for one in said(rows) if one.outcome is not Outcome.EQUAL]
    assert not wrong, wrong[0]
    counted = json.loads(texts[-1])["measured"]["rows"]
    within = [row for row in rows if position(counted["since"]) < position(row.id)]
    assert position(within[0].id) <= position(counted["through"])
    less = [row for row in rows if row != within[0]]
    assert any(one.outcome is Outcome.DIFFERS for one in said(less))
