"""Under an AgentRollout a person goes back to a revision that served everybody before."""

from __future__ import annotations

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.rollout import AgentRolloutStatus
from tests.unit.rollout.world import BAD, C2, GOOD, C, S, rejection, stable_world, world_at

OUTAGE = Tally(tasks=60, errors=40)


def after_c(**fields):
    """C serves everybody since lately; S did before it, and has no workers any more."""
    world = world_at(95, **fields).step_over().change(users=900, tasks=5000)
    assert world.status.stable_revision == C
    return world.pods(S, ready=0, wanted=0)


def trying_c2(percent):
    """C serves, and C2 is tried at so many percent; S served before both."""
    world = after_c().apply(C2).pods(C2).decide().after(1).decide()
    while world.percent < percent:
        world.step_over()
    return world.change(users=17, tasks=42)


def suspended_c2():
    world = trying_c2(20).measure(OUTAGE, OUTAGE).decide()
    assert world.status.share.source == "Suspended"
    return world


def rejected_c2():
    world = trying_c2(20).measure(BAD).decide().measure(GOOD)
    assert world.waits == "RolledBack"
    return world


def undone(world, named=S, nonce="1"):
    """S was asked for, and its first pod is ready."""
    return world.ask("undo", named, nonce).pods(S).decide()


def last_verdicts(world):
    return {one.revision: one.result.value for one in world.status.verdicts}


def answer(world):
    last = world.status.last_request
    return last.result, last.message


# ------------------------------------------------------------------------------ going back


@pytest.mark.parametrize("named", [S, S.rpartition("-")[2], "1.0"])
def test_workers_are_asked_for_at_once_and_who_serves_goes_on_until_one_is_ready(named):
    world = after_c().ask("undo", named).decide()
    assert world.goal == S
    assert (world.status.stable_revision, world.verdicts[-1].revision) == (C, C)
    assert world.look_again <= 1
    assert answer(world)[0] == "Waiting"
    world.after(7).pods(S).decide()
    assert (world.status.stable_revision, world.goal) == (S, "")
    assert answer(world) == ("Accepted", f"{S} serves everybody; rejected until retry: {C}")


def test_while_workers_are_awaited_it_says_so_with_the_brake_and_is_no_failure():
    world = after_c().ask("undo", S).decide()
    assert world.condition("Ready") == ("False", "Undoing")
    assert world.condition("Reconciling") == ("True", "Undoing")
    assert world.condition("Stalled")[0] == "False"
    said = world.message("Ready")
    assert f"{C} serves until then" in said
    assert 'kubectl patch agent support --type merge -p \'{"spec":{"suspended":true}}\'' in said
    assert answer(world) == ("Waiting", said)


def test_workers_that_never_come_are_told_in_their_own_words_after_the_deadline():
    world = after_c().ask("undo", S).pods(S, ready=0, message="ImagePullBackOff").decide()
    assert world.after(599).decide().condition("Stalled")[0] == "False"
    assert world.after(1).decide().condition("Stalled") == ("True", "StartDeadlineExceeded")
    assert "ImagePullBackOff" in world.message("Stalled")
    assert world.status.stable_revision == C


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (after_c, {C}),
        (lambda: trying_c2(5), {C, C2}),
        (lambda: trying_c2(50), {C, C2}),
        (lambda: trying_c2(95), {C, C2}),
        (lambda: trying_c2(20).set(70).decide(), {C, C2}),
        (suspended_c2, {C, C2}),
        (rejected_c2, {C}),
        (lambda: after_c().change(agent_suspended=True).decide(), {C}),
        (lambda: after_c().edit(paused=True).blind().decide(), {C}),
    ],
    ids=["idle", "5", "50", "95", "setpoint", "suspended", "rejected", "kill switch", "blind"],
)
def test_everybody_goes_back_in_one_change_and_who_is_left_stays_rejected(make, left):
    world = make()
    before, latest = world.status, world.situation.latest
    undone(world)
    status = world.status
    assert (status.stable_revision, status.canary_revision, world.percent) == (S, latest, 0)
    assert status.route_version == before.route_version + 1
    verdicts = last_verdicts(world)
    assert {name for name in (C, C2) if verdicts.get(name) == "Rejected"} == left | (
        {C2} if make is rejected_c2 else set()
    )
    assert verdicts[S] == "Promoted"
    assert status.verdicts[-1].revision == S
    told = {v.revision: v.message for v in status.verdicts if v.result == "Rejected"}
    assert all(f"by request: back to {S}" in told[name] for name in left)
    assert world.condition("RolledBack")[0] == "True"
    world.after(4000).measure().decide()
    assert (world.status.stable_revision, world.percent) == (S, 0), "and it stays so"


