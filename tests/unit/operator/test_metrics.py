"""What is kept of an Agent in the measures, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from penstock import names
from penstock.names import AgentKey
from penstock.rollout.situation import Pods
from penstock_operator import metrics
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.kinds import ROLLOUT
from penstock_operator.cluster.reading import UnreadRollout
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile import shown
from penstock_operator.reconcile.gather import Sources
from penstock_operator.reconcile.measure import Measure
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.reconciler import Reconciler
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.test_plan import V2, trying_v2
from tests.unit.operator.test_reconcile import Writes
from tests.unit.operator.worlds import cut

GONE, THERE = AgentKey("acme", "gone"), AgentKey("acme", "there")
ORPHANED = AgentKey("acme", "support")


def share(key: AgentKey) -> float | None:
    labels = {"namespace": key.namespace, "agent": key.name}
    return metrics.REGISTRY.get_sample_value("penstock_rollout_share_percent", labels)


async def test_the_share_of_an_agent_goes_with_it_and_no_others_does() -> None:
    for key in (GONE, THERE):
        metrics.show(key, {(metrics.SHARE, (key.namespace, key.name)): 20.0})
    nothing = cast("Any", None)
    leads = Leadership.alone()
    sources = Sources(nothing, nothing, Cache(), Measure(nothing), worlds.INSTALLATION, 0.0, leads)
    reconciler = Reconciler(sources, lambda: datetime.now(UTC))
    for _ in range(2):
        assert await reconciler.reconcile(GONE) is None
        assert (share(GONE), share(THERE)) == (None, 20)
    metrics.forget(THERE)


async def test_a_former_leader_tells_nothing_of_agents_and_no_count_of_it_stands_still() -> None:
    leads = True
    metrics.led_by(lambda: leads)
    metrics.show(THERE, {(metrics.SHARE, ("acme", "there")): 20.0})
    assert (share(THERE), metrics.REGISTRY.get_sample_value("penstock_leader")) == (20, 1)
    leads = False
    assert (share(THERE), metrics.REGISTRY.get_sample_value("penstock_leader")) == (None, 0)
    leads = True
    assert share(THERE) == 20
    metrics.forget(THERE)


def test_an_operator_that_is_alone_leads() -> None:
    metrics.led_by(Leadership.alone().held)
    assert metrics.REGISTRY.get_sample_value("penstock_leader") == 1


def test_what_an_agent_waited_for_before_is_not_shown_beside_what_it_waits_for_now() -> None:
    place = ("acme", "there")
    for reason in ("Paused", "Holding"):
        metrics.show(THERE, {(metrics.WAITING, (*place, reason)): 1.0})
    shown = [s.labels["reason"] for m in metrics.WAITING.collect() for s in m.samples]
    assert shown == ["Holding"]
    metrics.forget(THERE)


def stalled() -> dict[str, str]:
    """Agent → for what a person must mend it, as far as that is shown."""
    samples = [sample for metric in metrics.STALLED.collect() for sample in metric.samples]
    return {sample.labels["agent"]: sample.labels["reason"] for sample in samples}


async def test_an_agentrollout_whose_agent_is_missing_is_shown_until_one_of_them_changes() -> None:
    cache, nothing = Cache(), cast("Any", None)
    orphan = rollout()
    cache.observe(ROLLOUT, orphan)
    leads, cluster = Leadership.alone(), cast("Any", Writes())
    sources = Sources(cluster, nothing, cache, Measure(nothing), worlds.INSTALLATION, 0.0, leads)
    reconciler = Reconciler(sources, lambda: datetime.now(UTC))
    for _ in range(2):
        await reconciler.reconcile(ORPHANED)
        assert stalled() == {"support": "AgentMissing"}
    cache.forget(ROLLOUT, orphan)
    await reconciler.reconcile(ORPHANED)
    assert stalled() == {}


def test_what_must_be_mended_is_shown_and_a_rollback_is_not_among_it() -> None:
    well = trying_v2()
    failing = {**well.pods, cut(V2).name: Pods(0, 1, "its pods are refused: failed quota")}
    back = trying_v2()
    back.rollouts[0].obj["metadata"]["annotations"] = {
        names.ANNOTATION_REQUEST: f"abort/{cut(V2).name}/1"
    }
    for made, reasons in (
        (well, set()),
        (replace(well, pods=failing), {"PodsFailing"}),
        (back, set()),
        (replace(well, rollouts=well.rollouts * 2), {"NotInCharge"}),
        (
            replace(well, unread_rollouts=(UnreadRollout.of(rollout(), "spec.unit is Ring"),)),
            {"Invalid"},
        ),
    ):
        found = shown.of_agent(ORPHANED, made, plan_agent(made))
        told = {labels[-1] for gauge, labels in found if gauge is metrics.STALLED}
        assert told == reasons
