"""`penstock history`: each attempt of a revision by itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock_cli import attempts, history
from tests.unit.cli.fake_kubectl import FakeKubectl
from tests.unit.cli.rollouts import STATES, documents, printed, read
from tests.unit.cli.test_terminal import penstock
from tests.unit.rollout.world import C

OTHER = "support-11112222"


def recorded(world):
    """What a person sees of a world, with the records of decisions."""
    texts = {}
    for entry in world.entries:
        texts.setdefault(entry.revision, {})[f"{entry.number:06d}.json"] = entry.text
    seen = read(world)
    return replace(seen, documents=replace(seen.documents, decisions=texts))


@pytest.fixture
def retried():
    """Rejected, retried, superseded by another one in its second attempt, applied again."""
    world = STATES["rejected"]().after(600).ask("retry", C).decide()
    world = world.after(600).apply(OTHER).pods(OTHER).decide().decide()
    return world.after(600).apply(C).decide()


def rows(seen, revision):
    """The lines of a revision's attempts."""
    _, *lines = printed(history.lines(seen, 80)).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(revision))
    told = []
    for line in lines[at + 1 :]:
        if not line.startswith(" "):
            break
        told.append(" ".join(line.split()))
    return told


def test_each_attempt_has_its_start_its_steps_and_its_end(retried):
    assert rows(recorded(retried), C) == [
        "attempt 1 2026-11-21T10:31:02Z - – RolledBack",
        "attempt 2 2026-11-21T10:11:02Z 5 % – NewRevision",
        "attempt 1 2026-11-21T10:00:00Z 5 % → 20 % ✗ ErrorRateRegression",
    ]
    # Begun while the other one was in its second attempt, it is in its first.
    assert rows(recorded(retried), OTHER) == [
        "attempt 1 2026-11-21T10:21:02Z 5 % ✗ ErrorRateRegression"
    ]


def test_an_attempt_under_way_has_no_end():
    world = STATES["rejected"]().after(600).ask("retry", C).decide()
    first, _ = rows(recorded(world), C)
    assert first == "attempt 2 2026-11-21T10:11:02Z 5 % …"


@pytest.mark.parametrize(
    ("state", "steps"),
    [("shadow", "shadow"), ("ring", "ring 1/2"), ("suspended", "5 % → 20 % → suspended")],
)
def test_what_is_no_share_has_a_name(state, steps):
    (row,) = rows(recorded(STATES[state]()), C)
    assert steps in row


def test_programs_tell_attempts_apart_by_their_numbers(retried):
    items = {one["name"]: one for one in history.document(recorded(retried))["items"]}
    found = items[C]["attempts"]
    assert [one["attempt"] for one in found] == [1, 2, 1]
    assert found[2]["verdict"]["result"] == "Rejected"
    assert [one["step"] for one in found[2]["steps"]] == ["5 %", "20 %"]


def test_without_the_record_verdicts_tell_attempts_apart(retried):
    assert rows(read(retried), C) == [
        "attempt 2 start not on record - – NewRevision",
        "attempt 1 start not on record - ✗ ErrorRateRegression",
    ]


def test_an_attempt_that_is_superseded_under_way_is_one_and_has_an_end():
    world = STATES["step"]().after(60).apply(OTHER).pods(OTHER).decide().decide()
    (row,) = rows(recorded(world), C)
    assert row.startswith("attempt 1 2026-11-21T10:00:00Z ")
    assert row.endswith(" – NewRevision")
    items = {one["name"]: one for one in history.document(recorded(world))["items"]}
    (attempt,) = items[C]["attempts"]
    assert attempt["verdict"]["result"] == "Superseded"
    assert attempt["verdict"]["percent"] == 20


def test_where_the_next_canary_begins_is_no_place_of_the_one_before():
    entries = [
        {"number": 1, "move": "Begin", "attempt": 1, "at": "2026-11-21T10:00:00Z"},
        {
            "number": 2,
            "move": "Begin",
            "attempt": 1,
            "at": "2026-11-21T11:00:00Z",
            "says": {"result": "Superseded", "reason": "NewRevision", "message": ""},
            "after": {"stage": "Shadow", "percent": 5},
        },
    ]
    (found,) = attempts.of(_record(entries), ())
    assert (found.places, found.ended) == ((), "2026-11-21T11:00:00Z")


def test_what_has_only_begun_has_its_own_number():
    """The entry has the number of the canary before."""
    world = STATES["rejected"]().after(600).ask("retry", C).decide()
    world = world.after(600).apply(OTHER).decide()
    assert world.status.canary_revision == OTHER
    (row,) = rows(recorded(world), OTHER)
    assert row.startswith("attempt 1 ")
    begun = {"number": 1, "move": "Begin", "attempt": 7}
    assert [one.number for one in attempts.of(_record([begun]), (), current=3)] == [3]
    assert [one.number for one in attempts.of(_record([begun]), ())] == [1]


def _record(entries):
    return {f"{one['number']:06d}.json": json.dumps(one) for one in entries}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"number":1}', '{"number":1,"move":"Begin"}', "[" * 100_000],
)
def test_a_record_that_another_release_wrote_is_no_error(text):
    found = attempts.of({"000001.json": text, "effects.json": "{}"}, ())
    assert [one.number for one in found] in ([], [1])


@pytest.mark.parametrize(
    "odd", [None, "x", 5, 1e999, True, [], [1], {}, {"result": []}, "1" * 5000]
)
@pytest.mark.parametrize("field", ["move", "at", "attempt", "says", "before", "after"])
@pytest.mark.parametrize("place", [0, 1])
def test_an_odd_field_of_a_record_is_passed_over(field, odd, place):
    entries = [
        {"number": 1, "move": "Begin", "attempt": 1, "at": "2026-11-21T10:00:00Z"},
        {
            "number": 2,
            "move": "Climb",
            "attempt": 1,
            "at": "2026-11-21T10:01:00Z",
            "after": {"percent": 5},
        },
    ]
    entries[place][field] = odd
    found = attempts.of(_record(entries), ())
    assert {one.number for one in found} <= {1, 5}
    assert json.dumps([one.wire() for one in found])


@pytest.mark.parametrize("odd", [None, "x", 5, [], {}])
@pytest.mark.parametrize("field", ["percent", "stage", "step", "source", "reason", "message"])
def test_an_odd_field_of_a_place_or_a_verdict_is_passed_over(field, odd):
    said = {"result": "Rejected", "reason": "Aborted", "message": "", field: odd}
    place = {"stage": "Rings", "step": "ring 1/2", "percent": 5, field: odd}
    entry = {"number": 1, "move": "Reject", "says": said, "before": place, "after": place}
    (found,) = attempts.of(_record([entry]), ())
    assert found.result == "Rejected"
    assert found.percent in (None, 5)


def test_who_may_not_read_the_records_reads_so(tmp_path):
    fake = FakeKubectl.install(tmp_path / "programs")
    seen = documents(STATES["rejected"]())
    fake.answers = {
        "get agentrollouts.penstock.dev": seen.rollout,
        "get agents.penstock.dev": seen.agent,
        "get controllerrevisions.apps": {"items": list(seen.records)},
        "get pods": {"items": []},
        "get configmaps": {"error": "Forbidden: configmaps"},
    }
    done = penstock("history", "support", "--kubeconfig", "none", cwd=tmp_path, PATH=fake.path)
    assert done.returncode == 0, done.stderr
    assert "attempt 1" in done.stdout
    assert "the records of decisions cannot be read" in done.stdout
    assert "Forbidden" in done.stdout
