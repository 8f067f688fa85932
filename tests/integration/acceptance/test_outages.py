"""Redis or the API server is away for a while: traffic as recorded, nothing promoted by it."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from penstock import names
from penstock.api.condition import moment
from penstock.task import TaskStatus
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import Load, by_revision

AWAY_SECONDS = 10.0


HOLD_SECONDS = 12
#: At 20 % for a while that begins before the outage and ends during it.
STEPS: manifests.Steps = ((20, HOLD_SECONDS, 1), (50, 3000, 1))


def until_canary_serves(product: Product, load: Load, stable: str) -> str:
    """A canary at 20 % with at least one task; its name."""
    product.cluster.apply(manifests.agent("v2"))
    canary = product.until_canary(stable)
    product.until_share(20)
    product.until("a task of the canary", lambda: by_revision(load.accepted)[canary])
    return canary


def hold_ends(product: Product) -> datetime:
    """When the step at 20 %, in which the rollout is, is over, and a pass or two more."""
    began = moment(product.rollout()["stepStartedAt"])
    return began + timedelta(seconds=HOLD_SECONDS + 4)


def stay_away(gone: float, over: datetime) -> None:
    """The outage itself: it lasts for some seconds, and until the hold is over."""
    left = (over - datetime.now(UTC)).total_seconds()
    time.sleep(max(0.0, left, gone + AWAY_SECONDS - time.monotonic()))


@pytest.mark.timeout(300)
def test_while_redis_is_away_nothing_is_raised_and_no_accepted_task_is_lost(
    product: Product,
) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(STEPS))
    stable = product.until_stable()
    with product.live_traffic(15) as load:
        canary = until_canary_serves(product, load, stable)
        over = hold_ends(product)
        product.stop("redis")
        gone = time.monotonic()
        try:
            product.until(
                "the rollout says that it cannot measure",
                lambda: (
                    product.cluster.condition("agentrollout/support", "Progressing")[1]
                    == "StoreUnavailable"
                ),
            )
            stay_away(gone, over)
            assert product.share() == 20, "the hold is over, and still nothing was raised"
            assert product.agent()["stableRevision"] == stable
            assert product.rollout()["verdicts"] == []
        finally:
            product.start("redis")
        product.until("users are served again", lambda: load.since(time.monotonic() - 1))
        product.until_share(50)
    assert any(kind.startswith("503 store-unavailable") for kind in load.refused), load.refused
    log = product.until_all_ended(load)
    assert log.ended_on(names.hash_of(canary))
    assert {task.status for task in product.tasks(load.tasks)} == {TaskStatus.SUCCEEDED}


@pytest.mark.timeout(300)
def test_while_the_api_server_is_away_users_are_served_as_the_route_says(product: Product) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(STEPS))
    stable = product.until_stable()
    with product.live_traffic(15) as load:
        canary = until_canary_serves(product, load, stable)
        over = hold_ends(product)
        product.stop("kube-apiserver", kill=True)
        gone = time.monotonic()
        try:
            stay_away(gone, over)
            served = by_revision(load.since(gone))
        finally:
            product.start("kube-apiserver")
        print(f"served while the API server was away: {dict(served)}")
        assert set(served) == {stable, canary}
        assert served[canary] < served[stable]
        product.until("the API server answers", lambda: _answers(product))
        assert product.agent()["stableRevision"] == stable
        assert product.share() in (20, 50)
        product.until_share(50)
        assert product.rollout()["canaryRevision"] == canary
        assert product.rollout()["verdicts"] == []
    product.until_all_ended(load)
    assert load.refused.total() == 0, load.refused
    assert {task.status for task in product.tasks(load.tasks)} == {TaskStatus.SUCCEEDED}


def _answers(product: Product) -> bool:
    said = product.cluster.kubectl("get", "agent", "support", "-o", "name", check=False)
    return said.strip() == "agent.penstock.dev/support"
