"""A model that is away: the Agent's fallback answers, through the whole product, and its workers say what they keep."""

from typing import Any

import pytest

from penstock import protocol
from penstock.names import AgentKey, hash_of
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

pytestmark = pytest.mark.timeout(300)

HAIKU, SONNET = "claude-haiku-5-5", "claude-sonnet-5-5"


def declared(**model: Any) -> dict[str, Any]:
    return manifests.agent(
        faultyModels=[HAIKU],
        errorPercent=100,
        errorStatus=529,
        template={"model": {"name": HAIKU, "maxTokens": 256, "retries": 0, **model}},
    )


def spoken(product: Product, revision: str) -> int:
    key = AgentKey(product.namespace, "support")
    look = product.background.run(product.store.routes.look(key, [hash_of(revision)]))
    said = look.spoken.get(hash_of(revision))
    return said.number if said else 0


def test_a_fallback_answers_while_the_model_is_away(product: Product) -> None:
    product.cluster.apply(declared(fallbacks=[{"name": SONNET}]))
    revision = product.until_stable()
    told = [product.ask(user, wait=30).json() for user in ("ana", "ben", "carl")]
    assert {one["status"] for one in told} == {"Succeeded"}, told
    product.until("its worker says what it keeps", lambda: spoken(product, revision))
    assert spoken(product, revision) == protocol.SPOKEN
    status = product.cluster.kubectl("get", "agent/support", "-o", "jsonpath={..type}")
    assert "RuntimeTooOld" not in status


def test_without_one_its_tasks_fail(product: Product) -> None:
    product.cluster.apply(declared())
    product.until_stable()
    assert product.ask("ana", wait=30).json()["status"] == "Failed"
