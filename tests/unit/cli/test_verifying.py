"""What the terminal says of a record, and how it ends."""

import json
from types import SimpleNamespace

import pytest
import yaml

from penstock import names
from penstock.analysis.pending import position
from penstock.rollout.recorded import Head
from penstock.rollout.verify import Checked, Difference, Outcome
from penstock_cli import options, verifying
from penstock_cli.exits import Exit, Stopped
from tests.simulation.rollout.verified import drawn
from tests.unit.rollout.world import C

EQUAL = Checked(1, Outcome.EQUAL, "2026-11-21T10:00:00Z", "checks.first_step", "Advance")
DIFFERS = Checked(
    2,
    Outcome.DIFFERS,
    "2026-11-21T10:05:00Z",
    "harm.guardrail",
    "Reject",
    "Rejected",
    difference=Difference("measured.rows.digest", "ab", "cd"),
)
PART = Checked(3, Outcome.BY_DIGEST, rule="checks.advance", why="rows before 7-0 were trimmed")


def verify(monkeypatch, capsys, found, output="text"):
    async def made(*_):
        return C, tuple(found)

    monkeypatch.setattr(verifying, "_verify", made)
    try:
        verifying.verify(options.Place(), "support", "", output)
    except Stopped as stopped:
        return capsys.readouterr().out, stopped.code
    return capsys.readouterr().out, Exit.DONE


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([EQUAL], Exit.DONE),
        ([EQUAL, PART], Exit.UNFINISHED),
        ([EQUAL, Checked(2, Outcome.ENGINE_NEEDED, why="engine 2 needed")], Exit.UNFINISHED),
        ([EQUAL, PART, DIFFERS], Exit.FAILED),
        ([EQUAL, Checked(2, Outcome.MISSING)], Exit.UNFINISHED),
        ([DIFFERS, Checked(3, Outcome.MISSING)], Exit.FAILED),
    ],
)
def test_the_exit_code_says_whether_all_are_equal(monkeypatch, capsys, found, code):
    assert verify(monkeypatch, capsys, found)[1] is code


def test_where_it_differs_first_is_said_with_both_values(monkeypatch, capsys):
    said, _ = verify(monkeypatch, capsys, [EQUAL, DIFFERS, PART])
    assert "decision 2 differs first at measured.rows.digest:" in said
    assert '  recorded  "ab"\n  found     "cd"\n' in said
    assert "ByDigest: rows before 7-0 were trimmed" in said
    assert f"{C}: 1 of 3 decisions are equal" in said


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_get_the_same(monkeypatch, capsys, output, load):
    said, _ = verify(monkeypatch, capsys, [EQUAL, DIFFERS], output)
    told = load(said)
    assert (told["revision"], told["outcome"]) == (C, "Differs")
    assert told["decisions"][1]["difference"]["found"] == "cd"


def test_the_annotation_is_the_head():
    def head(text):
        return verifying.head_of({"metadata": {"annotations": {names.ANNOTATION_DECISIONS: text}}})

    assert head(f"7 {'ab' * 32}") == Head(7, "ab" * 32)
    assert head("x") is None
    assert verifying.head_of({"metadata": {}}) is None


async def test_a_rollout_is_verified_by_what_kubectl_and_the_gateway_say(monkeypatch):
    """The rows are read page by page, no further than the last decision."""
    rollout, asked = drawn(5).play(), []
    head = rollout.heads[C]
    annotations = {names.ANNOTATION_DECISIONS: f"{head.number} {head.digest}"}
    record = {"metadata": {"name": C, "annotations": annotations}}
    items = [
        {
            "id": row.id,
            "kind": row.kind,
            "task": row.task,
            "side": row.arm,
            "revision": row.revision,
            "routeVersion": row.route_version,
            "beginVersion": row.begin_version,
            "bucket": row.bucket,
            "counting": row.counting,
            "latencyMs": row.latency_ms,
            "costMicroUsd": row.cost_micro_usd,
            "reason": row.reason,
        }
        for row in rollout.log
    ]
    ids = [row.id for row in rollout.log]

    async def fetch(_http, _method, path, query):
        asked.append((path, dict(query)))
        after = position(dict(query).get("continue", ""))
        begin = sum(position(one) <= after for one in ids)
        page = items[begin : begin + int(dict(query)["limit"])]
        more = page[-1]["id"] if begin + len(page) < len(items) else ""
        return {"items": page, "first": ids[0], "trimmed": False, "continue": more}

    async def look(_self, _name):
        documents = SimpleNamespace(records=[record])
        return SimpleNamespace(
            namespace="shop", agent_name="support", name="support", canary="", documents=documents
        )

    class Kubectl:
        async def read_json(self, *words):
            assert words[:3] == ("get", "configmap", names.decisions_name(C))
            return {"data": rollout.texts[C]}

    monkeypatch.setattr(verifying.gateway, "fetch", fetch)
    monkeypatch.setattr(verifying.looking.Looker, "look", look)
    monkeypatch.setattr(verifying.places, "cluster", lambda _place: Kubectl())
    monkeypatch.setattr(verifying, "_PAGE", 700)
    place = options.Place(gateway="http://127.0.0.1:1", token="t", namespace="shop")
    name, found = await verifying._verify(place, "support", "")
    assert name == C
    assert {one.outcome for one in found} == {Outcome.EQUAL}
    assert found[-1].verdict == "Promoted"
    assert {path for path, _ in asked} == {"/v1/namespaces/shop/agents/support/rows"}
    assert 2 < len(asked) < len(items) / 700 + 2