def test_the_verdicts_say_how_many_users_each_had():
    world = undone(trying_c2(20))
    stable, tried = world.status.verdicts[-3:-1]
    assert (stable.revision, stable.percent, stable.users) == (C, 80, 0)
    assert (tried.revision, tried.percent, tried.users, tried.tasks) == (C2, 20, 17, 42)
    idle = undone(after_c()).status.verdicts[-2]
    assert (idle.revision, idle.percent, idle.users) == (C, 100, 900)


def test_what_is_declared_all_the_same_is_said_with_the_next_command():
    world = undone(after_c())
    assert world.condition("Ready") == ("False", "RolledBack")
    assert world.condition("Stalled") == ("True", "RolledBack")
    said = world.message("Ready")
    assert f"{C} was undone at 100 % by request: back to {S}." in said
    assert f"{S} serves everybody, though spec.template still declares {C}" in said
    assert f'penstock.dev/request="retry/{C}/$(date +%s)"' in said
    assert world.reasons() == ["RolledBack", "Promoted"], "it is no new canary"


def test_back_to_stable_takes_the_canary_off_and_waits_for_nothing():
    world = world_at(50).pods(S, ready=0).ask("undo", S).decide()
    assert (world.status.stable_revision, world.percent, world.waits) == (S, 0, "RolledBack")
    assert answer(world)[0] == "Accepted"
    assert world.status.verdicts[-1].message == f"undone at 50 % by request: back to {S}"
    assert answer(world.ask("undo", S, "2").decide())[0] == "Refused", "it serves everybody now"


def test_a_former_revision_that_climbs_again_takes_all_at_once():
    world = after_c().pods(S).apply(S).decide().after(1).decide()
    assert (world.status.canary_revision, world.percent) == (S, 5)
    world.ask("undo", S).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (S, None)
    assert last_verdicts(world) == {C: "Rejected", S: "Promoted"}
    assert world.waits == "NoCandidate"


# -------------------------------------------------------------------------- until it is done


def test_meanwhile_nothing_is_raised_and_everything_may_be_lowered():
    world = trying_c2(20).ask("undo", S).decide()
    assert world.step_over().percent == 20
    assert world.set(60).decide().percent == 20
    assert world.set(10).decide().percent == 10
    assert world.measure(BAD).decide().percent == 0, "harm is still taken off"
    assert world.waits == "Undoing"
    assert undone(world).status.stable_revision == S


def test_meanwhile_a_suspended_canary_does_not_come_back():
    world = suspended_c2().ask("undo", S).decide().after(300).measure().decide()
    assert (world.percent, world.waits) == (0, "Undoing")


def test_a_revision_that_began_after_the_request_is_not_left():
    world = after_c().ask("undo", S).decide().after(30).apply(C2).pods(C2).decide()
    assert (world.status.canary_revision, world.percent) == (C2, 0)
    world.after(1).pods(S).decide()
    assert last_verdicts(world).get(C2) is None
    assert last_verdicts(world)[C] == "Rejected"
    assert (world.status.stable_revision, world.status.canary_revision) == (S, C2)
    assert world.after(1).decide().percent == 5, "it is tried against S, from the first step"


@pytest.mark.parametrize("request_", ["", f"abort/{C}/9"])
def test_a_request_that_is_taken_back_or_written_over_is_over(request_):
    world = after_c().ask("undo", S).decide().change(request=request_).decide()
    assert world.goal == ""
    assert world.pods(S).decide().status.stable_revision == C


# --------------------------------------------------------------------------------- refused


def two_of_one_version():
    return after_c().record("support-0000000f", version="1.0", served_sequence=1)


