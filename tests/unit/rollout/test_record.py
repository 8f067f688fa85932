"""What is kept of each decision: the rule, the numbers, what people declared, and the one before it."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.decisions import RowsSeen
from penstock.api.strategy import Step
from penstock.rollout import record
from penstock.rollout.engine import decide
from tests.unit.rollout.beside import COMPARED, beside
from tests.unit.rollout.test_undo import after_c
from tests.unit.rollout.world import BAD, C2, GOOD, C, S, canary_world, stable_world, world_at

OUTAGE = Tally(tasks=60, errors=40)


def told(world, revision=C):
    """The decisions on a revision, in their order."""
    return [json.loads(entry.text) for entry in world.entries if entry.revision == revision]


def rules(world, revision=C):
    return [entry["rule"] for entry in told(world, revision)]


def test_each_step_of_a_rollout_is_a_decision_with_its_rule():
    world = world_at(50).step_over().step_over()
    assert world.status.stable_revision == C
    assert rules(world) == [
        "checks.superseded", "checks.first_step", "checks.advance", "checks.advance",
        "checks.advance", "checks.promote",
    ]  # fmt: skip
    assert [one["move"] for one in told(world)] == [
        "Begin", "Advance", "Advance", "Advance", "Advance", "Promote",
    ]  # fmt: skip
    steps = [(one["before"]["percent"], one["after"]["percent"]) for one in told(world)]
    assert steps == [(0, 0), (0, 5), (5, 20), (20, 50), (50, 95), (95, 0)]


def test_while_nothing_is_decided_nothing_is_recorded():
    world = canary_world()
    before = len(world.entries)
    for _ in range(3):
        world.after(5).decide()
    assert len(world.entries) == before


def test_a_rollback_has_the_rule_the_samples_the_limit_and_the_words():
    world = world_at(20).measure(BAD).decide()
    last = told(world)[-1]
    assert (last["rule"], last["move"]) == ("harm.guardrail", "Reject")
    assert last["says"]["result"] == "Rejected"
    assert last["says"]["check"] == "errorRate"
    assert last["says"]["message"] == world.status.verdicts[-1].message
    samples = last["measured"]["samples"]
    assert samples["canary"]["total"]["errors"] == BAD.errors
    assert samples["stable"]["window"]["tasks"] == GOOD.tasks
    (rate,) = [one for one in last["measured"]["guardrails"] if one["name"] == "errorRate"]
    assert (rate["limit"], rate["verdict"]) == (5, "Breached")
    assert rate["canary"] == {"n": 100, "total": 40, "squares": 40}
    assert last["measured"]["gap"] is False
    assert last["parameters"]["analysis"]["guardrails"]["errorRatePercent"] == 5
    assert (last["engine"], last["schema"]) == (record.ENGINE, record.SCHEMA)
    assert last["after"]["routeVersion"] == world.status.route_version


def test_the_evidence_of_a_comparison_stands_beside_what_condemns():
    world = world_at(20, analysis=COMPARED).measure(compared=beside(seconds=4.0)).decide()
    last = told(world)[-1]
    assert last["rule"] == "harm.evidence_of_harm"
    found = last["measured"]["comparison"]
    assert found["worse"] >= found["condemnsAt"]["worse"]
    assert {one["name"] for one in found["metrics"]} == {
        "errorRate", "escalationRate", "latency", "cost",
    }  # fmt: skip


def test_what_was_decided_blindly_says_so():
    world = canary_world().blind().change(observation_error="Redis did not answer").ask("abort")
    assert told(world.decide())[-1]["measured"] == {"missing": "Redis did not answer"}


def test_the_rows_that_it_rests_on_are_named_by_their_digest():
    world = canary_world()
    seen = world.observation
    rows = RowsSeen(since="1-0", count=7, digest="ab" * 32)

    def with_rows():
        found = seen()
        object.__setattr__(found, "rows", rows)
        return found

    world.observation = with_rows
    world.step_over()
    kept = told(world)[-1]["measured"]["rows"]
    assert kept == {"since": "1-0", "count": 7, "digest": "ab" * 32, "through": kept["through"]}
    assert world.status.analysis.rows == rows


# ------------------------------------------------------------------------------------ the chain


def chain(world, revision=C):
    found = [entry for entry in world.entries if entry.revision == revision]
    assert [entry.number for entry in found] == list(range(1, len(found) + 1))
    for entry in found:
        assert hashlib.sha256(entry.text.encode()).hexdigest() == entry.digest
    for one, other in pairwise(found):
        assert json.loads(other.text)["previous"] == one.digest
    return found


@pytest.mark.parametrize(
    "story",
    [
        lambda: world_at(50).step_over().step_over(),
        lambda: world_at(20).measure(OUTAGE, OUTAGE).decide().measure().after(600).decide(),
        lambda: world_at(20).set(50).decide().set(None).decide().step_over(),
        lambda: world_at(20).measure(BAD).decide().measure().ask("retry").decide().step_over(),
        lambda: world_at(50).apply(C2).pods(C2).decide().step_over(),
    ],
    ids=["to the end", "an incident", "a setpoint", "a retry", "superseded"],
)
def test_each_decision_has_the_digest_of_the_one_before_it_and_status_that_of_the_last(story):
    world = story()
    for revision in (C, C2):
        found = chain(world, revision)
        if found and world.status.decisions.revision == revision:
            head = world.status.decisions
            assert (head.count, head.head) == (found[-1].number, found[-1].digest)


def test_a_superseded_canary_has_its_end_on_record_and_the_next_one_its_own_chain():
    world = world_at(50).apply(C2).pods(C2).decide()
    assert told(world)[-1]["says"]["result"] == "Superseded"
    assert rules(world, C2) == ["checks.superseded", "checks.first_step"]
    assert world.status.decisions.revision == C2


def test_a_canary_that_comes_back_goes_on_with_its_chain():
    world = world_at(50).apply(C2).pods(C2).decide().apply(C).decide().step_over()
    assert len(chain(world)) > 5


def test_without_its_status_it_goes_on_from_the_record():
    world = world_at(20)
    before = len(chain(world))
    world.wipe_status().decide()
    assert len(chain(world)) > before


def test_a_pass_that_was_not_written_is_recorded_once():
    seen = world_at(20).measure(BAD).seen()
    first, second = decide(seen).entries, decide(seen).entries
    assert [entry.number for entry in first] == [4]
    assert first == second


def test_what_was_undone_is_on_its_own_record():
    world = after_c().ask("undo", S).pods(S).decide()
    for revision, result in ((C, "Rejected"), (S, "Promoted")):
        last = told(world, revision)[-1]
        found = (last["rule"], last["move"], last["says"]["result"])
        assert found == ("checks.undo_requested", "Undo", result)


def test_an_answer_to_a_request_is_no_decision():
    world = canary_world()
    before = len(world.entries)
    world.ask("promote", C2).decide()
    assert len(world.entries) == before
    assert stable_world().entries == []


def test_an_entry_is_small_whatever_people_have_declared():
    steps = tuple(Step(percent=n, hold_seconds=60, min_tasks=20) for n in range(1, 17))
    world = canary_world(steps=steps, analysis=COMPARED)
    for _ in range(3):
        world.step_over()
    assert max(len(entry.text) for entry in world.entries) < 8192
