"""What follows when stable breaks a limit while nothing is tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.analysis.evidence import TICK_MS
from penstock.api.analysis import Analysis, Guardrails, OnStable
from penstock.api.comparison import CheckName
from tests.unit.rollout.test_does_not_come_back import with_a_gap
from tests.unit.rollout.test_returning import after_three, promoted
from tests.unit.rollout.world import (
    BAD,
    C2,
    GOOD,
    NONE,
    C,
    S,
    canary_world,
    rejection,
    stable_world,
)

REPORT, ROLLBACK, SUSPEND = OnStable.REPORT, OnStable.ROLLBACK, OnStable.SUSPEND


def declare(world, follows, **more):
    return world.edit(analysis=Analysis(guardrails=Guardrails(on_stable=follows), **more))


def breaking(follows, world=None, **more):
    """C2 is stable after C and S, and two fifths of its tasks fail; the pods of C are gone."""
    world = declare(world or after_three(), follows, **more).pods(C, ready=0).decide()
    return world.measure(NONE, BAD).after(5)


@pytest.mark.parametrize(
    ("follows", "stable", "suspended"),
    [(REPORT, C2, False), (ROLLBACK, C, False), (SUSPEND, C2, True)],
)
def test_what_follows_a_stable_that_breaks_a_limit_is_declared(follows, stable, suspended):
    world = breaking(follows).pods(C).decide()
    assert world.status.stable_revision == stable
    assert world.status.suspended is suspended


# ------------------------------------------------------------------------------------- Report


def test_reported_it_moves_nothing_and_asks_for_no_pods():
    world = breaking(REPORT).decide()
    assert world.condition("AnalysisPassing") == ("False", "StableBreaching")
    assert (world.goal, world.verdicts[-1].revision, world.status.brake) == ("", C2, None)


# ----------------------------------------------------------------------------------- Rollback


def test_everybody_goes_back_when_the_first_pod_is_ready_and_who_is_left_is_rejected():
    world = breaking(ROLLBACK).decide()
    assert (world.waits, world.goal, world.status.stable_revision) == ("Undoing", C, C2)
    assert f"{C2} breaks errorRate (limit 5 %). Everybody goes back to {C}" in world.message(
        "Progressing"
    )
    world.pods(C).decide()
    rejected, back = world.verdicts[-2:]
    assert (rejected.revision, rejected.result, rejected.reason, rejected.check) == (
        C2, "Rejected", "ErrorRateRegression", "errorRate",
    )  # fmt: skip
    assert rejected.message == (
        f"rolled back at 100 %: error rate 40.0 % (40/100) in the last 300 s, limit 5 %; back to {C}"
    )
    assert (back.revision, back.result, back.reason) == (C, "Promoted", "Returned")
    assert world.reasons() == ["RolledBack", "Promoted"]
    assert world.condition("AnalysisPassing") == ("True", "StablePassing"), "that was of another"
    assert world.condition("Stalled") == ("True", "RolledBack")
    assert (world.goal, world.promoted) == ("", C)


def test_it_goes_back_once_and_nobody_is_sent_to_and_fro():
    """An outage of everybody's model must not use up the whole history."""
    world = breaking(ROLLBACK).pods(C).pods(S).decide().measure(NONE, BAD).after(5).decide()
    assert (world.status.stable_revision, world.goal) == (C, "")
    assert "nobody is sent to and fro: a person decides" in world.message("AnalysisPassing")
    world.after(10**5).decide()
    assert world.status.stable_revision == C


def test_after_the_next_promotion_it_may_go_back_again():
    world = breaking(ROLLBACK).pods(C).decide().measure()
    world = promoted(world.record("support-00000004"), "support-00000004", "d")
    world.measure(NONE, BAD).after(5).decide()
    assert (world.status.stable_revision, world.promoted) == (C, C)


def test_a_rejected_revision_is_never_gone_back_to():
    world = after_three().pods(C, ready=1).record(C, verdict=rejection(C, message="bad"))
    verdicts = tuple(one for one in world.status.verdicts if one.revision != C)
    world.change(status=world.status.model_copy(update={"verdicts": verdicts}))
    world = breaking(ROLLBACK, world).pods(C).pods(S).decide()
    assert world.status.stable_revision == S


def test_where_nobody_is_left_it_says_so():
    world = breaking(ROLLBACK, stable_world()).decide()
    assert (world.status.stable_revision, world.waits) == (S, "NoCandidate")
    assert "There is no revision to go back to" in world.message("AnalysisPassing")


def test_what_ends_before_the_pods_are_ready_is_no_reason_any_more():
    world = breaking(ROLLBACK).decide().measure(NONE, GOOD).after(5).decide()
    assert (world.goal, world.waits) == ("", "NoCandidate")
    assert world.pods(C).decide().status.stable_revision == C2


