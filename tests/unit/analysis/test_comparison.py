"""Cohorts, and what their sums prove."""

from __future__ import annotations

import random

import pytest

from penstock.analysis.comparison import judge, proof
from penstock.analysis.comparison.cohorts import COHORT_MS, Cohorts
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.sums import MOST_CHARACTERS, NONE, decode, encode, moved, plus
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.metrics import of_end
from penstock.api.comparison import ComparisonStatus
from penstock.task import Counting
from penstock.traffic import Arm

BOUNDS = Bounds(limited=(True, True))
YARDSTICKS = Yardsticks((10_000, 2_000_000))
MAY_ADD = (0.02, 0.04)


class World:
    """So many tasks a minute of the two arms; how they end is drawn."""

    def __init__(self, seed=1, share=0.05, per_minute=600):
        self.chance = random.Random(seed)
        self.cohorts = Cohorts(YARDSTICKS)
        self.share, self.per_minute, self.minute = share, per_minute, 0
        self.unended = []

    def minutes(self, count, version=2, **canary):
        """Both arms, of which the canary differs in what is given."""
        for _ in range(count):
            for _ in range(self.per_minute):
                slot = self.chance.randrange(100)
                arm = Arm.CANARY if slot < 100 * self.share else Arm.STABLE
                self._task(arm, slot, version, **(canary if arm is Arm.CANARY else {}))
            self.minute += 1
        return self

    def _task(
        self,
        arm,
        slot,
        version,
        errors=0.02,
        escalations=0.08,
        slow=1.0,
        dear=1.0,
        hangs=0.0,
        worst=None,
    ):
        cohort = self.cohorts.find(self.minute * COHORT_MS, version)
        cohort.route(arm, slot)
        if self.chance.random() < hangs:
            self.unended.append((cohort, arm, slot))
            return
        drawn = self.chance.random()
        if worst is not None:
            errors = 0.9 if slot == worst else errors
        counting = (
            Counting.ERROR
            if drawn < errors
            else Counting.ESCALATION
            if drawn < errors + escalations
            else Counting.GOOD
        )
        latency = int(2000 * slow * self.chance.lognormvariate(0, 0.8))
        cost = int(500_000 * dear * self.chance.lognormvariate(0, 0.6))
        cohort.end(arm, slot, of_end(counting, latency, cost), latency)

    @property
    def seen(self) -> Compared:
        return self.cohorts.observe(self.minute * COHORT_MS)

    @property
    def strengths(self):
        return judge.strengths(self.seen, BOUNDS)


def test_a_canary_as_good_as_stable_is_neither_condemned_nor_suspicious():
    worlds = [World(seed).minutes(10) for seed in range(8)]
    assert not any(world.strengths.suspicious for world in worlds)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("errorRate", {"errors": 0.12}),
        ("escalationRate", {"escalations": 0.3}),
        ("latency", {"slow": 1.8}),
        ("cost", {"dear": 1.8}),
    ],
)
def test_a_worse_canary_is_condemned_for_what_is_wrong_with_it(name, wrong):
    strengths = World(3).minutes(10, **wrong).strengths
    assert strengths.condemns
    assert strengths.strongest.name == name


def test_what_is_within_the_tolerance_is_no_harm():
    strengths = World(3, share=0.5, per_minute=1200).minutes(10, slow=1.08, dear=1.08).strengths
    assert not strengths.suspicious


def test_a_difference_that_is_to_be_ignored_is_no_evidence():
    world = World(5, share=0.5, per_minute=6000).minutes(5, errors=0.035)
    wide = judge.ratio(world.seen, 0, Bounds(ignored=(0.02, 0.02)))
    assert wide.worse <= 1
    assert judge.ratio(world.seen, 0, Bounds(ignored=(0.0, 0.0))).worse > wide.worse


def test_an_outage_that_both_arms_have_is_no_evidence():
    world = World(2).minutes(5)
    for _ in range(2):
        for _ in range(world.per_minute):
            slot = world.chance.randrange(100)
            world._task(Arm.CANARY if slot < 5 else Arm.STABLE, slot, 2, errors=0.6)
        world.minute += 1
    assert not world.strengths.suspicious


