"""The brakes of the runbook's last section: each acts, and no operator that comes back lets one go."""

from __future__ import annotations

import pytest

from penstock import names
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import Load, by_revision
from tests.integration.documents.conftest import ROLLOUT, Follow
from tests.integration.documents.typist import Section

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(560)]


def test_every_brake_of_a_person_acts_and_stays_whatever_operator_comes_back(
    product: Product, runbook: Follow
) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(manifests.PARKED, name=ROLLOUT))
    stable = product.until_stable()
    with runbook("By hand, when nothing else works") as page, product.live_traffic(8) as load:
        kill_switch(product, page)
        canary = product.until_canary(stable, ROLLOUT)
        page.words["REVISION"] = canary
        until_both_serve(product, load, {stable, canary})
        no_share(product, page, load, stable)
        until_both_serve(product, load, {stable, canary})
        no_workers(product, page, canary)
    log = product.until_all_ended(load, seconds=180)
    assert log.rehomed & log.ended_on(names.hash_of(stable)), "what waited was given to stable"


def until_both_serve(product: Product, load: Load, both: set[str]) -> None:
    product.set_percent(50, ROLLOUT)
    served = lambda: set(by_revision(load.accepted[-30:])) == both
    product.until("both serve", served, seconds=90)


def kill_switch(product: Product, page: Section) -> None:
    """Suspended by hand: neither another operator nor another template takes that back."""
    product.until("it accepts", lambda: product.ask("ana").status_code == 202)
    page.type('"suspended":true')
    product.until("it refuses", lambda: product.ask("ana").status_code == 503)
    former = product.agent()["latestRevision"]
    product.kill_operator()
    product.cluster.apply(manifests.agent("v2"))
    product.until("a revision is cut", lambda: product.agent()["latestRevision"] != former)
    assert product.ask("ana").json()["type"].endswith("/agent-suspended")
    assert product.cluster.get("agent", "support")["spec"]["suspended"] is True
    page.type('"suspended":false')
    product.until("it accepts", lambda: product.ask("ana").status_code == 202)


def no_share(product: Product, page: Section, load: Load, stable: str) -> None:
    """A canary without a share keeps none, and is not condemned."""
    page.type('"canaryPercent":0')
    product.until_share(0, ROLLOUT)
    product.kill_operator()
    so_far = len(load.accepted)
    product.until("more users come", lambda: len(load.accepted) >= so_far + 60, seconds=90)
    assert set(by_revision(load.accepted[so_far + 20 :])) == {stable}
    status = product.rollout(ROLLOUT)
    assert (status["share"]["percent"], status["share"]["source"]) == (0, "Setpoint")
    assert status["verdicts"] == []


def no_workers(product: Product, page: Section, canary: str) -> None:
    """Without an operator: no workers, then the abort; what comes back gives the canary nothing."""
    product.stop("operator")
    try:
        page.type("scale deployment")
        product.until("its workers are gone", lambda: not product.worker_pids(canary), 90)
        product.until("its tasks wait", lambda: product.work(canary).queued >= 5, 90)
        ended = product.log().ended_on(names.hash_of(canary))
        page.type("abort/")
    finally:
        product.start("operator")
    verdict = product.until_verdict(canary, ROLLOUT, seconds=120)
    assert (verdict["result"], verdict["reason"]) == ("Rejected", "Aborted")
    product.until("nothing waits", lambda: product.work(canary).queued == 0, 90)
    assert product.log().ended_on(names.hash_of(canary)) == ended
    assert product.share(ROLLOUT) == 0
