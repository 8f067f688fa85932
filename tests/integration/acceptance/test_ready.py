"""What `kubectl wait` promises about the very next call, on the running product."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

AGENTS = [f"fresh-{number}" for number in range(4)]
SWITCHES = 16
pytestmark = pytest.mark.timeout(400)  # workers start one after the other


def test_once_an_agent_is_ready_the_next_call_is_admitted(product: Product) -> None:
    product.cluster.apply(*(manifests.agent(name=name) for name in AGENTS))

    def first_call(name: str) -> int:
        product.cluster.wait(f"agent/{name}", "Ready")
        return product.ask("anna", name).status_code

    with ThreadPoolExecutor(len(AGENTS)) as pool:
        assert set(pool.map(first_call, AGENTS)) == {202}
    first = AGENTS[0]
    answers: list[tuple[int, int]] = []
    for _ in range(SWITCHES):
        product.patch(f"agent/{first}", {"suspended": True})
        product.cluster.wait(f"agent/{first}", "Ready=false")
        stopped = product.ask("anna", first).status_code
        product.patch(f"agent/{first}", {"suspended": False})
        product.cluster.wait(f"agent/{first}", "Ready")
        answers.append((stopped, product.ask("anna", first).status_code))
    assert {admitted for _, admitted in answers} == {202}, answers


def test_once_an_agent_is_up_to_date_the_next_call_is_the_newest_revisions(
    product: Product,
) -> None:
    def release(words: str) -> dict[str, Any]:
        return manifests.agent(words, spec={"rolloutPolicy": "Immediate"})

    product.cluster.apply(release("First."))
    product.until_stable()
    for words in ("Second.", "Third."):
        product.cluster.apply(release(words))
        product.cluster.wait("agent/support", "UpToDate")
        task = product.ask("anna").json()
        assert task["revision"] == product.agent()["latestRevision"]
