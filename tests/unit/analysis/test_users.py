"""How unlike stable's users are, counted while nothing is tried, and what a canary is judged by then."""

from __future__ import annotations

import random

import pytest

from penstock.analysis.comparison import judge, spread, users
from penstock.analysis.comparison.judge import Bounds
from penstock.analysis.comparison.users import DAY_MS, Users, kept, priors
from penstock.analysis.fold import follow
from penstock.analysis.metrics import of_end
from penstock.analysis.scope import scope_of
from penstock.api.analysis import Analysis
from penstock.api.comparison import Comparison, StableUsers
from penstock.api.rollout import AgentRef, AgentRolloutSpec, AgentRolloutStatus, Stage
from penstock.outcomes import Row, RowKind
from penstock.task import Counting
from penstock.traffic import Arm
from tests.unit.rollout.beside import COMPARED, alike
from tests.unit.rollout.world import canary_world

NEVER = [0] * 100
START_MS = 1_795_255_200_000


def a_day(rates, tasks=20_000, seed=1, known=None, salt="a", begin=START_MS):
    """So many tasks of users who fail at these rates, by bucket, spread over a day."""
    chance, counted = random.Random(seed), Users.resume(known, salt)
    for n in range(tasks):
        bucket = chance.randrange(100)
        kind = Counting.ERROR if chance.random() < rates[bucket] else Counting.GOOD
        counted.end(bucket, of_end(kind, 100), begin + n * (DAY_MS - 1) // tasks)
    return counted


ALIKE = a_day([0.02] * 100)
UNLIKE = a_day([0.2 if bucket % 10 == 3 else 0.002 for bucket in range(100)])


def test_users_who_are_alike_are_known_to_be_and_others_too():
    errors, _ = priors(kept(ALIKE.seen()))
    assert spread.upper(spread.Spread(0.0, 1e-9), errors) < 0.1
    errors, _ = priors(kept(UNLIKE.seen()))
    assert errors.value > 1.3


def test_where_nothing_was_counted_what_is_assumed_of_any_users_stays():
    assert priors(None) is None
    assert priors(StableUsers()) is None
    assert priors(kept(a_day(NEVER, tasks=5000).seen())) is None, (
        "who never failed has told nothing"
    )
    assert spread.of_rates(NEVER, [100] * 100).information < 1


def test_a_restart_counts_nothing_twice():
    whole, half = Users("a"), Users("a")
    ends = [(n % 100, of_end(Counting.ERROR, 1), START_MS + n) for n in range(1000)]
    for end in ends:
        whole.end(*end)
    for end in ends[:600]:
        half.end(*end)
    resumed = Users.resume(StableUsers.model_validate(kept(half.seen()).wire()), "a")
    for end in ends[300:]:
        resumed.end(*end)
    assert resumed.seen() == whole.seen()


def test_with_other_buckets_it_begins_anew_and_knows_what_the_former_have_shown():
    anew = Users.resume(kept(UNLIKE.seen()), "another salt")
    assert sum(anew.seen().tasks) == 0
    assert priors(kept(anew.seen()))[0].value == pytest.approx(
        priors(kept(UNLIKE.seen()))[0].value, rel=1e-2
    )
    tomorrow = {"salt": "b", "begin": START_MS + DAY_MS}
    later = a_day([0.02] * 100, tasks=200, known=kept(UNLIKE.seen()), **tomorrow)
    assert sum(later.seen().tasks) == 200
    assert priors(kept(later.seen()))[0].value > 1.3, "two hundred tasks tell less"


def test_after_a_day_a_new_one_begins_and_the_last_one_is_known():
    counted = a_day([0.02] * 100)
    counted.end(1, of_end(Counting.GOOD, 1), START_MS + 2 * DAY_MS)
    assert sum(counted.seen().tasks) == 1
    assert priors(kept(counted.seen()))[0].information > 500


def test_what_is_kept_is_small_and_what_cannot_be_read_is_nothing():
    chance = random.Random(1)
    most = tuple(tuple(chance.randrange(256**5) for _ in range(100)) for _ in range(3))
    assert users.decode(users.encode(most)) == most
    assert len(users.encode(most)) <= 2_500
    for odd in ("", "{", users.encode(most)[:-7]):
        assert users.decode(odd) == ((0,) * 100,) * 3


# ---------------------------------------------------------------------------------- in a rollout


def spec(**fields):
    analysis = Analysis(**fields)
    return AgentRolloutSpec(agent_ref=AgentRef(name="support"), analysis=analysis)


def folded(declared, status):
    scope = scope_of(declared, status, {})
    fold = follow(None, scope, status.analysis, (), status.stable_users)
    for n, kind in enumerate((RowKind.ROUTED, RowKind.STARTED, RowKind.FINISHED)):
        fold.add([Row(f"{START_MS + n}-0", kind, "t", Arm.STABLE, "51e0aa07", 1, 1, 42)])
    return fold.observe(START_MS + 10)


WATCHED = AgentRolloutStatus(
    stage=Stage.DONE, stable_revision="support-51e0aa07", route_version=1, salt="a"
)


def test_stables_ends_are_counted_while_nothing_is_tried_and_a_comparison_is_declared():
    seen = folded(spec(comparison=Comparison()), WATCHED).users
    assert (seen.tasks[42], sum(seen.tasks)) == (1, 1)
    assert folded(spec(), WATCHED).users is None
    tried = WATCHED.model_copy(update={"stage": Stage.STEPS, "canary_revision": "support-7f3c9d2a"})
    assert folded(spec(comparison=Comparison()), tried).users is None


def test_what_is_known_of_users_outlives_the_begin_of_a_canary_and_changes_what_is_enough():
    seen = alike()
    bounds = Bounds(users=priors(kept(ALIKE.seen())))
    assert judge.innate_variance(seen, 1, bounds) < judge.innate_variance(seen, 1)
    unlike = Bounds(users=priors(kept(UNLIKE.seen())))
    assert judge.innate_variance(seen, 0, unlike) > judge.innate_variance(seen, 0, bounds)
    world = canary_world(analysis=COMPARED)
    before = kept(ALIKE.seen())
    world.change(status=world.status.model_copy(update={"stable_users": before}))
    world.measure(compared=seen).after(120).decide()
    assert world.status.stable_users == before
