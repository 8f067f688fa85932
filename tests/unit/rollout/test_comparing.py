"""What the comparison does to a rollout, and that nothing happens where none is declared."""

from __future__ import annotations

import pytest

from penstock.analysis.comparison.proof import Unproven
from penstock.analysis.scope import scope_of
from penstock.api.analysis import Analysis
from penstock.api.comparison import CheckName, Comparison, IgnoreBelow, NextStepMayAdd
from penstock.api.strategy import Step, Strategy
from penstock.rollout import evidence_since, numbers
from penstock.rollout.facts import Facts
from penstock.rollout.onlooker import Says, explain
from penstock.rollout.words import compared
from penstock.task import Counting
from tests.unit.analysis.test_unseen import tried
from tests.unit.rollout.beside import COMPARED, alike, beside
from tests.unit.rollout.world import APPROVED_AT_20, GOOD, C, Tally, canary_world, world_at

WORSE = beside(errors=0.12)
ALIKE = beside()
WORSE_A_LITTLE = beside(errors=0.025)
FEW = beside(minutes=2, ours=2, theirs=30)
#: Longer than a minute, so that the longest wait is not over with the hold.
PATIENT = tuple(
    Step(percent=p, hold_seconds=60, max_wait_seconds=600, min_tasks=20) for p in (5, 20, 50)
)


def analysis(**fields):
    return Analysis(comparison=Comparison(), **fields)


def verdict(world):
    return world.verdicts[-1]


def test_a_canary_that_is_proven_worse_is_rolled_back_within_its_limits():
    """4 % of its tasks fail, where 5 % may; stable's fail at 0.5 %."""
    seen = beside(minutes=20, errors=0.04, stable_errors=0.005)
    world = canary_world(analysis=COMPARED).measure(GOOD._replace(errors=4), GOOD, seen).decide()
    assert world.percent == 0
    assert verdict(world).reason == "ErrorRateRegression"
    assert verdict(world).check == "errorRateToStable"
    assert "worse than stable" in verdict(world).message
    assert "4.0 % (4/100)" in verdict(world).message


def test_where_rates_since_it_began_say_the_contrary_it_is_told_what_the_same_minutes_say():
    """Stable had more failures than all that are known of a canary of few minutes."""
    seen = beside(minutes=20, errors=0.04, stable_errors=0.005)
    stable = GOOD._replace(errors=5)
    world = canary_world(analysis=COMPARED).measure(GOOD._replace(errors=4), stable, seen).decide()
    told = "4.0 % (4/100) on the canary and 5.0 % (5/100) on stable since it began"
    assert f"{told}, 3.5 points more in the same minutes: " in verdict(world).message


def test_a_canary_that_is_slower_is_rolled_back_for_that():
    world = canary_world(analysis=COMPARED).measure(compared=beside(seconds=4.0)).decide()
    assert verdict(world).reason == "LatencyRegression"
    assert "points" not in verdict(world).message


@pytest.mark.parametrize("seen", [WORSE, FEW])
def test_where_no_comparison_is_declared_nothing_of_it_is_asked(seen):
    world = canary_world().measure(compared=seen).decide()
    assert world.percent == 5
    assert world.status.analysis.comparison is None
    assert {check.name for check in world.status.analysis.checks} == {
        "errorRate",
        "latencyMean",
        "escalationRate",
    }
    assert world.step_over().percent == 20


def test_what_is_proven_harmless_goes_on_when_its_hold_is_over():
    world = canary_world(analysis=COMPARED).measure(compared=ALIKE).decide()
    assert world.step_over().percent == 20


def test_what_is_not_proven_waits_until_its_time_is_up():
    world = canary_world(analysis=COMPARED, steps=PATIENT).measure(compared=FEW).decide()
    world.step_over()
    assert world.percent == 5
    assert world.waits == "AwaitingEvidence"
    assert "how many failed tasks it would add (may: 20 per 1,000 tasks)" in world.message(
        "Progressing"
    )
    assert "It goes there without proof at" in world.message("Progressing")
    assert world.after(600).decide().percent == 20


def test_on_hold_it_waits_for_ever():
    declared = analysis(on_no_evidence="Hold")
    world = canary_world(analysis=declared, steps=PATIENT).measure(compared=FEW).decide()
    assert world.after(6000).decide().percent == 5
    assert world.ask("promote").decide().percent == 20, "a person's word does it"


def test_no_time_replaces_the_proof_of_the_limits_before_more_than_half_of_the_users():
    world = world_at(50, analysis=COMPARED, steps=PATIENT)
    world.measure(compared=FEW).decide()
    world.after(100_000).decide()
    assert world.percent == 50
    assert "error rate of 8 % is not ruled out" in world.message("Progressing")
    assert "more tasks of the canary are needed" in world.message("Progressing")
    assert world.measure(compared=alike()).decide().percent == 95


