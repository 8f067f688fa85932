"""The bench of rollouts: weather from a seed, rules that decide, and goals that are held or not."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from penstock.analysis.comparison import judge
from penstock_bench import machine, verdict
from penstock_bench.rollouts import __main__ as command
from penstock_bench.rollouts import alone, cells, goals, play, record
from penstock_bench.rollouts.goals import Verdict
from penstock_bench.rollouts.play import Cell, Run
from penstock_bench.rollouts.product import START_MS, Product
from penstock_bench.rollouts.record import Record
from penstock_bench.rollouts.sums import OnSums
from penstock_bench.rollouts.weather import Outage, Sky, Weather

BAD = Cell("bad", Weather(10.0, canary_errors=0.5), 2.0, 900.0, ("G5",))
RUN = Run("bad", play.PRODUCT, 0, "condemned", 12, 6, None, 200.0)


def tasks(weather, seed=1, percent=50, seconds=200.0):
    sky = Sky(weather, seed)
    return [task for at in range(0, int(seconds), 5) for task in sky.tasks(at, 5.0, percent, 1)]


def part(found, what):
    return sum(map(what, found)) / len(found)


def test_the_same_seed_has_the_same_weather_and_another_one_another():
    assert tasks(Weather(5.0)) == tasks(Weather(5.0))
    assert tasks(Weather(5.0)) != tasks(Weather(5.0), seed=2)


def test_weather_is_as_it_is_said_to_be():
    found = tasks(Weather(40.0, canary_errors=0.2, slower=2.0), seconds=600)
    canary, stable = ([t for t in found if t.canary is side] for side in (True, False))
    assert 0.45 < len(canary) / len(found) < 0.55
    assert 0.17 < part(canary, lambda t: t.error) < 0.23
    assert 0.01 < part(stable, lambda t: t.error) < 0.03
    assert 0.06 < part(stable, lambda t: t.escalation) < 0.1
    assert 3.3 < part(stable, lambda t: t.seconds) < 4.5
    assert 6.0 < part(canary, lambda t: t.seconds) < 9.0
    assert len(found) == pytest.approx(24_000, rel=0.05)


def test_users_may_be_few_and_unlike():
    found = tasks(Weather(20.0, users=40, alike=0.2), seconds=600)
    buckets = {t.bucket for t in found}
    assert len(buckets) <= 40
    rates = [part([t for t in found if t.bucket == b], lambda t: t.error) for b in buckets]
    assert min(rates) == 0.0
    assert max(rates) > 0.08


def test_turns_of_a_session_stay_on_their_side_and_get_slower():
    sky = Sky(Weather(5.0, turns=6), 3)
    sky.tasks(0, 100.0, 100, 1)
    later = sky.tasks(100, 100.0, 0, 2)
    assert {task.began for task in later} == {1, 2}
    assert all(task.canary for task in later if task.began == 1)


def test_an_outage_begins_when_the_share_is_reached():
    sky = Sky(Weather(20.0, errors=0.0, outage=Outage(50, 60, chance=1.0, after_seconds=0)), 1)
    assert not any(task.error for task in sky.tasks(0, 30.0, 20, 1))
    assert all(task.error for task in sky.tasks(30, 30.0, 50, 1))


@pytest.mark.parametrize("rule", play.NAMES)
def test_each_rule_finds_a_version_of_which_half_of_the_tasks_fail(rule):
    run = play.play(BAD, rule, 1)
    assert run.verdict == "condemned"
    assert 0 < run.harmed <= run.given < 400


@pytest.mark.parametrize("made", [Product, OnSums])
@pytest.mark.parametrize("errors", [0.15, 0.5])
def test_a_glance_condemns_when_a_look_would(made, errors):
    ends = []
    for often in (1, 1000):  # the first one gives a share
        product, sky = made(), Sky(Weather(10.0, canary_errors=errors), 1)
        for at in range(0, 900, 10):
            product.route(sky.tasks(at, 10.0, product.percent, product.version))
            (product.look if at % often == 0 else product.glance)(at + 10)
            if product.verdict:
                break
        ends.append((at, product.verdict, product.message, product.lines))
    assert ends[0] == ends[1]
    assert ends[0][1] == "condemned"
    assert ends[0][0] > 10


def test_an_operator_that_restarts_at_each_look_decides_the_same():
    short = Cell("bad", Weather(2.0, canary_errors=0.3), 10.0, 3600.0)
    assert play.is_the_same_after_restarts(short, 1)


def test_a_goal_is_missed_by_few_runs_only_where_chance_would_hardly_do_that():
    caught, slow = replace(RUN), replace(RUN, given=500)
    (_, median, p90) = goals.bounds(BAD)[:3]
    assert median.of(BAD, [caught] * 5, full=False).verdict is Verdict.HELD
    assert median.of(BAD, [caught], full=False).verdict is Verdict.NOT_MISSED
    assert median.of(BAD, [caught] * 2 + [slow] * 3, full=False).verdict is Verdict.NOT_TOLD
    assert median.of(BAD, [caught] * 2 + [slow] * 3, full=True).verdict is Verdict.MISSED
    assert median.of(BAD, [slow] * 12, full=False).verdict is Verdict.MISSED
    assert p90.of(BAD, [caught] * 8 + [slow] * 2, full=False).verdict is Verdict.NOT_TOLD


@pytest.mark.parametrize(
    ("mode", "reference", "code", "said"),
    [
        ("--full", 1.0, 1, "| MISSED |"),
        ("--full", 2.0, 0, "CPU time is not judged here: a peer is 1, on the quiet reference machine 2"),
        ("--runs=1", 1.0, 0, "CPU time is not judged here: the quick mode"),
    ],
)  # fmt: skip
def test_cpu_time_is_judged_in_the_full_mode_on_a_machine_like_the_reference(
    monkeypatch, tmp_path, capsys, mode, reference, code, said
):
    slow = [replace(RUN, look_ms=(50.0, 60.0))] * 20
    peer = verdict.Yardstick("a peer", 1.0, reference)
    monkeypatch.setattr(Record, "play", lambda *_, **_how: iter(()))
    monkeypatch.setattr(Record, "runs", lambda *_: slow)
    monkeypatch.setattr(machine.Conditions, "others", lambda _: 0.0)
    monkeypatch.setattr(command, "_yardstick", lambda: peer)
    options = ("--only", "cost x 2.5, 100/s", "--file", str(tmp_path / "runs"), mode)
    monkeypatch.setattr(sys, "argv", ["bench-rollout", *options])
    assert command.main() == code
    assert said in capsys.readouterr().out


def test_a_goal_that_is_known_to_be_missed_is_told_and_breaks_no_run():
    cell = replace(BAD, name="errors 2.0% -> 8%, 10/s", goals=("G4",))
    slow = [replace(RUN, given=500)] * 12
    never = [replace(RUN, verdict="")] * 12
    told = [said.verdict for said in goals.judged([(cell, slow)], full=True)]
    assert told[:3] == [Verdict.HELD, Verdict.OPEN, Verdict.OPEN]
    told = [said.verdict for said in goals.judged([(cell, never)], full=True)]
    assert told[0] is Verdict.MISSED, "a median that is missed excuses nothing else"
    names = {one.cell.name for one in cells.every()}
    assert {name for _, name in goals.OPEN} <= names


def test_a_canary_is_off_within_two_looks_of_the_first_credible_window():
    weather = Weather(10.0, outage=Outage(5, 40, after_seconds=60))
    run = play.play(Cell("outage", weather, 2.0, 300.0, ("G3",)), play.PRODUCT, 1)
    assert run.off is not None
    assert run.late_looks <= 2


def test_what_is_never_condemned_misses_a_goal_that_asks_for_it():
    missed = [said.verdict for said in goals.judged([(BAD, [replace(RUN, verdict="")])], full=True)]
    assert missed[:3] == [Verdict.MISSED] * 3


def of_rules(**runs):
    """So many harmed tasks, and whether it was rolled back, of each rule's runs."""
    return {
        rule: [
            replace(RUN, rule=rule, seed=seed, harmed=harmed, verdict=verdict)
            for seed, harmed in enumerate([harmed] * 100)
        ]
        for rule, (harmed, verdict) in runs.items()
    }