def test_one_broken_customer_holds_a_rollout_and_is_named():
    """In one of twenty draws of five of a hundred he is on the canary."""
    strengths = World(4, per_minute=60).minutes(10, worst=2).strengths
    errors = strengths.metrics[0]
    assert errors.bucket == 2
    assert not strengths.condemns
    assert errors.worse == pytest.approx(judge.SUSPICIOUS, abs=0.02)


def test_where_users_are_known_to_be_very_unlike_a_few_of_them_condemn_nobody():
    """Every eighth bucket of stable's fails nearly always, and so do two of the five canary's."""
    world = World(6)
    for _ in range(10):
        for _ in range(world.per_minute):
            slot = world.chance.randrange(100)
            broken = slot % 8 == 1 or slot == 2
            arm = Arm.CANARY if slot < 5 else Arm.STABLE
            world._task(arm, slot, 2, errors=0.8 if broken else 0.005)
        world.minute += 1
    found = world.strengths
    assert found.metrics[0].alone >= judge.SUSPICIOUS
    assert found.metrics[0].bucket in {1, 2}
    assert not found.condemns


def test_the_parts_of_the_bound_are_all_of_it():
    assert judge.RELATIVE_PART + judge.LIMIT_PART == 1
    assert sum(judge.SLOT_WEIGHTS) == pytest.approx(1)
    assert sum((*judge.RATIO_WEIGHTS, *judge.VALUE_WEIGHTS)) == pytest.approx(1)
    assert judge.strengths(Compared(), Bounds()).needed == pytest.approx((1 / 0.015, 1 / 0.005))


def test_without_a_task_nothing_is_proven_and_nothing_condemned():
    assert not judge.strengths(Compared(), BOUNDS).suspicious
    assert {u.name for u in proof.unproven(Compared(), BOUNDS)} == {
        "errorRate",
        "escalationRate",
        "latency",
        "cost",
    }
    assert proof.outlook(Compared(), BOUNDS, MAY_ADD, 0.2, 0).gaps


# --------------------------------------------------------------------------------------- proofs


def test_a_good_canary_proves_that_it_keeps_its_limits():
    seen = World(1, share=0.5).minutes(10).seen
    assert proof.unproven(seen, BOUNDS) == ()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("errorRate", {"errors": 0.08}),
        ("escalationRate", {"escalations": 0.25}),
        ("latency", {"slow": 15 / 2 / 1.377}),
        ("cost", {"dear": 5 / 1.197}),
    ],
)
def test_a_canary_at_the_size_of_a_limit_does_not(name, wrong):
    for seed in range(2):
        seen = World(seed, share=0.5).minutes(10, **wrong).seen
        assert name in {u.name for u in proof.unproven(seen, BOUNDS)}


def test_tasks_that_are_open_while_stables_have_ended_prove_nothing():
    seen = World(1, share=0.5).minutes(10, hangs=0.3).seen
    missing = {u.name for u in proof.unproven(seen, BOUNDS)}
    assert {"errorRate", "escalationRate"} <= missing


def test_how_many_tasks_are_missing():
    short = World(1, share=0.5, per_minute=30).minutes(3).seen
    missing = {u.name: u.missing for u in proof.unproven(short, BOUNDS)}
    assert all(0 < n < 2000 for n in missing.values())


def test_the_last_proof_is_of_the_tasks_since_the_last_raise():
    world = World(1, share=0.5)
    world.cohorts.begin((2, 5, 0, 0, 0))
    world.minutes(10).minutes(5, version=5, errors=0.08)
    all_of_them = {u.name for u in proof.unproven(world.seen, BOUNDS)}
    lately = {u.name for u in proof.unproven(world.seen, BOUNDS, final=1)}
    assert "errorRate" in lately
    assert "errorRate" not in all_of_them


def test_the_next_share_is_harmless_once_enough_is_known():
    few = proof.outlook(World(1, per_minute=60).minutes(2).seen, BOUNDS, MAY_ADD, 0.2, 0)
    many = proof.outlook(World(1, share=0.2).minutes(20).seen, BOUNDS, MAY_ADD, 0.5, 1)
    assert few.gaps
    assert many.gaps == ()
    assert many.likely


