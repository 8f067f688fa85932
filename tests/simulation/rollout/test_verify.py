"""Each recorded decision follows from the rows, however the rollout went; of other rows it does not.

PENSTOCK_ROLLOUTS_VERIFIED=1000: so many rollouts.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import fields, replace

import pytest

from penstock.analysis.fold import position
from penstock.outcomes import Row, RowKind
from penstock.rollout import record, recorded
from penstock.rollout.verify import Outcome
from penstock.task import Counting, OutcomeReason
from penstock.traffic import Arm
from tests.simulation.rollout.verified import drawn

ROLLOUTS = int(os.environ.get("PENSTOCK_ROLLOUTS_VERIFIED", "6"))
#: Its second canary began soon after the log had lost rows, when nothing was tried.
GAP_WHILE_NOTHING_WAS_TRIED = 119
#: Of so many or more rollouts each one is not changed in every way.
FEW = 20
OTHERWISE = {
    "kind": lambda row: RowKind.STARTED if row.kind is RowKind.ROUTED else RowKind.ROUTED,
    "task": lambda row: f"{row.task}0",
    "arm": lambda row: Arm.STABLE if row.arm is Arm.CANARY else Arm.CANARY,
    "revision": lambda row: f"{row.revision}0",
    "route_version": lambda row: row.route_version + 1,
    "begin_version": lambda row: row.begin_version + 1,
    "bucket": lambda row: (row.bucket + 1) % 100,
    "counting": lambda row: Counting.GOOD if row.counting is Counting.ERROR else Counting.ERROR,
    "latency_ms": lambda row: row.latency_ms + 1,
    "cost_micro_usd": lambda row: row.cost_micro_usd + 1,
    "reason": lambda _row: OutcomeReason.TIMEOUT,
}


def tampered(log: list[Row], how: str, at: int) -> list[Row]:
    """The log with one row changed in a field, dropped, put in twice, or in the place of the next one."""
    row = log[at]
    match how:
        case "dropped":
            return [*log[:at], *log[at + 1 :]]
        case "added":
            more = replace(row, id=f"{row.id.partition('-')[0]}-{10**6}")
            return [*log[: at + 1], more, *log[at + 1 :]]
        case "moved":
            following = log[at + 1]
            return [
                *log[:at],
                replace(following, id=row.id),
                replace(row, id=following.id),
                *log[at + 2 :],
            ]
        case _:
            return [*log[:at], replace(row, **{how: OTHERWISE[how](row)}), *log[at + 1 :]]


TAMPERED = (*OTHERWISE, "dropped", "added", "moved")


def covered(rollout, name):
    """Where in the log the rows are on which a decision rests that was found equal."""
    found = rollout.verified(name)
    equal = {one.number for one in found if one.outcome is Outcome.EQUAL}
    for one in recorded.entries(rollout.texts[name]):
        rows = one.told["measured"].get("rows", {})
        if one.number in equal and rows.get("count"):
            first, last = position(rows["since"]), position(rows["through"])
            places = [at for at, row in enumerate(rollout.log) if first < position(row.id) <= last]
            if len(places) > 1:
                yield places[:-1]


def is_seen(rollout, name, again):
    """Whether a change of rows is seen: where the log was whole, as a difference, with its place."""
    before = [one.outcome for one in rollout.verified(name)]
    if any(one.outcome is Outcome.DIFFERS and one.difference for one in again):
        return True
    lost = Outcome.BY_DIGEST in before
    return lost and [one.outcome for one in again].count(Outcome.EQUAL) < before.count(
        Outcome.EQUAL
    )


def is_lost(rollout, name, said):
    """Whether the last row that a decision counted went away later: no decision came after that to tell of it."""
    text = rollout.texts[name][f"{said.number:06}.json"]
    through = json.loads(text)["measured"]["rows"]["through"]
    return through not in {row.id for row in rollout.log}


def test_every_field_of_a_row_is_changed():
    assert {*OTHERWISE, "id"} == {field.name for field in fields(Row)}


@pytest.mark.timeout(60 + 30 * ROLLOUTS)
def test_the_record_of_a_rollout_follows_from_its_rows_and_from_no_others():
    outcomes: Counter[str] = Counter()
    found: Counter[str] = Counter()
    results: Counter[str] = Counter()
    for seed in {*range(ROLLOUTS), GAP_WHILE_NOTHING_WAS_TRIED}:
        chance = random.Random(seed)
        rollout = drawn(seed).play()
        results.update(rollout.results)
        for name in rollout.texts:
            said = rollout.verified(name)
            wrong = [one for one in said if one.outcome in (Outcome.DIFFERS, Outcome.MISSING)]
            amiss = [one for one in wrong if not is_lost(rollout, name, one)]
            assert not amiss, f"seed {seed}, {name}: {amiss[0]}"
            if wrong:
                continue
            outcomes.update(one.outcome.value for one in said)
            places = [place for some in covered(rollout, name) for place in some]
            kinds = TAMPERED if ROLLOUTS < FEW else chance.sample(TAMPERED, 4)
            for how in kinds if places else ():
                at = chance.choice(places)
                again = rollout.verified(name, tampered(rollout.log, how, at))
                assert is_seen(rollout, name, again), f"seed {seed}, {name}: {how} at {at}"
                found[how] += 1
    print(f"{ROLLOUTS} rollouts: {dict(outcomes)}; verdicts {dict(results)}; seen {dict(found)}")
    assert outcomes[Outcome.EQUAL.value] > 2 * ROLLOUTS
    assert all(found[how] > ROLLOUTS / 10 for how in TAMPERED)


@pytest.fixture(scope="module")
def rollout():
    return drawn(5).play()


def test_an_entry_that_was_changed_dropped_or_exchanged_is_found(rollout):
    name, texts = next(iter(rollout.texts.items()))
    assert len(texts) > 2

    def said(other):
        rollout.texts[name] = other
        try:
            return {one.number: one.outcome for one in rollout.verified(name)}
        finally:
            rollout.texts[name] = texts

    assert set(said(texts).values()) == {Outcome.EQUAL}
    for number, (key, text) in enumerate(sorted(texts.items()), 1):
        changed = said({**texts, key: text.replace('"attempt":1', '"attempt":2')})
        assert Outcome.DIFFERS in changed.values()
        dropped = said({other: kept for other, kept in texts.items() if other != key})
        assert dropped[number] is Outcome.MISSING
    first, second, *_ = sorted(texts)
    exchanged = said({**texts, first: texts[second], second: texts[first]})
    assert exchanged[1] is exchanged[2] is Outcome.DIFFERS


def test_a_canary_that_appears_before_the_first_task_is_verified():
    rollout = drawn(5)
    rollout.events, rollout.tasks_per_second = {0: ("appears", "support-7f3c9d2a")}, 0.0
    rollout.play()
    [said] = [rollout.verified(name) for name in rollout.texts]
    assert {one.outcome for one in said} == {Outcome.EQUAL}


def test_another_engine_is_named(rollout):
    name, texts = next(iter(rollout.texts.items()))
    last = max(texts)
    newer = {**texts, last: texts[last].replace(f'"engine":{record.ENGINE}', '"engine":99')}
    rollout.texts[name], kept = newer, rollout.heads.pop(name)
    try:
        said = rollout.verified(name)[-1]
    finally:
        rollout.texts[name], rollout.heads[name] = texts, kept
    assert (said.outcome, said.why) == (Outcome.ENGINE_NEEDED, "engine 99 needed")