def test_nor_is_it_promoted_without_that_proof_of_the_tasks_since_the_last_raise():
    world = world_at(95, analysis=COMPARED)
    world.after(700).decide()
    assert world.percent == 95, "those tasks were before the raise"
    since = world.status.analysis.comparison.since
    assert since[1:4] == tuple(sorted(since[1:4])) != (0, 0, 0)
    lately = beside(ours=500, theirs=26, version=since[3], since=since)
    world.measure(compared=lately).decide()
    assert world.status.verdicts[-1].result == "Promoted"


def test_a_raise_beyond_the_third_begins_the_last_evidence_anew_as_a_return_does():
    """Else what came with a raise after an incident would be proven by tasks of the users of before."""
    status = world_at(50, analysis=COMPARED).status
    kept = status.analysis.comparison.model_copy(update={"since": (1, 2, 3, 4, 6)})
    known = status.analysis.model_copy(update={"comparison": kept})
    before = status.model_copy(update={"analysis": known, "route_version": 6})
    share = before.share.model_copy(update={"percent": 95})
    raised = before.model_copy(update={"share": share, "route_version": 7})
    assert evidence_since.begun(before, raised, Strategy()).since == (1, 2, 3, 4, 7)


def test_users_who_never_had_it_and_for_whom_nobody_speaks_are_told_of():
    unproven = Unproven("errorRate", 0.08, 400, None, 0.02, unseen=0.123)
    world = world_at(95, analysis=COMPARED)
    said = compared.not_proven(Facts(world.seen(), world.status), (unproven,))
    assert "users who make 12.3 % of the tasks never had it" in said
    assert "A person decides. Go on all the same" in said


#: Most failures are those of one user of six, who is on stable to the end.
ONE_UNSEEN = {**dict.fromkeys((3, 27, 52, 68, 81), 0.02), 97: 0.3}


def test_where_more_tasks_of_the_same_users_do_not_tell_a_person_is_asked_once():
    world = world_at(95, analysis=COMPARED)
    since = world.status.analysis.comparison.since
    told = []
    for minutes in (20, 21, 22):
        world.measure(compared=tried(ONE_UNSEEN, minutes=minutes, since=since)).after(61).decide()
        assert (world.percent, world.waits) == (95, "AnalysisUnclear")
        assert "A person decides" in world.message("Progressing")
        told += world.reasons()
    assert told == ["AnalysisUnclear"]
    (holds,) = [one for one in explain(world.seen()).answers if one.says is Says.HOLDS]
    assert (holds.check, holds.reason) == ("not proven", "AnalysisUnclear")
    assert world.ask("promote").decide().status.verdicts[-1].result == "Promoted"


def test_on_pause_a_person_decides():
    world = canary_world(analysis=analysis(on_regression="Pause")).measure(compared=WORSE).decide()
    world.step_over()
    assert (world.percent, world.waits) == (5, "AnalysisUnclear")
    assert "onRegression is Pause" in world.message("Progressing")


def test_a_check_that_only_reports_condemns_and_holds_nothing():
    quiet = analysis(dry_run=(CheckName.ERROR_RATE_TO_STABLE,))
    world = canary_world(analysis=quiet).measure(compared=WORSE).decide()
    assert world.step_over().percent == 20
    rows = {check.name: check for check in world.status.analysis.checks}
    assert rows["errorRateToStable"].limit.startswith("67:1 worse, now")


def test_a_guardrail_that_only_reports_condemns_nothing():
    silent = Analysis(dry_run=(CheckName.ERROR_RATE,))
    world = canary_world(analysis=silent).measure(GOOD._replace(errors=40)).decide()
    assert world.percent == 5
    assert world.status.analysis.checks[0].verdict == "Breached"


def test_one_bucket_of_users_holds_it_and_is_named():
    """Until stable has told how unlike users are."""
    few = beside(minutes=20, ours=20, theirs=20, errors=0.1, stable_errors=0.01, bucket=7)
    world = canary_world(analysis=COMPARED).measure(compared=few).decide().step_over()
    assert (world.percent, world.waits) == (5, "AnalysisUnclear")
    assert "bucket 7" in world.message("Progressing")


def test_the_declared_bound_says_how_much_evidence_is_enough():
    strict = Analysis(comparison=Comparison(false_rollback_percent=20))
    for declared, enough in ((COMPARED, "67:1"), (strict, "7:1")):
        world = canary_world(analysis=declared).measure(compared=ALIKE).after(60).decide()
        rows = {check.name: check.limit for check in world.status.analysis.checks}
        assert rows["errorRateToStable"].startswith(enough)


def test_another_attempt_has_half_the_chance():
    world = canary_world(analysis=COMPARED).measure(compared=WORSE).decide()
    world.ask("retry", nonce="2").measure(compared=ALIKE).decide().after(1).decide().after(
        60
    ).decide()
    rows = {check.name: check.limit for check in world.status.analysis.checks}
    assert rows["errorRateToStable"].startswith("133:1")


