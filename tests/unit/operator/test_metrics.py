"""What is kept of an Agent in the measures, and until when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.cache import Cache
from penstock_operator.gather import Sources
from penstock_operator.measure import Measure
from penstock_operator.reconcile import Reconciler
from tests.unit.operator import worlds

GONE, THERE = AgentKey("acme", "gone"), AgentKey("acme", "there")


def share(key: AgentKey) -> float | None:
    labels = {"namespace": key.namespace, "agent": key.name}
    return metrics.REGISTRY.get_sample_value("penstock_rollout_share_percent", labels)


async def test_the_share_of_an_agent_goes_with_it_and_no_others_does() -> None:
    for key in (GONE, THERE):
        metrics.SHARE.labels(key.namespace, key.name).set(20)
    nothing = cast("Any", None)
    sources = Sources(nothing, nothing, Cache(), Measure(nothing), worlds.INSTALLATION, 0.0)
    reconciler = Reconciler(sources, lambda: datetime.now(UTC))
    for _ in range(2):
        assert await reconciler.reconcile(GONE) is None
        assert (share(GONE), share(THERE)) == (None, 20)
    metrics.forget(THERE)
