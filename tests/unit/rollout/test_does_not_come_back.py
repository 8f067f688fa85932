"""What was rejected, set or approved for something that is over does not act again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis import guardrails
from penstock.analysis.evidence import Observation
from penstock.analysis.fold import Fold
from penstock.analysis.metrics import Tally
from penstock.analysis.scope import Scope
from penstock.api.analysis import Guardrails, Result
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import findings
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.analysis.rows import CANARY, STABLE, Log
from tests.unit.rollout.world import (
    BAD,
    C2,
    GOOD,
    C,
    S,
    canary_world,
    promotion,
    rejection,
    stable_world,
    world_at,
)


@pytest.mark.parametrize("named", [None, "2.0"])
def test_a_setpoint_is_spent_when_its_canary_ends_even_if_that_comes_back(named):
    world = canary_world().set(50, named).decide().pods(C2).apply(C2).decide()
    world.ask("promote-full", C2).decide().apply(C).decide()
    assert (world.status.canary_revision, world.percent) == (C, 5)
    assert world.set(20).decide().percent == 20, "a new value is a new word"


def test_nor_does_it_act_when_the_agent_went_back_to_stable_meanwhile():
    world = canary_world().set(50).decide().apply(S).decide().apply(C).decide()
    assert world.percent == 5


def test_an_approval_noted_at_one_setpoint_is_not_spent_on_another_share():
    world = canary_world().set(5).decide().ask("promote").decide()
    assert world.status.step_approved
    assert not world.set(20).decide().status.step_approved


def test_a_retry_says_where_it_begins():
    world = canary_world().set(100).decide().measure(BAD).decide()
    world.measure(BAD, BAD)
    world = world_at(20).measure(BAD).decide().measure().set(60, C).decide().ask("retry").decide()
    assert world.percent == 60
    assert "begins at the setpoint of 60 %" in world.told[0].message


def test_rows_that_were_lost_hold_every_raise_and_are_told():
    world = world_at(20)
    seen = world.observation()
    world.observation = lambda: Observation(**{**seen.__dict__, "gap": True})
    world.after(61).decide()
    assert (world.percent, world.waits) == (20, "RowsLost")
    del world.observation
    assert world.decide().percent == 50


def with_a_gap(world):
    """The same world, whose numbers lack rows from now on."""
    measured = world.observation
    world.observation = lambda: replace(measured(), gap=True)
    return world


@pytest.mark.parametrize("stable", [GOOD, Tally()], ids=["compared", "without a rival"])
def test_on_numbers_that_lack_rows_a_breach_suspends_and_does_not_condemn(stable):
    world = with_a_gap(world_at(20).measure(BAD, stable)).decide()
    assert (world.percent, world.waits) == (0, "RowsLost")
    assert world.condition("Suspended") == ("True", "RowsLost")
    assert "nobody is condemned on that" in world.message("Suspended")
    assert "comes back by itself" in world.message("Ready")
    assert not world.verdicts
    assert world.after(600).decide().percent == 0, "until what was lost is out of the window"

    del world.observation
    assert world.measure().decide().percent == 20
    assert world.measure(BAD).after(10).decide().verdicts[-1].result == "Rejected"


@pytest.mark.parametrize(("gap", "verdicts"), [(False, 1), (True, 0)])
def test_nor_is_it_condemned_on_them_once_a_person_has_taken_it_off(gap, verdicts):
    world = world_at(20).measure(BAD)
    seen = replace(world.observation(), gap=gap)
    world.measure().set(0).decide()
    assert world.percent == 0
    world.observation = lambda: seen
    assert len(world.decide().verdicts) == verdicts


def test_a_suspension_for_lost_rows_waits_also_while_nothing_can_be_measured():
    world = with_a_gap(world_at(20).measure(BAD)).decide()
    del world.observation
    assert world.blind().decide().percent == 0
    assert world.waits == "RowsLost"


def gap_now(world):
    """Rows of this very moment are lost."""
    seen = world.observation()
    world.observation = lambda: replace(seen, gap=True, gap_ms=seen.now_ms)
    return world.decide()


def test_rows_that_are_lost_in_a_step_begin_it_anew_once_and_say_so():
    world = gap_now(world_at(20).after(30))
    assert (world.percent, world.waits, world.reasons()) == (20, "RowsLost", ["RowsLost"])
    assert "begins anew" in world.told[0].message
    assert world.status.step_started_at == "2026-11-21T10:01:32Z"
    assert gap_now(world).reasons() == ["RowsLost"] or world.status.waiting == "RowsLost"
    del world.observation
    assert world.after(59).decide().percent == 20, "its hold is a fresh one"
    assert world.after(1).decide().percent == 50


def test_rows_that_were_lost_before_a_step_do_not_begin_it_anew():
    world = world_at(20)
    began, seen = world.status.step_started_at, world.observation()
    world.observation = lambda: replace(seen, gap=True, gap_ms=seen.now_ms - 120_000)
    world.after(1).decide()
    assert (world.waits, world.status.step_started_at) == ("RowsLost", began)


def test_rows_that_are_lost_in_the_final_hold_begin_it_anew():
    world = gap_now(world_at(95).after(59))
    assert "the final hold begins anew" in world.told[0].message
    del world.observation
    assert world.after(59).decide().verdicts == []
    assert world.after(1).decide().verdicts[-1].result == "Promoted"


def test_what_people_say_goes_before_a_gap():
    world = with_a_gap(world_at(20).measure(BAD)).decide().ask("abort").decide()
    assert world.verdicts[-1].reason == "Aborted"


def test_another_attempt_that_was_superseded_leaves_the_rejection_where_it_is():
    world = world_at(20).measure(BAD).decide().measure().ask("retry").decide()
    world.pods(C2).apply(C2).decide()
    assert world.situation.records[C].rejected_attempt == 1
    world.change(status=AgentRolloutStatus(), stable=S).decide().apply(C).decide()
    assert (world.percent, world.waits) == (0, "RolledBack")


def test_a_rejection_outlives_ten_releases_in_the_status():
    world = world_at(20).measure(BAD).decide().measure()
    for number in range(12):
        name = f"support-0000{number:04d}"
        world.pods(name).record(name).apply(name).decide()
        world.ask("promote-full", name, nonce=str(number)).decide()
    assert world.status.stable_revision == "support-00000011"
    world.record(C, verdict=None)  # its record was pruned and made anew
    world.apply(C).decide()
    assert (world.percent, world.waits) == (0, "RolledBack")
    assert len(world.status.verdicts) == 10


def test_who_was_promoted_once_is_not_adopted_when_stables_record_is_lost():
    world = world_at(95).step_over()  # C is stable
    world.apply(S).decide().ask("abort", S).decide()
    world.record(C, promoted_sequence=0).edit(paused=True).set(0).decide()
    assert (world.status.stable_revision, world.percent) == (C, 0)


def test_a_superseded_revision_is_not_adopted_for_a_promotion_it_never_got():
    """A crash between record and status, then another template: it was superseded."""
    superseded = promotion(C).model_copy(update={"result": Result.SUPERSEDED})
    world = world_at(50).record(C, promoted_sequence=2, verdict=superseded).decide()
    assert world.status.stable_revision == S


def test_attempts_go_on_where_only_the_record_tells_of_them():
    """An AgentRollout that was made again knows no verdict; records are told apart by attempts."""
    world = stable_world().record(C, promoted_sequence=1, verdict=promotion(C, attempt=3))
    world.record(S, promoted_sequence=2).apply(C).pods(C).decide()
    assert (world.status.canary_revision, world.status.attempt) == (C, 3)


def test_without_any_memory_of_stable_a_rejected_revision_is_not_taken_for_it():
    world = stable_world().record(C, promoted_sequence=9, verdict=rejection(C))
    world.change(stable="", status=AgentRolloutStatus(), latest=C).decide()
    assert world.status.stable_revision == S


# ------------------------------------------------------------------------------- the letter

LITERAL = Guardrails(mode="Literal", window_seconds=300, min_tasks=20)
SCOPE = Scope(STABLE, CANARY, 2, 300_000, 1_000_000, dict.fromkeys(Arm, 750_000), literal=True)
T = 1_000_000_000


def literally(log, now_ms):
    fold = Fold(SCOPE)
    fold.add(log.rows)
    judged = guardrails.judge(LITERAL, fold.observe(now_ms))
    return next(check for check in judged if check.name == "errorRate")


def test_the_letter_judges_what_ended_in_the_window_whenever_it_was_routed():
    """40 % fail after 320 s, where the window has 300."""
    log = Log()
    for second in range(0, 900, 2):
        if second >= 320 and (second // 2) % 5 < 2:
            log.finished(f"t{second - 320}", T + second * 1000, counting=Counting.ERROR)
        elif second >= 320:
            log.finished(f"t{second - 320}", T + second * 1000)
        log.routed(f"t{second}", T + second * 1000)
    check = literally(log, T + 900_000)
    assert check.verdict == "Breached"
    assert findings.of_canary(check).startswith("40.")


def test_the_letter_counts_open_tasks_that_are_over_their_time():
    log = Log()
    for second in range(0, 100, 2):
        log.routed(f"t{second}", T + second * 1000)
    assert literally(log, T + 700_000).verdict == "NoData"
    assert literally(log, T + 800_000).verdict == "Breached"