@pytest.mark.parametrize(
    ("make", "named", "why"),
    [
        (after_c, C, f"{C} serves already"),
        (after_c, "2.0", f"{C} serves already"),
        (after_c, C2, f"{C2} has never served everybody"),
        (lambda: trying_c2(20), C2, f"{C2} has never served everybody"),
        (rejected_c2, "3.0", f"{C2} was rolled back at 20 %"),
        (two_of_one_version, "1.0", f"support-0000000f and {S} have the version 1.0: name one"),
        (after_c, "support-0000beef", "support-0000beef is no revision on record"),
        (after_c, "9.9", "its record was pruned"),
    ],
    ids=["serving", "by version", "never", "trial", "rejected", "ambiguous", "pruned", "unknown"],
)
def test_what_cannot_be_gone_back_to_is_refused_with_what_can(make, named, why):
    world = make()
    before = world.status
    undone(world, named)
    result, message = answer(world)
    assert (result, world.goal) == ("Refused", "")
    assert why in message
    assert f"{S} (1.0)" in message.partition("undo can go back to ")[2]
    assert world.status.stable_revision == before.stable_revision
    assert world.percent == before.share.percent
    assert world.message("Ready").startswith("Request undo/")


def test_where_nothing_served_before_it_says_so():
    _, message = answer(stable_world().ask("undo", S).decide())
    assert message == f"{S} serves already; there is no revision to go back to"


def test_a_rejected_revision_is_refused_whoever_remembers_it():
    by_record = undone(after_c().record(S, verdict=rejection(S, message="rude")))
    assert "was rude, and stays rejected until retry" in answer(by_record)[1]
    back = undone(after_c()).ask("undo", C, "2").record(C, verdict=None, served_sequence=2)
    assert answer(back.decide())[0] == "Refused", "its record was lost: the status tells"


def test_a_long_list_names_the_last_ones_first():
    world = after_c()
    for number in range(12):
        world.record(f"support-0000{number:04d}", served_sequence=number + 10)
    _, message = answer(world.ask("undo", "x").decide())
    assert "undo can go back to support-00000011, support-00000010," in message
    assert message.endswith("and 5 before these")


# ------------------------------------------------------------------------------- afterwards


def test_the_undone_revision_comes_back_by_retry_and_climbs_from_the_first_step():
    world = undone(after_c()).ask("retry", "2.0", "2").decide()
    assert (world.status.stable_revision, world.status.attempt) == (S, 2)
    assert world.after(1).decide().percent == 5
    while world.status.stable_revision == S:
        world.step_over()
    again = undone(world, nonce="3")
    assert again.status.stable_revision == S, "and can be undone once more"
    assert last_verdicts(world)[C] == "Rejected"


def test_another_template_climbs_against_the_one_that_was_gone_back_to():
    world = undone(after_c()).apply(C2).pods(C2).decide().after(1).decide()
    assert (world.status.stable_revision, world.status.canary_revision) == (S, C2)
    assert world.percent == 5
    world.apply(C).decide()
    assert (world.percent, world.waits) == (0, "RolledBack"), "the undone one is still rejected"
    world.apply(S).decide()
    assert (world.waits, world.condition("Ready")) == ("NoCandidate", ("True", "Stable"))


def test_it_outlives_a_lost_status_and_the_request_is_not_done_again():
    world = undone(after_c())
    world.wipe_status().change(stable="").decide()
    assert answer(world)[0] == "Refused"
    assert (world.status.stable_revision, world.percent, world.waits) == (S, 0, "RolledBack")


def test_it_outlives_lost_records():
    world = undone(trying_c2(20))
    for name in (S, C, C2):
        world.record(name, verdict=None, promoted_sequence=0, served_sequence=0)
    world.decide().after(60).decide()
    assert (world.status.stable_revision, world.percent, world.waits) == (S, 0, "RolledBack")


def test_an_operator_that_died_between_the_records_and_the_status_ends_at_the_same():
    once = undone(trying_c2(20))
    again = trying_c2(20).ask("undo", S).pods(S).change(records=once.situation.records).decide()
    assert traffic(again.status) == traffic(once.status)
    assert last_verdicts(again) == last_verdicts(once)


def traffic(status: AgentRolloutStatus):
    return status.stable_revision, status.canary_revision, status.share.percent, status.attempt
