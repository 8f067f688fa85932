"""What a decision was given is read again as it was; the worlds of the other tests decide the same by it."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from penstock.analysis.day import HOUR_MS, Day, Hour
from penstock.analysis.evidence import Observation
from penstock.analysis.gates import Answer, Said
from penstock.analysis.metrics import NO_SUMS
from penstock.analysis.scope import scope_of
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.rollout import AgentRolloutStatus
from penstock.api.sample import Sample
from penstock.effects import HarmDone
from penstock.money.ledger import Limit, Scope, Stop, Unit, Window
from penstock.rollout import given
from penstock.rollout.capacity import Capacity
from penstock.rollout.situation import Pods, RevisionRecord, Situation
from tests.unit.rollout.world import GARBAGE, C, S, rejection, spec

NOW = datetime(2026, 11, 21, 10, 0, 0, 123_456, tzinfo=UTC)
LIMIT = Limit(Scope.CANARY, Window.TOTAL, Unit.MICRO_USD, 5)
VERDICT = Verdict(
    revision=C,
    attempt=1,
    result=Result.REJECTED,
    reason=Reason.ERROR_RATE,
    message="too many errors",
    at="2026-11-21T09:00:00Z",
)
RECORDS = {
    S: RevisionRecord(S, "v1", promoted_sequence=2),
    C: RevisionRecord(C, decided=(4, "ab" * 32)),
    "support-former00": RevisionRecord(
        "support-former00", verdict=rejection("support-former00", message="")
    ),
}
FULL = Situation(
    now=NOW,
    spec=spec(percent=20, revision=C, paused=True),
    generation=7,
    status=AgentRolloutStatus(canary_revision=C, route_version=3, verdicts=(VERDICT,)),
    epoch=3,
    stable=S,
    latest=C,
    records=RECORDS,
    pods={C: Pods(1, 2, "its image is missing", needs_person=True)},
    observation_error="Redis did not answer",
    request="promote/v2/1",
    route_version_floor=9,
    users=12,
    tasks=34,
    queue_age_seconds={C: 1.5},
    agent_suspended=True,
    store_error="away",
    uncut="Settling",
    capacity=Capacity(1, 2, 3),
    expected_micro_usd=400,
    agent_limits=(LIMIT,),
    stops={C: (Stop(LIMIT, 6, 7),)},
    harm={C: HarmDone(1, 2, 3, None, 4)},
    external={"p99": Answer(Said(Decimal("1.25")), NOW)},
    turned_away_at=NOW,
    namespace="shop",
    name="support",
)
APART = {"observation", "fresh_salt", "status"}


def again(situation):
    spec = json.loads(situation.spec.model_dump_json(by_alias=True))
    parameters = {name: spec[name] for name in ("analysis", "strategy", "unit")}
    told = json.loads(json.dumps(given.written(situation)))
    return given.read(told, parameters)[0]


@pytest.mark.parametrize("name", [one.name for one in fields(Situation) if one.name not in APART])
def test_each_field_is_read_as_it_was(name):
    assert getattr(again(FULL), name) == getattr(FULL, name)


def test_of_the_status_what_decides_is_read():
    assert again(FULL).status == FULL.status.model_copy(update={"salt": "before"})


def test_nothing_of_a_task_is_written_and_no_salt_and_no_condition():
    shown = VERDICT.model_copy(update={"samples": (Sample(task="shop.support.t1", message="x"),)})
    status = FULL.status.model_copy(
        update={"verdicts": (shown,), "salt": "the-salt", "conditions": GARBAGE}
    )
    told = json.dumps(given.written(Situation(**{**vars(FULL), "status": status})))
    assert "t1" not in told
    assert "the-salt" not in told
    assert "never written" not in told


def test_a_moment_is_kept_to_the_microsecond():
    for micros in (0, 1, 999_999):
        moment = NOW + timedelta(microseconds=micros)
        assert again(Situation(**{**vars(FULL), "now": moment})).now == moment


def measured(*without):
    """What is read of an observation of two hours of stable's costs, and that one."""
    hours = {500_000: Hour(30, 900), 499_990: Hour(10, 140), 499_000: Hour(7, 7)}
    now_ms, scope = 500_000 * HOUR_MS + 1, scope_of(FULL.spec, FULL.status, {})
    seen = Observation(now_ms, costs=Day("stable", now_ms, hours), scope=scope)
    told = json.loads(json.dumps(given.written(replace(FULL, observation=seen))))
    kept = {name: value for name, value in told["measured"].items() if name not in without}
    spec = json.loads(FULL.spec.model_dump_json(by_alias=True))
    parameters = {name: spec[name] for name in ("analysis", "strategy", "unit")}
    return given.read({**told, "measured": kept}, parameters)[1], seen


def test_what_stables_tasks_cost_in_the_last_day_comes_back():
    found, seen = measured()
    again = found.completed(Observation(seen.now_ms))
    assert again.costs_lately == seen.costs_lately == (40, 1_040, 0)


def test_a_record_of_before_the_costs_were_in_it_is_read():
    found, seen = measured("costs_lately")
    assert found.completed(Observation(seen.now_ms)).costs_lately == NO_SUMS