@pytest.mark.parametrize(
    ("ours", "careless", "careful", "verdict"),
    [
        (9, 5, 10, Verdict.HELD),
        (10, 5, 10, Verdict.MISSED),
        (11, 5, 10, Verdict.MISSED),
        (9, 5, None, Verdict.HELD),
    ],
)
def test_fewer_are_harmed_than_by_whoever_rolls_good_ones_back_as_rarely(
    ours, careless, careful, verdict
):
    bad = {"Penstock": (ours, "condemned"), "Argo-style": (careless, "condemned")}
    good = {"Penstock": (0, "promoted"), "Argo-style": (0, "condemned")}
    if careful is not None:
        bad["minimum sample"] = (careful, "condemned")
        good["minimum sample"] = (0, "promoted")
    said = goals.least_harm(BAD, of_rules(**bad), of_rules(**good), full=False)
    assert said.verdict is verdict
    few = [
        {rule: runs[:10] for rule, runs in some.items()}
        for some in (of_rules(**told) for told in (bad, good))
    ]
    told = goals.least_harm(BAD, *few, full=False).verdict
    assert told is {Verdict.HELD: Verdict.NOT_MISSED, Verdict.MISSED: Verdict.NOT_TOLD}[verdict]
    assert "Argo" not in said.asked


