"""A person's emergency brake while no operator runs: what holds when one comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from penstock import names
from penstock.traffic import Standing
from penstock_operator.cluster.reading import Rollout
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.world import World
from penstock_store.records import RevisionWork
from tests.unit.operator.test_plan import V2, trying_v2
from tests.unit.operator.worlds import cut

_PAGE = Path(__file__).parents[3] / "docs" / "operating" / "runbooks.md"


def braked(request: str = "") -> World:
    """The canary's Deployment was scaled to 0, so its tasks wait."""
    made = trying_v2(work={V2: RevisionWork(queued=17)})
    made.deployments[cut(V2).name]["spec"]["replicas"] = 0
    if not request:
        return made
    rollout = dict(made.rollouts[0].obj)
    rollout["metadata"] = {
        **rollout["metadata"],
        "annotations": {names.ANNOTATION_REQUEST: request},
    }
    return replace(made, rollouts=(Rollout.of(rollout),))


def test_the_request_of_the_runbook_hands_what_waits_to_stable_in_the_first_pass() -> None:
    section = _PAGE.read_text(encoding="utf-8").rpartition("With no operator at all")[2]
    request = section.partition(f'{names.ANNOTATION_REQUEST}="')[2].partition('"')[0]
    assert request
    request = request.replace("NAME-HASH", cut(V2).name).replace("$(date +%s)", "1")
    plan = plan_agent(braked(request))
    assert plan.route is not None
    assert plan.route.split.percent == 0
    assert plan.route.revisions[cut(V2).hash].standing is Standing.REJECTED
    assert plan.rehome == (cut(V2).hash,)


def test_without_a_word_the_share_stays_as_it_was() -> None:
    plan = plan_agent(braked())
    assert plan.route is not None
    assert plan.route.split.percent == 20
    assert not plan.rehome