def still_open(ours, theirs):
    """Twenty minutes in which so many tasks of each arm have not ended yet: what comes of them is late."""
    world = World(1, share=0.2)
    for _ in range(20):
        for _ in range(world.per_minute):
            slot = world.chance.randrange(100)
            arm = Arm.CANARY if slot < 20 else Arm.STABLE
            open_part = ours if arm is Arm.CANARY else theirs
            world._task(arm, slot, 2, errors=0.005, escalations=0.0, hangs=open_part)
        world.minute += 1
    return proof.outlook(world.seen, BOUNDS, MAY_ADD, 0.5, 1)


def test_more_of_it_than_of_stable_that_is_still_open_holds_before_the_first_late_event():
    assert "escalationRate" in {gap.name for gap in still_open(0.25, 0.08).gaps}
    assert "escalationRate" not in {gap.name for gap in still_open(0.08, 0.08).gaps}


def test_a_harmful_next_share_is_not():
    seen = World(1, share=0.2).minutes(20, errors=0.08).seen
    ahead = proof.outlook(seen, BOUNDS, MAY_ADD, 0.5, 1)
    assert not ahead.likely
    assert ahead.gaps[0].name == "errorRate"


# ----------------------------------------------------------------------------------------- sums


def test_cohorts_are_settled_once_all_their_tasks_have_ended():
    world = World().minutes(3)
    assert world.seen.through_ms == 3 * COHORT_MS
    assert world.seen.settled == world.seen.evidence != NONE
    hanging = World().minutes(1).minutes(1, hangs=0.5).minutes(1)
    assert hanging.seen.through_ms == COHORT_MS
    assert hanging.seen.settled != hanging.seen.evidence


def test_what_is_settled_is_counted_once():
    world = World().minutes(2)
    before = world.seen.evidence
    assert world.cohorts.find(COHORT_MS, 2) is None
    assert world.seen.evidence == before


def test_sums_survive_being_written_down_and_are_small():
    world = World(9, share=0.5, per_minute=1000)
    world.cohorts.begin((2, 3, 4, 5, 6))
    for version in (2, 3, 4, 5, 6):
        world.minutes(3, version=version)
    text = encode(world.seen.settled)
    assert decode(text) == world.seen.settled
    assert 0 < len(text) < MOST_CHARACTERS
    broken = ("", "2whatever", "9whatever", "1###", text[:-9])
    assert {decode(one) for one in broken} == {NONE}


def test_sums_of_a_hundred_million_tasks_are_not_too_large():
    """Of users who came to the canary step by step; three times as many leave no zeros to compress, as twice as many do."""
    world = World(9, share=0.05, per_minute=3000)
    world.cohorts.begin((2, 3, 4, 5, 6))
    for version, world.share in zip((2, 3, 4, 5, 6), (0.05, 0.2, 0.5, 0.95, 0.95), strict=True):
        world.minutes(1, version=version)
    many = world.seen.settled
    for _ in range(8):
        many = plus(many, plus(many, many))
    assert sum(many.whole.canary) + sum(many.whole.stable) == 15_000 * 3**8
    assert decode(encode(many)) == many
    assert len(encode(many)) < MOST_CHARACTERS
    assert ComparisonStatus(sums=encode(many)).sums


def test_sums_of_what_was_taken_out_are_those_of_the_rest():
    one, two = World(1).minutes(2).seen.evidence, World(2).minutes(2).seen.evidence
    assert moved(plus(one, two), two, NONE) == one


def test_a_slot_that_begins_anew_has_nothing_of_before():
    world = World(1)
    world.cohorts.begin((2, 0, 0, 0, 2))
    world.minutes(2)
    seen = world.seen.of_slots((2, 0, 0, 0, 3))
    assert seen.evidence.since[4].ratios[0].tasks == 0
    assert seen.evidence.since[0] == world.seen.evidence.since[0]
    world.cohorts.begin((2, 0, 0, 0, 3))
    assert world.seen == seen
