"""A limit that stable itself is over: waited out as an incident, then told as what it is."""

from __future__ import annotations

import json
import re

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.analysis import Analysis, Guardrails
from penstock.rollout import misfits
from penstock.rollout.facts import Facts
from penstock.rollout.words import misfits as words
from tests.unit.rollout.test_taken_off import ALONE
from tests.unit.rollout.world import BAD, GOOD, C, world_at

#: Tasks of an agent that takes 20 s by nature, 7 % errors by nature, and an outage.
SLOW = Tally(tasks=100, timed=100, latency_ms=2_000_000, latency_squares=44_000_000_000)
SEVEN = GOOD._replace(tasks=1000, errors=90, timed=1000)
OUTAGE = Tally(tasks=60, errors=40)


def incident(world, tally=OUTAGE):
    """Both are over a limit, and the canary is taken off for it."""
    world.measure(tally, tally).after(6).decide()
    assert world.waits == "SharedIncident"
    return world


def ends(world):
    """Stable is well again, and the canary back."""
    return world.measure(GOOD, GOOD).after(20).decide()


def lasting(tally=SLOW, percent=20, **fields):
    """Stable has all users and is over its limit still, after two windows."""
    world = incident(world_at(percent, **fields), tally)
    return world.after(601).decide()


def test_an_incident_is_waited_out_for_two_windows_then_it_is_none():
    world = incident(world_at(20), SLOW).after(599).decide()
    assert (world.percent, world.waits) == (0, "SharedIncident")
    world.after(2).decide()
    assert (world.percent, world.source) == (20, "Automatic")
    assert world.reasons() == ["Resumed"]
    assert "20.0 s on stable" in world.message("Suspended")
    for _ in range(20):
        world.after(60).decide()
        assert world.percent == 20, "it is not suspended on and on"
    assert world.waits == "LimitDoesNotFit"


def test_what_is_held_says_the_numbers_and_the_command_that_raises_the_limit():
    world = lasting().step_over()
    said = world.message("Progressing")
    assert world.reasons() == ["LimitDoesNotFit"]
    assert "mean latency 20.0 s on the canary (n=100) and 20.0 s on stable (n=100)" in said
    assert "limit 10 s" in said
    assert "--type merge" in said
    patch = json.loads(re.search(r"-p '(\{.*?\})'", said)[1])
    assert patch == {"spec": {"analysis": {"guardrails": {"latencyMeanSeconds": 30}}}}
    assert world.condition("Stalled")[0] == "False", "a decision is awaited, nothing to mend"


def test_the_limit_that_is_proposed_lets_it_go_on():
    world = lasting().step_over()
    world.edit(analysis=Analysis(guardrails=Guardrails(latency_mean_seconds=30))).decide()
    assert world.percent == 50


@pytest.mark.parametrize(("tally", "limit"), [(SLOW, 30), (SEVEN, 14), (OUTAGE, 100)])
def test_the_proposal_is_half_as_much_again_as_stable_does(tally, limit):
    world = lasting(tally).after(6)
    (over,) = [check for check in facts_of(world).checks if check.stable_over]
    assert words.fitting(over) == limit


def facts_of(world):
    return Facts(world.seen(), world.status)


def test_a_person_sets_the_share_and_promotes():
    world = lasting().step_over()
    assert world.set(50).decide().percent == 50
    world = lasting().step_over().ask("promote").decide()
    assert world.percent == 50
    assert world.status.last_request.result == "Accepted"
    assert world.step_over().waits == "LimitDoesNotFit"
    world.ask("promote-full", nonce="2").decide()
    assert world.verdicts[-1].result == "Promoted"


def test_in_the_final_hold_promote_ends_it():
    world = lasting(percent=95)
    assert world.percent == 95
    assert world.step_over().waits == "LimitDoesNotFit"
    world.ask("promote").decide()
    assert world.verdicts[-1].result == "Promoted"


def test_the_third_incident_holds_at_the_share_that_it_has():
    world = world_at(20)
    for _ in range(misfits.MOST_INCIDENTS):
        ends(incident(world))
    world.measure(OUTAGE, OUTAGE).after(61).decide()
    assert (world.percent, world.waits) == (20, "LimitDoesNotFit")
    said = world.message("Progressing")
    assert "taken off for that 2 times" in said
    assert 0 < said.index("abort it: ") < said.index("Raise the limit: ") < said.index("promote: ")
    assert ends(world).percent == 50, "stable is well again: it goes on by itself"


def test_an_hour_without_one_makes_the_next_one_an_incident_again():
    world = world_at(20).set(20)
    for _ in range(misfits.MOST_INCIDENTS):
        ends(incident(world))
    incident(world.after(3601).decide())
    assert world.status.suspension.incidents == 1


def test_while_stable_is_over_it_no_quiet_hour_begins():
    world = lasting().edit(paused=True).decide().after(3601).decide().after(3601).decide()
    assert (world.percent, world.status.suspension.misfit) == (20, "latencyMean")


def test_who_is_clearly_worse_is_condemned_all_the_same():
    world = lasting(SEVEN)
    world.measure(SEVEN._replace(errors=500), SEVEN).after(20).decide()
    assert world.verdicts[-1].reason == "ErrorRateRegression"


def test_who_is_clearly_better_goes_on():
    world = lasting(SEVEN)
    assert world.measure(GOOD._replace(tasks=1000), SEVEN).step_over().percent == 50


def test_the_kill_switch_is_no_time_in_which_stable_was_seen_to_fail():
    world = incident(world_at(20), SLOW).change(agent_suspended=True).decide().after(3600).decide()
    world.change(agent_suspended=False).after(1).decide()
    assert world.waits == "SharedIncident"
    assert world.after(600).decide().percent == 20


def test_where_it_cannot_be_compared_it_comes_back_too_and_is_held_where_it_can():
    world = world_at(95).measure(ALONE, Tally(tasks=5, errors=3)).after(1).decide()
    assert world.waits == "NotComparable"
    world.measure(Tally(), BAD).after(601).decide()
    assert (world.percent, world.waits) == (50, "Holding")
    world.measure(BAD, BAD).step_over()
    assert world.waits == "LimitDoesNotFit"
    assert world.set(95).decide().percent == 95
    world.measure(ALONE, Tally(tasks=5, errors=3)).after(30).decide()
    assert (world.percent, world.verdicts) == (95, []), "stable was as bad before"


def test_another_attempt_begins_with_a_clean_sheet():
    world = lasting().ask("abort").decide().ask("retry", nonce="2").decide()
    assert world.status.canary_revision == C
    assert world.status.suspension.misfit == ""