def test_each_bad_version_that_rivals_play_has_a_good_one_beside_it():
    pairs = cells.beside_rivals()
    assert [bad.weather.tasks_per_second for bad, _ in pairs] == [1, 10, 100]
    assert all(good.weather.harmless and good.rivals and bad.rivals for bad, good in pairs)


def test_quantiles_are_values_that_were_seen():
    assert goals.quantile([3, 1, 2], 0.5) == 2
    assert goals.quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.9) == 9
    assert goals.medians([]) == "–"


@pytest.mark.parametrize("seed", range(6))
def test_sums_that_are_fed_directly_are_those_of_rows_and_fold(seed):
    """At each look, and so what is judged of them: the same share by the clock on both ways."""
    weather = Weather(4.0, errors=0.1, late_seconds=40.0, users=60, alike=0.1)
    product, sky = Product(), Sky(weather, seed)
    product.look(0.0)
    version = product.version
    assert product.percent == 5
    for now, seen in alone.observed(weather, seed, path=((5, 240),), look=10.0):
        product.route(
            task._replace(began=version) for task in sky.tasks(now - 10.0, 10.0, 5, version)
        )
        product.look(now)
        rows = product.fold.observe(START_MS + int(now * 1000)).compared
        assert rows.evidence == seen.evidence
        assert rows.at_most == seen.at_most
        assert judge.strengths(rows, alone.BOUNDS) == judge.strengths(seen, alone.BOUNDS)


def test_runs_are_kept_and_not_played_again(tmp_path, monkeypatch):
    file = tmp_path / "runs.jsonl"
    cell = replace(BAD, rivals=False)
    assert len(list(Record(file).play([(cell, 2)], processes=1))) == 2
    assert list(Record(file).play([(cell, 2)], processes=1)) == []
    assert [run.seed for run in Record(file).runs(cell, play.PRODUCT)] == [0, 1]
    monkeypatch.setattr(record, "code", lambda: "another version")
    assert Record(file).runs(cell, play.PRODUCT) == []


def test_every_goal_has_a_cell_and_cells_have_names_of_their_own():
    played = cells.every()
    names = [one.cell.name for one in played]
    assert len(names) == len(set(names))
    asked = {goal for one in played for goal in one.cell.goals}
    assert {f"G{n}" for n in range(1, 10)} <= asked
    assert all(one.full >= 300 for one in played)


def test_good_versions_are_played_seed_by_seed_and_kept(tmp_path):
    some = [
        Cell("few", Weather(1.0), 15.0, 60.0, rivals=False),
        Cell("many", Weather(20.0), 10.0, 60.0, rivals=False, blocks=True),
    ]
    kept = Record(tmp_path / "runs.jsonl")
    rounds = [(seed, some) for seed in range(2)]
    played = list(kept.play_rounds(rounds, processes=1))
    assert [(run.cell, run.seed) for run in played] == [(c.name, s) for s in (0, 1) for c in some]
    assert min(run.given for run in played if run.cell == "many") > 10
    again = Record(tmp_path / "runs.jsonl")
    assert not list(again.play_rounds(rounds, processes=1))
    assert again.runs(some[1], play.PRODUCT) == [run for run in played if run.cell == "many"]