def test_a_blip_is_no_whole_window():
    """So few of the window's tasks failed that it is over the limit only in its last seconds."""
    world = breaking(ROLLBACK).pods(C)
    seen = world.observation()
    calm = replace(seen.window[0], tick=seen.window[0].tick - 120_000 // TICK_MS)
    calm = replace(calm, arms={arm: GOOD._replace(tasks=5000, errors=5) for arm in calm.arms})
    world.observation = lambda: replace(seen, window=(calm, *seen.window))
    world.decide()
    assert world.condition("AnalysisPassing") == ("False", "StableBreaching")
    assert world.status.stable_revision == C2


@pytest.mark.parametrize(
    "but",
    [
        lambda world: world.blind(),
        with_a_gap,
        lambda world: world.change(agent_suspended=True),
        lambda world: world.ask("undo", S, "mine").pods(S, ready=0),
        lambda world: declare(world, ROLLBACK, dry_run=(CheckName.ERROR_RATE,)),
    ],
    ids=["unseen", "rows are missing", "kill switch", "a person goes back", "only told"],
)
def test_nobody_is_rolled_back_who_is_not_seen_whole_or_is_in_other_hands(but):
    assert but(breaking(ROLLBACK).pods(C)).decide().status.stable_revision == C2


def test_while_a_canary_is_tried_the_canarys_rules_hold():
    world = declare(canary_world(), ROLLBACK).decide().measure(BAD, BAD).after(5).decide()
    assert (world.waits, world.status.stable_revision) == ("SharedIncident", S)


def test_paused_it_still_goes_back():
    assert breaking(ROLLBACK).pods(C).edit(paused=True).decide().status.stable_revision == C


def beside_a_rejected_canary():
    """C serves after S, and C2 was rejected."""
    world = promoted(stable_world(), C, "a").apply(C2).pods(C2).decide()
    return world.measure(canary=BAD).decide()


def test_beside_a_rejected_canary_stable_is_watched_as_ever():
    world = breaking(ROLLBACK, beside_a_rejected_canary()).pods(S).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (S, C2)
    assert world.percent == 0


def test_the_fix_that_is_applied_meanwhile_is_tried():
    world = breaking(ROLLBACK).decide().apply("support-00000005").pods("support-00000005").decide()
    assert (world.status.canary_revision, world.goal) == ("support-00000005", "")


# ------------------------------------------------------------------------------------ Suspend


def braked():
    """Nothing is admitted, and so nothing is measured."""
    return breaking(SUSPEND).decide().measure(NONE, NONE)


def test_nothing_is_admitted_until_a_person_lets_it():
    version = after_three().status.route_version
    world = braked()
    assert world.status.route_version == version + 1
    assert world.condition("Ready") == ("False", "AgentSuspended")
    said = world.message("Ready")
    assert (
        "Nothing is admitted (onStable: Suspend): support-30aa11bc had error rate 40.0 % (40/100)"
        in said
    )
    assert f"retry/{C2}/" in said
    assert world.reasons() == ["Suspended", "AnalysisFailed"]
    world.measure(NONE, GOOD).after(10**6).decide()
    assert world.status.suspended


def test_a_retry_of_stable_lets_it_go_on_and_what_was_before_is_no_evidence():
    world = braked().after(60).ask("retry", C2, "x").decide()
    assert (world.status.suspended, world.status.last_request.result) == (False, "Accepted")
    assert world.status.halts[-1].until
    world.after(1).decide()
    assert not world.status.suspended
    world.measure(NONE, BAD).after(30).decide()
    assert world.status.suspended, "it fails again"


def test_what_was_measured_before_it_went_on_is_no_evidence():
    world = braked().after(62).ask("retry", C2, "x").measure(NONE, BAD).decide()
    assert not world.status.suspended
    assert world.after(5).decide().status.suspended


def test_it_goes_back_once_also_where_the_status_was_lost():
    world = breaking(ROLLBACK).pods(C).pods(S).decide().measure(NONE, GOOD).after(5).decide()
    world = world.wipe_status().change(stable=C).decide().measure(NONE, BAD).after(5).decide()
    assert (world.status.stable_revision, world.goal) == (C, "")


def test_an_edit_of_the_policy_lets_it_go_on():
    assert not declare(braked(), REPORT).decide().status.suspended


def test_undo_lets_the_former_revision_serve():
    world = braked().ask("undo", S, "x").pods(S).decide()
    assert (world.status.stable_revision, world.status.suspended) == (S, False)


def test_a_canary_climbs_no_step_meanwhile_and_a_person_may_give_it_everybody():
    world = braked().apply("support-00000006").pods("support-00000006").decide()
    assert (world.percent, world.waits) == (0, "AgentSuspended")
    world.ask("promote-full", "support-00000006", "x").decide()
    assert world.status.stable_revision == "support-00000006"
    assert (world.status.suspended, world.status.brake) == (False, None)


def test_the_kill_switch_holds_beside_it():
    world = braked().change(agent_suspended=True).ask("retry", C2, "x").decide()
    assert world.status.suspended
    assert not world.change(agent_suspended=False).decide().status.suspended


def test_a_stable_without_a_brake_has_nothing_to_retry():
    world = breaking(REPORT).ask("retry", C2, "x").decide()
    assert world.status.last_request.result == "Refused"
