"""What a Prometheus may answer, and what of it is a number; when that lets a canary pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from penstock.analysis import gates
from penstock.analysis.gates import Answer, Said, Unresolved
from penstock.api.external import ExternalGate, GateReport

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


def vector(*values):
    samples = [{"metric": {}, "value": [1.5, value]} for value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": samples}}


def read(document, status=200):
    return gates.read(status, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("text", "value"), [("4.2", "4.2"), ("0", "0"), ("-1e-07", "-1e-07"), ("1e+21", "1e+21")]
)
def test_one_series_is_a_number_and_so_is_a_scalar(text, value):
    assert read(vector(text)).value == Decimal(value)
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": [1.5, text]}}
    assert read(scalar).value == Decimal(value)


HOSTILE = {
    "no series": (vector(), "no series"),
    "several series": (vector("1", "2"), "2 series"),
    "NaN": (vector("NaN"), "NaN"),
    "an infinity": (vector("+Inf"), "+Inf"),
    "minus an infinity": (vector("-Inf"), "-Inf"),
    "a word": (vector("yes"), "no number"),
    "a number that is no text": (vector(4), "no number"),
    "a long text": (vector("1" * 50), "no number"),
    "nothing": (vector(None), "no number"),
    "a histogram": (
        {"status": "success", "data": {"resultType": "vector", "result": [{"histogram": [1, {}]}]}},
        "no number",
    ),
    "a string": (
        {"status": "success", "data": {"resultType": "string", "result": [1, "4"]}},
        "no number",
    ),
    "a matrix": ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "no number"),
    "no data": ({"status": "success"}, "no number"),
    "data of another kind": ({"status": "success", "data": [1]}, "no number"),
    "results that are none": (
        {"status": "success", "data": {"resultType": "vector", "result": {"0": 1}}},
        "no number",
    ),
    "a result that is none": (
        {"status": "success", "data": {"resultType": "vector", "result": ["4"]}},
        "no number",
    ),
    "a list": ([1, 2], "no Prometheus"),
    "another service's document": ({"status": "ok", "value": 4}, "no Prometheus"),
    "part of the data": ({**vector("4"), "warnings": ["store\n1 is away"]}, "store 1 is away"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_is_not_one_finite_number_is_none(name):
    document, words = HOSTILE[name]
    said = read(document)
    assert said.value is None
    assert words in said.problem


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>log in</html>", b"[" * 200_000, b"{", b"\xff\xfe", b'"4"', b"9" * 10_000],
    ids=["nothing", "HTML", "a deep nest", "half", "no UTF-8", "a text", "a long number"],
)
def test_what_is_no_answer_of_prometheus_is_none(body):
    assert gates.read(200, body) == Said(problem="what answered is no Prometheus")
    assert gates.read(502, body).problem == "what answered is no Prometheus (HTTP 502)"


def test_an_error_of_prometheus_is_told_in_its_own_words_in_one_short_line():
    said = read({"status": "error", "error": 'parse error: "a" ' + "\n\x1b[31m" + "x" * 900}, 400)
    assert said.problem.startswith('it answered 400: parse error: "a" [31mxxx')
    assert len(said.problem) < 200
    assert said.problem.isprintable()
    assert read({"status": "error", "error": {"a": 1}}, 503).problem.endswith("no reason given")


def test_notes_that_say_nothing_of_the_data_do_no_harm():
    assert read({**vector("4"), "infos": ["metric might not be a counter"]}).value == 4


# ------------------------------------------------------------------------------------ judging


def gate(**fields):
    return ExternalGate(name="csat", address="main", query="q", **{"min": "4", **fields})


def judged(value, before=None, at=NOW, **fields):
    said = Said(Decimal(value)) if value is not None else Said(problem="the query yields no series")
    return gates.judge(gate(**fields), Answer(said, at), before, at)


@pytest.mark.parametrize(
    ("fields", "value", "word"),
    [
        ({}, "4", "Passing"),
        ({}, "3.999999", "Outside"),
        ({"min": None, "max": "4"}, "4", "Passing"),
        ({"min": None, "max": "4"}, "4.000001", "Outside"),
        ({"min": "-2", "max": "-1"}, "-1.5", "Passing"),
        ({"min": "-2", "max": "-1"}, "0", "Outside"),
        ({}, None, "Missing"),
    ],
)
def test_bounds_are_decimal_and_belong_to_what_passes(fields, value, word):
    assert judged(value, **fields).verdict == word


def test_since_when_it_passes_is_kept_while_it_is_seen_and_begins_anew_after_a_break():
    first = judged("4.5")
    later = judged("4.6", first, NOW + timedelta(seconds=120))
    assert later.since == first.since
    assert judged("4.6", later, NOW + timedelta(seconds=241)).since == "2026-11-21T10:04:01Z"


@pytest.mark.parametrize("value", ["3", None])
def test_since_when_it_does_not_pass_is_kept_over_a_break(value):
    first = judged(value)
    assert judged(value, first, NOW + timedelta(hours=3)).since == first.since
    assert judged("4.5", first, NOW + timedelta(seconds=1)).since == "2026-11-21T10:00:01Z"


def test_what_was_never_answered_says_nothing_and_what_was_said_before_stays():
    assert gates.judge(gate(), Answer(), None, NOW) is None
    before = judged("4.5")
    assert gates.judge(gate(), Answer(), before, NOW) is before


def test_a_gate_that_cannot_be_asked_is_missing():
    answer = Answer(Said(problem="unknown"), unresolved=Unresolved.UNKNOWN)
    assert gates.judge(gate(), answer, judged("4.5"), NOW).verdict == "Missing"


@pytest.mark.parametrize(
    ("step_began", "opens"),
    [
        (None, "10:05:00"),
        ("2026-11-21T09:00:00Z", "10:05:00"),
        ("2026-11-21T10:02:00Z", "10:07:00"),
    ],
)
def test_it_opens_after_so_many_seconds_of_this_step(step_began, opens):
    report = judged("4.5")
    found = gates.passes_at(gate(for_seconds=300), report, step_began)
    assert f"{found:%H:%M:%S}" == opens


def test_what_is_not_within_its_bounds_never_opens():
    for value in ("3", None):
        assert gates.passes_at(gate(), judged(value), None) is None


def test_a_report_fits_into_the_status_whatever_was_said():
    said = Said(problem="x" * 5000)
    report = gates.judge(gate(), Answer(said, NOW), None, NOW)
    assert GateReport.model_validate(report.wire()) == report
    assert len(judged("1" + "0" * 300).value) <= 32
