"""What is kept of an Agent in the measures, and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.cluster.cache import Cache
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.gather import Sources
from penstock_operator.reconcile.measure import Measure
from penstock_operator.reconcile.reconciler import Reconciler
from tests.unit.operator import worlds

GONE, THERE = AgentKey("acme", "gone"), AgentKey("acme", "there")


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
