"""Over a limit, where the users who were drawn may be why: they are taken off, and condemn only against themselves."""

from __future__ import annotations

import pytest

from penstock.analysis.comparison import crossing, judge
from penstock.analysis.comparison.judge import Bounds, Strength, Strengths
from penstock.rollout import drawn_users
from penstock.rollout.words import compared
from penstock.traffic import Arm
from tests.unit.analysis.test_few_users import tried
from tests.unit.rollout.beside import COMPARED, beside
from tests.unit.rollout.world import BAD, GOOD, NONE, canary_world, world_at

USERS = (3, 27, 52, 68, 81, 96)


def breaks(arm, _bucket):
    return 0.4 if arm is Arm.CANARY else 0.01


def one_fails_anywhere(_arm, bucket):
    return 0.4 if bucket == 3 else 0.01


def few(rate):
    """One user of six is on the canary, and was on stable before."""
    return tried(5, 20, rate, users=USERS)


def over(seen):
    return canary_world(analysis=COMPARED).measure(BAD, GOOD, seen).decide()


def test_users_who_did_well_on_stable_go_back_to_it_while_nobody_is_condemned():
    world = over(few(breaks))
    assert (world.percent, world.source, world.verdicts) == (0, "Suspended", [])
    assert world.condition("Suspended") == ("True", "NotComparable")
    said = world.message("Suspended")
    assert "may be the users it happens to have, first of all those of bucket 3" in said
    assert "rejected where the same users fail on it again and not on stable" in said


def test_when_stable_is_well_with_all_users_it_comes_back():
    world = over(few(breaks))
    world.measure(NONE, BAD, few(breaks)).after(20).decide()
    assert world.waits == "NotComparable", "stable fails with them as well"
    world.measure(NONE, GOOD, few(breaks)).after(20).decide()
    assert (world.percent, world.source, world.status.suspension.uncompared) == (5, "Automatic", 1)


def test_users_who_were_hardly_seen_on_stable_are_awaited_there():
    unseen = tried(5, 20, breaks, users=USERS, past=0)
    world = over(unseen)
    assert world.source == "Suspended"
    world.measure(NONE, GOOD, unseen).after(20).decide()
    assert world.waits == "NotComparable", "what stable does with others tells nothing of them"
    world.after(580).decide()
    assert world.percent == 5, "and not for ever"


def test_users_who_fail_on_stable_as_much_stay_and_a_person_is_asked():
    world = over(few(one_fails_anywhere))
    assert (world.percent, world.source) == (5, "Automatic")
    world.step_over()
    assert (world.percent, world.waits) == (5, "AnalysisUnclear")
    assert "first of all those of bucket 3. A person decides" in world.message("Progressing")


def test_at_95_percent_it_comes_back_to_where_it_can_be_compared():
    seen = tried(95, 20, breaks, users=USERS)
    world = world_at(95, analysis=COMPARED).measure(BAD, GOOD, seen).decide()
    assert (world.percent, world.source) == (0, "Suspended")
    assert world.measure(NONE, GOOD, seen).after(20).decide().percent == 50


def test_what_the_comparison_has_proven_is_condemned_in_its_place():
    world = over(beside(errors=0.12))
    assert world.verdicts[-1].check == "errorRateToStable"


# ---------------------------------------------------------------------------------- the same users


def test_a_user_is_measured_by_himself_and_not_by_others():
    ours, theirs = (crossing.of_events(few(rate), 0, 5) for rate in (breaks, one_fails_anywhere))
    assert ours.rate < 0.05
    assert not ours.is_theirs(40, 100)
    assert ours.evidence() > 200
    assert theirs.rate > 0.25
    assert theirs.is_theirs(40, 100)
    assert theirs.evidence() < 1


def test_of_whom_nothing_is_known_nothing_is_told():
    unseen = crossing.of_events(tried(5, 20, breaks, users=USERS, past=0), 0, 5)
    assert unseen.rate is None
    assert unseen.evidence() == 0
    assert not unseen.is_theirs(40, 100)


def test_who_never_failed_on_stable_breaks_no_bound():
    seen = crossing.of_events(few(lambda *_: 0.0), 0, 5)
    assert seen.rate == 0
    assert seen.is_theirs(0, 10)
    assert not seen.is_theirs(5, 10)


# ------------------------------------------------------------------------------------- what is told


def test_what_is_held_is_told_with_the_strength_that_it_has():
    found = judge.strengths(few(breaks), Bounds())
    said = compared.strength(found, found.metrics[0])
    assert said == "67:1 worse, now 1000000:1, held: bucket 3"
    assert len(said) <= 64
    assert compared.strength(found, found.metrics[1]).endswith(":1")


@pytest.mark.parametrize(("silent", "told"), [(frozenset(), True), ({"errorRate"}, False)])
def test_each_metric_that_is_held_is_suspect_also_beside_a_louder_one(silent, told):
    held = Strength("errorRate", 4.99, 1.0, bucket=3, alone=1e9)
    louder = Strength("latency", 30.0, 1.0)
    found = Strengths((held, louder), 8.0, 1.0, Bounds(silent=frozenset(silent)))
    assert found.strongest is louder
    assert drawn_users.counts(found, held) is told
    assert not drawn_users.counts(found, louder)


def test_status_says_suspect_of_it():
    world = over(few(breaks))
    rows = {row.name: row for row in world.status.analysis.checks}
    assert rows["errorRateToStable"].verdict == "Suspect"
