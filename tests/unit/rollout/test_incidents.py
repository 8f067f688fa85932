"""What follows when stable breaks a limit as well as the canary does."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.analysis import Analysis, Guardrails, OnSharedIncident
from penstock.api.comparison import CheckName
from tests.unit.rollout.test_deadlines import declare
from tests.unit.rollout.test_does_not_come_back import with_a_gap
from tests.unit.rollout.world import BAD, world_at

OUTAGE = Tally(tasks=60, errors=40)
SUSPEND, HOLD, ROLLBACK = (
    OnSharedIncident.SUSPEND, OnSharedIncident.HOLD, OnSharedIncident.ROLLBACK,
)  # fmt: skip


def analysis(follows, **more):
    return Analysis(guardrails=Guardrails(on_shared_incident=follows), **more)


def incident(follows, **more):
    """Both fail, at 20 %."""
    return world_at(20, analysis=analysis(follows, **more)).measure(OUTAGE, OUTAGE)


@pytest.mark.parametrize(
    ("follows", "percent", "waits"),
    [(SUSPEND, 0, "SharedIncident"), (HOLD, 20, "Holding"), (ROLLBACK, 0, "RolledBack")],
)
def test_what_follows_an_incident_of_both_is_declared(follows, percent, waits):
    world = incident(follows).decide()
    assert (world.percent, world.waits) == (percent, waits)


def test_held_it_keeps_its_users_and_goes_on_when_stable_is_well():
    world = incident(HOLD).step_over()
    assert (world.percent, world.waits) == (20, "SharedIncident")
    assert world.condition("Suspended")[0] == "False"
    assert world.condition("Ready") == ("True", "SharedIncident")
    assert "goes on by itself when stable is within its limits again" in world.message(
        "Progressing"
    )
    assert world.after(10**4).decide().percent == 20
    assert world.measure().decide().percent == 50


def test_held_it_is_still_condemned_for_what_is_its_own():
    assert incident(HOLD).step_over().measure(canary=BAD).decide().waits == "RolledBack"


def test_held_it_may_be_lowered_by_a_person():
    assert incident(HOLD).step_over().set(5).decide().percent == 5


def test_an_incident_of_both_is_no_delay():
    world = declare(incident(HOLD), "Rollback", 100).step_over().after(10**4).decide()
    assert (world.waits, world.verdicts) == ("SharedIncident", [])


def test_rolled_back_it_says_that_stable_was_over_the_limit_too():
    world = incident(ROLLBACK).decide()
    verdict = world.verdicts[-1]
    assert (verdict.result, verdict.reason, verdict.check) == (
        "Rejected", "ErrorRateRegression", "errorRate",
    )  # fmt: skip
    assert "stable is over the limit too (onSharedIncident: Rollback)" in verdict.message


def test_on_numbers_that_lack_rows_it_is_taken_off_and_nobody_is_condemned():
    world = with_a_gap(incident(ROLLBACK)).decide()
    assert (world.percent, world.waits, world.verdicts) == (0, "SharedIncident", [])


@pytest.mark.parametrize("follows", [SUSPEND, HOLD, ROLLBACK])
def test_what_only_reports_decides_nothing_of_it(follows):
    world = incident(follows, dry_run=(CheckName.ERROR_RATE,)).decide()
    assert (world.percent, world.verdicts) == (20, [])
    assert world.condition("Suspended")[0] == "False"
    assert world.step_over().percent == 50, "nor does it hold a raise"


def test_an_incident_of_what_only_reports_keeps_nobody_off():
    world = incident(SUSPEND).decide()
    assert (world.percent, world.waits) == (0, "SharedIncident")
    world.edit(analysis=analysis(SUSPEND, dry_run=(CheckName.ERROR_RATE,)))
    assert world.measure(OUTAGE, OUTAGE).after(1).decide().percent == 20


def test_who_is_off_already_comes_back_by_itself_whatever_is_declared_then():
    world = incident(SUSPEND).decide().edit(analysis=analysis(ROLLBACK)).decide()
    assert (world.waits, world.verdicts) == ("SharedIncident", [])
    assert world.measure().after(1).decide().percent == 20
