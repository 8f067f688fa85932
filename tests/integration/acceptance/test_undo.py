"""On the running product: a person goes back to a former revision, by one command, and it holds."""

import contextlib
from typing import Any

import pytest

from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

#: A worker starts in seconds, and in minutes where the machine is crowded.
PATIENCE_SECONDS = 180.0


def version(number: str) -> dict[str, Any]:
    """An Agent that declares its version."""
    return manifests.agent(f"Version {number}.", template={"version": number})


def release(product: Product, number: str, before: str) -> str:
    """Apply a version and promote it by hand; its revision, which serves everybody now."""
    product.cluster.apply(version(number))
    canary = product.until_canary(before, seconds=PATIENCE_SECONDS)
    product.request("promote-full", number)
    until_serves(product, canary)
    return canary


def until_serves(product: Product, revision: str) -> None:
    """Wait until a revision is stable, by what is decided and by what is in force."""

    def serves() -> bool:
        decided = product.rollout().get("stableRevision")
        return decided == revision == product.agent().get("stableRevision")

    product.until(f"{revision} serves", serves, PATIENCE_SECONDS)


def who_answers(product: Product, prefix: str) -> set[str]:
    """The revisions that forty users are given to."""
    return {one.revision for one in product.crowd([f"{prefix}-{n}" for n in range(40)])}


def rejected(product: Product) -> set[str]:
    """The revisions whose last verdict is a rejection."""
    last = {one["revision"]: one["result"] for one in product.rollout()["verdicts"]}
    return {name for name, result in last.items() if result == "Rejected"}


@pytest.fixture
def two(product: Product) -> tuple[str, str]:
    """Version 1.0 has served and has no worker any more, 2.0 serves."""
    product.cluster.apply(version("1.0"), manifests.rollout(manifests.PARKED))
    first = product.until_stable(seconds=PATIENCE_SECONDS)
    second = release(product, "2.0", first)
    product.until(
        "the workers of 1.0 are gone",
        lambda: not product.cluster.get("deployment", first),
        PATIENCE_SECONDS,
    )
    return first, second


@pytest.mark.timeout(900)
def test_undo_serves_the_former_version_to_all_and_what_was_undone_stays_back(
    product: Product, two: tuple[str, str]
) -> None:
    first, second = two
    with product.live_traffic(4) as load:
        assert who_answers(product, "before") == {second}
        product.request("undo", "1.0")
        until_serves(product, first)
        assert who_answers(product, "after") == {first}
    assert not load.refused, "nobody was turned away meanwhile"
    product.until_all_ended(load)
    assert product.rollout()["lastRequest"]["result"] == "Accepted"
    for resource, kind, status, reason in (
        ("agentrollout", "Ready", "False", "RolledBack"),
        ("agentrollout", "Stalled", "True", "RolledBack"),
        ("agent", "Ready", "True", "Serving"),
        ("agent", "UpToDate", "False", "CandidateRejected"),
    ):
        product.cluster.until_condition(f"{resource}/support", kind, status, reason)
    product.kill_operator()
    product.cluster.apply(version("2.0"))
    assert who_answers(product, "restarted") == {first}
    assert rejected(product) == {second}
    product.request("retry", "2.0")
    assert product.until_canary(first, seconds=PATIENCE_SECONDS) == second
    product.until_share(5, seconds=PATIENCE_SECONDS)
    product.cluster.apply(version("3.0"))
    product.until(
        "3.0 is tried",
        lambda: product.rollout()["canaryRevision"] not in (first, second),
        PATIENCE_SECONDS,
    )
    product.until_share(5, seconds=PATIENCE_SECONDS)
    assert product.rollout()["stableRevision"] == first


@pytest.mark.timeout(900)
def test_undo_in_mid_rollout_leaves_both_and_an_operator_that_dies_meanwhile_goes_on(
    product: Product, two: tuple[str, str]
) -> None:
    first, second = two
    product.cluster.apply(version("3.0"))
    third = product.until_canary(second, seconds=PATIENCE_SECONDS)
    product.set_percent(50)
    product.until_share(50)
    product.request("undo", "3.0")

    def answer() -> dict[str, str]:
        found: dict[str, str] = product.rollout().get("lastRequest", {})
        return found if found.get("value", "").startswith("undo/") else {}

    refused = product.until("an answer", answer)
    assert refused["result"] == "Refused"
    choice = refused["message"].partition("undo can go back to ")[2]
    assert f"{first} (1.0)" in choice
    assert f"{second} (2.0)" in choice
    assert product.share() == 50
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(product.live_traffic(4))
        product.request("undo", first)
        product.kill_operator()
        until_serves(product, first)
        assert who_answers(product, "after") == {first}
    product.until_all_ended(load)
    assert rejected(product) == {second, third}
    assert product.rollout()["canaryRevision"] == third, "which spec.template still declares"
    assert product.share() == 0