def test_another_attempt_condemns_at_the_smallest_share_as_the_first_did():
    """One bucket of a hundred is the worst of all in one draw of a hundred, however often it is tried."""
    worse = beside(errors=0.5, share=1)
    world = canary_world(analysis=COMPARED).measure(compared=worse).decide()
    assert verdict(world).reason == "ErrorRateRegression"
    for attempt in (2, 3):
        world.ask("retry", nonce=str(attempt)).measure(compared=ALIKE).decide().after(1).decide()
        world.after(60).measure(compared=worse).decide()
        assert (verdict(world).attempt, verdict(world).result) == (attempt, "Rejected")


@pytest.mark.parametrize("kind", ["errors", "escalations"])
def test_what_the_next_step_may_add_is_declared(kind):
    fields = {"errors_per_1000": 1, "escalations_per_1000": 40}
    if kind == "escalations":
        fields = {"errors_per_1000": 20, "escalations_per_1000": 1}
    strict = Analysis(comparison=Comparison(next_step_may_add=NextStepMayAdd(**fields)))
    world = (
        canary_world(analysis=strict, steps=PATIENT).measure(compared=beside(minutes=5)).decide()
    )
    assert world.step_over().percent == 5
    assert "(may: 1)" in world.message("Progressing")


@pytest.mark.parametrize(
    ("kind", "field", "much"),
    [
        (Counting.ERROR, "errors_per_1000", 0.09),
        (Counting.ESCALATION, "escalations_per_1000", 0.09),
    ],
)
def test_smaller_differences_are_ignored(kind, field, much):
    seen = beside(minutes=30, errors=much, stable_errors=0.02, kind=kind)
    wide = Analysis(comparison=Comparison(ignore_below=IgnoreBelow(**{field: 80})))
    assert canary_world(analysis=wide).measure(compared=seen).decide().percent == 5
    assert canary_world(analysis=COMPARED).measure(compared=seen).decide().percent == 0


@pytest.mark.parametrize(
    ("field", "more", "reason"),
    [
        ("latency_tolerance_percent", {"seconds": 3.0}, "LatencyRegression"),
        ("cost_tolerance_percent", {"cost": 150}, "CostRegression"),
    ],
)
def test_how_much_higher_values_may_be_is_declared(field, more, reason):
    for tolerated, percent in ((10, 0), (100, 5)):
        declared = Analysis(comparison=Comparison(**{field: tolerated}))
        world = canary_world(analysis=declared)
        compared = scope_of(world.situation.spec, world.status, {}).compared
        world.measure(compared=beside(yardsticks=compared, **more)).decide()
        assert world.percent == percent
        assert [v.reason for v in world.verdicts] == ([] if percent else [reason])


def test_sums_are_written_with_the_numbers_and_not_while_nothing_happens():
    world = canary_world(analysis=COMPARED)
    kept = world.status.analysis.comparison
    assert kept.sums
    assert kept.through_ms == alike().through_ms
    assert len(kept.sums) < 9000
    before = world.status
    assert world.measure(compared=WORSE_A_LITTLE).after(5).decide().status.wire() == before.wire()


def test_sums_that_are_too_large_for_a_status_leave_the_last_ones_there(monkeypatch):
    world = canary_world(analysis=COMPARED)
    kept = world.status.analysis.comparison
    monkeypatch.setattr(numbers, "MOST_CHARACTERS", 100)
    world.measure(compared=WORSE_A_LITTLE).after(61).decide()
    assert world.status.analysis.comparison.sums == kept.sums
    assert world.status.analysis.comparison.through_ms == kept.through_ms


def test_a_comparison_that_was_just_declared_raises_nothing_yet():
    world = canary_world().edit(analysis=COMPARED)
    world._compared = lambda: None
    world.after(61).decide()
    assert (world.percent, world.waits) == (5, "AwaitingEvidence")
    assert "nothing is compared with stable yet" in world.message("Progressing")


def test_under_the_kill_switch_nobody_is_condemned():
    world = canary_world(analysis=COMPARED).change(agent_suspended=True)
    assert world.measure(compared=WORSE).decide().percent == 5


def test_without_traffic_nothing_is_proven():
    world = canary_world(analysis=COMPARED).measure(Tally(), Tally()).after(100_000).decide()
    assert world.percent == 5
    rows = [check for check in world.status.analysis.checks if check.name.endswith("ToStable")]
    assert rows
    assert {check.verdict for check in rows} == {"NoData"}


def test_approval_is_asked_for_once_the_next_share_is_proven():
    world = world_at(20, analysis=COMPARED, steps=APPROVED_AT_20)
    assert world.waits == "Holding"
    world.measure(compared=beside(minutes=1, ours=1, theirs=30)).after(61).decide()
    assert world.waits == "AwaitingEvidence"
    world.measure(compared=alike()).decide()
    assert world.waits == "HoldForApproval"
    assert C in world.message("Progressing")
