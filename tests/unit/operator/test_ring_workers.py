"""A canary that was taken off with the users of its rings keeps the workers that they need."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.api.interruptions import Suspension
from penstock.api.rollout import Source
from penstock_operator.reconcile.course import chart
from penstock_operator.reconcile.stock import take_stock
from penstock_operator.reconcile.workforce import muster
from penstock_store.records import RevisionWork
from tests.unit.operator.test_ring_route import V1, V2, in_ring
from tests.unit.operator.worlds import cut


@pytest.mark.parametrize(("made", "replicas"), [(50, 4), (0, 1)], ids=["half", "nothing"])
def test_workers_are_asked_for_by_what_its_users_made(made, replicas):
    found = in_ring(source=Source.SUSPENDED)
    (rollout,) = found.rollouts
    off = Suspension(reason="RowsLost", since="2026-11-21T09:59:30Z", work_percent=made)
    status = rollout.status.model_copy(update={"suspension": off})
    work = {cut(V1).hash: RevisionWork(running=256), cut(V2).hash: RevisionWork()}
    found = replace(
        found,
        rollouts=(replace(rollout, status=status),),
        look=replace(found.look, work=work),
        observation=None,
    )
    stock = take_stock(found)
    crews = {crew.known.name: crew for crew in muster(found, stock, chart(found, stock))}
    assert crews[cut(V2).name].standing == "Withdrawn"
    assert crews[cut(V2).name].replicas == replicas
