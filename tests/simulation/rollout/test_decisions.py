"""The digest in a decision is that of the log: whoever reads the same rows finds it, wherever restarts fell."""

from __future__ import annotations

import pytest

from penstock.analysis.fold import position
from penstock.analysis.rowchain import RowChain
from penstock.traffic import Arm
from tests.simulation.rollout.traffic import Traffic, steady
from tests.unit.rollout.world import spec

ARMS = {Arm.STABLE: steady(), Arm.CANARY: steady(errors=0.3)}


class Kept(Traffic):
    """The whole log is kept; after so many passes the operator begins anew, from its status."""

    restarts_after = 0
    passes = 0

    def _pass(self):
        super()._pass()
        self.passes += 1
        if self.restarts_after and self.passes % self.restarts_after == 0:
            self.fold, self.status = None, type(self.status).model_validate(self.status.wire())

    def _rows(self):
        self.kept = getattr(self, "kept", []) + super()._rows()
        after = position(self.fold.read_after(self.now_ms))
        return [row for row in self.kept if position(row.id) > after]


def found(restarts_after):
    made = Kept(spec=spec(), weather=dict(ARMS), seed=5, tasks_per_second=4)
    made.restarts_after = restarts_after
    return made.run(600)


@pytest.mark.parametrize("restarts_after", [0, 1, 7])
def test_the_digest_of_a_verdict_is_that_of_the_rows_in_the_log(restarts_after):
    run = found(restarts_after)
    assert run.verdict.result == "Rejected"
    analysis = run.status.analysis
    first, last = position(analysis.rows.since), position(analysis.counted_through)
    chain = RowChain(since=analysis.rows.since)
    for row in run.kept:
        if first < position(row.id) <= last:
            chain.row(row)
    assert chain.seen == analysis.rows
    assert chain.count > 100
