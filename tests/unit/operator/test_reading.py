"""What other versions and other hands have written is read as far as it can be."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import inputs, names
from penstock.api import condition
from penstock.api.analysis import Result
from penstock.api.rollout import Source, Stage
from penstock.traffic import Standing
from penstock_operator.cluster import reading
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.kinds import AGENT, CONFIGMAP, RECORD, ROLLOUT
from penstock_operator.reconcile.gather import highest_epoch
from penstock_operator.reconcile.plan import Plan, plan_agent
from penstock_operator.reconcile.stock import take_stock
from penstock_operator.reconcile.world import World
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import V1, V2, said, serving, trying_v2
from tests.unit.operator.worlds import cut, record, world

STORED = Path(__file__).parent / "stored"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def stored(name: str) -> Any:
    """What a version of Penstock has written."""
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


def places(value: Any, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return [above] * bool(above) + [
        place
        for key, part in (parts if isinstance(value, dict | list) else ())
        for place in (
            places(part, (*above, key)) if isinstance(part, dict | list) else [(*above, key)]
        )
    ]


def put(document: Any, place: tuple[str | int, ...], value: Any) -> Any:
    changed = inside = copy.deepcopy(document)
    for part in place[:-1]:
        inside = inside[part]
    inside[place[-1]] = value
    return changed


READERS: dict[str, Callable[[Any], reading.Reading[Any]]] = {
    "agent": lambda status: reading.agent_status({"status": status}),
    "rollout": lambda status: reading.rollout_status({"status": status}),
}


# ------------------------------------------------------------------------------ whole documents


def holds(written: Any, before: Any) -> bool:
    """Whether everything that was there before is there still, whatever stands beside it."""
    match before:
        case dict():
            return all(name in written and holds(written[name], before[name]) for name in before)
        case list():
            return len(written) == len(before) and all(map(holds, written, before))
        case _:
            return bool(written == before)


FORMER = {"candidateSince": "canarySince"}
FORMER_ANALYSIS = {"candidate": "canary", "stepCandidate": "stepCanary"}


def under_new_names(status: dict[str, Any]) -> dict[str, Any]:
    """A stored status as it stands after the first write of this version."""
    named = {FORMER.get(name, name): part for name, part in status.items()}
    if analysis := status.get("analysis"):
        counts = {FORMER_ANALYSIS.get(name, name): part for name, part in analysis.items()}
        named["analysis"] = counts
    return named


@pytest.mark.parametrize("kind", READERS)
def test_a_status_of_the_version_before_is_read_whole(kind: str) -> None:
    read = READERS[kind](stored(f"{kind}-before"))
    assert not read.lost
    assert holds(read.value.wire(), under_new_names(stored(f"{kind}-before")))


def test_a_status_of_a_newer_agent_is_read_without_what_only_that_knows() -> None:
    read = reading.agent_status({"status": stored("agent-newer")})
    before = reading.agent_status({"status": stored("agent-before")}).value
    assert read.value.stable_revision == before.stable_revision
    assert read.value.traffic == before.traffic
    assert read.value.conditions == before.conditions
    assert [item.name for item in read.value.revisions] == [before.revisions[1].name]
    assert read.lost == (
        "status.traffic.targets",
        "status.revisions[0].state",
        "status.revisions[0]",
        f"status.conditions[{len(before.conditions)}].status",
        f"status.conditions[{len(before.conditions)}]",
    )


def test_a_rollout_in_flight_is_read_under_the_names_of_the_version_before() -> None:
    before = stored("rollout-before")
    before["analysis"]["stepCandidate"]["tasks"] = 17
    before["analysis"]["candidate"] = {"tasks": 18}
    assert FORMER.keys() <= before.keys()
    assert FORMER_ANALYSIS.keys() <= before["analysis"].keys()
    read = reading.rollout_status({"status": before})
    assert read == reading.rollout_status({"status": under_new_names(before)})
    assert read.lost == ()
    assert read.value.canary_since == before["candidateSince"]
    assert (read.value.analysis.step_canary.tasks, read.value.analysis.canary.tasks) == (17, 18)


def test_only_the_names_of_today_are_written() -> None:
    written = reading.rollout_status({"status": stored("rollout-before")}).value.wire()
    assert FORMER.keys().isdisjoint(written)
    assert FORMER_ANALYSIS.keys().isdisjoint(written["analysis"])
    assert set(FORMER.values()) <= written.keys()


def test_where_both_names_stand_the_one_of_today_holds() -> None:
    both = stored("rollout-before") | {"canarySince": "2026-11-22T00:00:00Z"}
    read = reading.rollout_status({"status": both})
    assert read.value.canary_since == "2026-11-22T00:00:00Z"


def test_a_decision_of_a_newer_penstock_that_cannot_be_read_begins_anew_at_nothing() -> None:
    read = reading.rollout_status({"status": stored("rollout-newer")})
    status = read.value
    assert {"status.stage", "status.share.source"} <= set(read.lost)
    assert (status.stage, status.share.percent, status.share.source) == (
        Stage.STEPS,
        0,
        Source.NONE,
    )
    assert status.step_started_at is None
    assert status.canary_revision == cut(V2).name
    assert (status.epoch, status.route_version, status.attempt) == (3, 7, 1), "nothing falls"
    assert [(item.attempt, item.result) for item in status.verdicts] == [
        (2, Result.REJECTED),
        (1, Result.REJECTED),  # a word that only the newer one knows
    ]


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("value", [None, "", "x" * 3000, -1, 2**70, [], {}, [[]], {"a": [1]}, True])
def test_whatever_stands_in_any_place_of_a_status_the_rest_is_read(kind: str, value: Any) -> None:
    document = stored(f"{kind}-before")
    whole = READERS[kind](document).value
    for place in places(document):
        read = READERS[kind](put(document, place, value))
        if place[0] != "stableRevision":
            assert read.value.stable_revision == whole.stable_revision
        if read.lost:
            first = FORMER.get(str(place[0]), place[0])
            assert any(lost.startswith(f"status.{first}") for lost in read.lost)


@given(JSON, st.sampled_from(sorted(READERS)))
def test_no_status_at_all_is_too_odd_to_be_read(document: Any, kind: str) -> None:
    assert READERS[kind](document).value.wire() is not None


def test_an_agent_of_which_nobody_knows_whether_it_had_a_rollout_had_one() -> None:
    assert reading.agent_status({"status": {"hadRollout": "perhaps"}}).value.had_rollout is True


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00:00Z", "2026-11-21T10:00:00.5Z"])
@pytest.mark.parametrize("field", ["stepStartedAt", "blindSince", "unreadySince", "canarySince"])
def test_a_moment_that_cannot_be_read_is_none_that_a_decision_stumbles_over(
    field: str, text: str
) -> None:
    made = trying_v2()
    rollout = made.rollouts[0].obj
    rollout["status"][field] = text
    plan = plan_agent(replace(made, rollouts=(reading.Rollout.of(rollout),)))
    assert plan.route is not None
    assert plan.rollout_statuses, "it is written anew"
    assert [happening.reason for _, happening in plan.events].count("StatusUnreadable") == 1


@pytest.mark.parametrize(
    ("inside", "field"),
    [
        ({"delay": {"waitedSeconds": 7, "since": "soon"}}, "delay.since"),
        (
            {"suspension": {"stop": {"limit": "total:micro_usd", "most": 1, "until": "soon"}}},
            "suspension.stop.until",
        ),
        (
            {"lastRequest": {"value": "promote/x/1", "result": "Refused", "at": "soon"}},
            "lastRequest.at",
        ),
    ],
)
def test_so_is_one_inside_of_something_and_the_rest_of_that_is_kept(
    inside: Any, field: str
) -> None:
    made = trying_v2()
    rollout = made.rollouts[0].obj
    rollout["status"] |= inside
    read = reading.rollout_status(rollout)
    assert read.lost == (f"status.{field}",)
    assert (read.value.delay is None) is ("delay" not in inside)
    asked = {**rollout["metadata"], "annotations": {names.ANNOTATION_REQUEST: "promote/x/1"}}
    changed = reading.Rollout.of({**rollout, "metadata": asked})
    assert plan_agent(replace(made, rollouts=(changed,))).route is not None


@pytest.mark.parametrize("field", ["countedThrough", "stepFrom"])
def test_a_place_in_the_log_that_is_none_is_left_out_with_the_counts_that_belong_to_it(
    field: str,
) -> None:
    document = stored("rollout-before")
    document["analysis"][field] = "17-x"
    read = reading.rollout_status({"status": document})
    assert (read.value.analysis.counted_through, read.value.analysis.stable.tasks) == ("", 0)
    assert read.value.share.percent == 20


# ------------------------------------------------------------------------ verdicts and records


@pytest.mark.parametrize(
    "text",
    [
        "garbage",
        "[]",
        "null",
        "7",
        "{}",
        '{"result": "Undone"}',
        '{"result": 1}',
        '{"result": "rejected", "message": null}',
        "[" * 5000,
    ],
)
def test_a_verdict_that_cannot_be_read_counts_as_a_rejection(text: str) -> None:
    read = reading.verdict(text, "support-1", 3)
    assert read
    assert read.lost
    assert (read.value.result, read.value.attempt) == (Result.REJECTED, 3)


def test_a_verdict_is_what_its_result_says_whatever_else_cannot_be_read() -> None:
    told = {"revision": 7, "attempt": "x", "result": "Promoted", "reason": "Undo", "tasks": -1}
    read = reading.verdict(json.dumps(told), "support-1", 0)
    assert read
    assert (read.value.result, read.value.attempt, read.value.revision) == (
        Result.PROMOTED,
        1,
        "support-1",
    )
    assert reading.verdict("", "support-1", 1) is None


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "9" * 5000, " 7", "\u0667", None, True, []])
def test_a_count_that_is_none_is_nothing(text: Any) -> None:
    assert reading.whole(text) in (0, 2**31 - 1) if text == "9" * 5000 else reading.whole(text) == 0
    assert reading.whole("7") == reading.whole(7) == 7


def noted(instructions: str, sequence: int = 1, **annotations: str) -> Any:
    made = record(instructions, sequence)
    made["metadata"]["annotations"] = {
        f"{names.GROUP}/{key.replace('_', '-')}": text for key, text in annotations.items()
    }
    return made


def test_a_revision_whose_verdict_cannot_be_read_is_not_released_and_says_so() -> None:
    odd = noted(V2, 2, verdict="garbage", attempt="1")
    plan = plan_agent(
        world(
            worlds.agent(V2),
            records=(record(V1, promoted=1), odd),
            projected_for=(V1, V2),
            ready_for=(V1, V2),
            status=serving(V1),
            route_version=3,
        )
    )
    assert plan.route is not None
    assert plan.route.split.stable == cut(V1).hash
    assert plan.route.revisions[cut(V2).hash].standing in (Standing.REJECTED, Standing.CLOSED)
    assert said(plan, "RecordUnreadable") == ("True", "Unreadable")
    assert plan.agent_status is not None
    told = condition.find(plan.agent_status.conditions, "RecordUnreadable")
    assert told
    assert f"{cut(V2).name}: verdict cannot be read; it counts as rejected" in told.message


@pytest.mark.parametrize("text", ["garbage", "-3", "9" * 5000, "1e3", ""])
def test_a_promotion_that_cannot_be_read_ends_no_pass(text: str) -> None:
    odd = noted(V1, promoted_sequence=text)
    plan = plan_agent(world(records=(odd,), projected_for=(V1,), ready_for=(V1,)))
    assert plan.route is not None
    assert plan.route.split.stable == cut(V1).hash


def test_what_a_newer_penstock_noted_on_a_record_is_kept_when_a_promotion_is_added() -> None:
    text = '{"result":"Promoted","reason":"Undone","samples":[1]}'
    odd = noted(V1, verdict=text, attempt="4")
    plan = plan_agent(world(records=(odd,), projected_for=(V1,), ready_for=(V1,)))
    (patch,) = plan.verdicts
    assert patch["metadata"]["annotations"] == {
        names.ANNOTATION_VERDICT: text,
        names.ANNOTATION_ATTEMPT: "4",
        names.ANNOTATION_PROMOTED: "1",
    }


DOCUMENTS: list[Any] = [
    None,
    [],
    {},
    "text",
    7,
    {"schemaVersion": 1},
    {"schemaVersion": [1]},
    {"schemaVersion": 1, "resolved": []},
    {"schemaVersion": 1, "resolved": {"template": None}},
    {**record(V2)["data"], "agent": 7},
    {**record(V2)["data"], "agent": "another"},
    {**record(V2)["data"], "references": [1]},
    {**record(V2)["data"], "declared": "x"},
    {**record(V2)["data"], "resolved": {"template": {}}},
    {**record(V2)["data"], "schemaVersion": 2},
]


def broken(document: Any, **annotations: str) -> Any:
    return {**noted(V2, 2, **annotations), "data": document}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_record_that_cannot_be_read_leaves_stable_serving_and_is_told(document: Any) -> None:
    plan = plan_agent(
        world(
            records=(record(V1, promoted=1), broken(document)),
            projected_for=(V1,),
            ready_for=(V1,),
            status=serving(V1),
            route_version=3,
        )
    )
    assert plan.route is not None
    assert plan.route.split.stable == cut(V1).hash
    assert said(plan, "RecordUnreadable") == ("True", "Unreadable")
    assert said(plan, "Ready") == ("True", "Serving")
    assert (plan.children, plan.deletions) == ((), ())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_rollout_goes_back_although_its_canaries_record_cannot_be_read(document: Any) -> None:
    for template in (V1, V2):
        made = replace(trying_v2(), agent=worlds.agent(template, suspended=True))
        made = replace(made, records=(made.records[0], broken(document)))
        notes = {names.ANNOTATION_REQUEST: f"abort/{cut(V2).name}/1"}
        made.rollouts[0].obj["metadata"]["annotations"] = notes
        plan = plan_agent(made)
        assert plan.route is not None
        assert (plan.route.split.stable, plan.route.split.percent) == (cut(V1).hash, 0)
        assert plan.route.split.suspended


def test_a_rejection_holds_although_the_record_that_it_stands_on_cannot_be_read() -> None:
    verdict = '{"result":"Rejected","reason":"Aborted","attempt":1,"message":"m","at":"t"}'
    made = world(
        worlds.agent(V2),
        records=(record(V1, promoted=1), broken({}, verdict=verdict)),
        projected_for=(V1, V2),
        ready_for=(V1, V2),
        status=serving(V1),
        route_version=3,
    )
    for projections in (made.configmaps, {}):
        stock = take_stock(replace(made, configmaps=projections))
        found = stock.get(cut(V2).name)
        assert found
        assert found.rejected
        assert found.record is not None, "its data cannot be written anew"


def test_the_present_template_has_no_revision_where_only_a_newer_penstock_knows_its_record() -> (
    None
):
    made = world(
        worlds.agent(V2),
        records=(record(V1, promoted=1), broken({**record(V2)["data"], "schemaVersion": 2})),
        projected_for=(V1, V2),
        ready_for=(V1, V2),
        status=serving(V1),
        route_version=3,
    )
    plan = plan_agent(made)
    assert (plan.children, plan.replaced, plan.deletions) == ((), (), ())
    assert said(plan, "Stalled") == ("True", "RecordUnreadable")
    assert said(plan, "Accepted")[0] == "True"
    assert said(plan, "Ready") == ("True", "Serving")


@pytest.mark.parametrize("data", [None, {}, {"revision.json": "7"}, {"revision.json": "[" * 5000}])
def test_a_projection_that_cannot_be_read_is_projected_anew(data: Any) -> None:
    made = world(records=(record(V1, promoted=1),), projected_for=(V1,), ready_for=(V1,))
    projection = {**made.configmaps[cut(V1).name], "data": data}
    for records in (made.records, ()):
        plan = plan_agent(replace(made, records=records, configmaps={cut(V1).name: projection}))
        assert (CONFIGMAP.kind, cut(V1).name) in [
            (kind.kind, obj["metadata"]["name"]) for kind, obj in plan.children
        ]


# ----------------------------------------------------------------- specs, the cache, the election

ODD_ROLLOUTS: list[Any] = [
    {},
    {"spec": None},
    {"spec": []},
    {"spec": {"agentRef": None}},
    {"spec": {"agentRef": {"name": ["x"]}}},
    {"spec": {"agentRef": "support"}},
]


def head(name: str, version: int = 1) -> dict[str, Any]:
    return {
        "namespace": "acme",
        "name": name,
        "uid": name,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-11-21T09:00:00Z",
        "generation": 4,
    }


@pytest.mark.parametrize("odd", ODD_ROLLOUTS)
def test_an_agentrollout_that_names_no_agent_is_nobodys_and_ends_no_list(odd: Any) -> None:
    cache = Cache()
    good = {"metadata": head("good"), "spec": {"agentRef": {"name": "support"}}}
    cache.settle(ROLLOUT, [{"metadata": head("odd"), **odd}, good], 10)
    assert cache.size(ROLLOUT) == 2
    key = names.AgentKey("acme", "support")
    assert [obj["metadata"]["name"] for obj in cache.of_agent(ROLLOUT, key)] == ["good"]
    cache.settle(ROLLOUT, [], 20)
    assert cache.size(ROLLOUT) == 0


@pytest.mark.parametrize("odd", [None, [], "x", {"traffic": []}, {"traffic": {"epoch": "x"}}, 7])
def test_a_status_without_a_readable_epoch_ends_no_election(odd: Any) -> None:
    cache = Cache()
    cache.observe(AGENT, {"metadata": head("odd"), "status": odd})
    cache.observe(AGENT, {"metadata": head("good"), "status": {"traffic": {"epoch": 5}}})
    cache.observe(ROLLOUT, {"metadata": head("odd"), "status": {"epoch": odd}})
    assert highest_epoch(cache) == 7 if odd == 7 else 5


def guarded(plan: Plan) -> None:
    assert plan.route is not None
    assert plan.route.split.stable == cut(V1).hash
    (told,) = plan.idle_statuses
    stalled = condition.find(told[1].conditions, "Stalled")
    assert stalled
    assert (stalled.status, stalled.reason) == ("True", "Invalid")
    assert "spec.strategy" in stalled.message


def test_an_agentrollout_whose_spec_cannot_be_read_releases_nothing_and_is_told_so() -> None:
    odd = {"agentRef": {"name": "support"}, "strategy": {"steps": [{"percent": "Ring"}]}}
    rollout = {**trying_v2().rollouts[0].obj, "spec": odd}
    read, unread = reading.rollouts([rollout])
    assert read == ()
    made: World = world(
        worlds.agent(V2),
        records=(record(V1, promoted=1), record(V2, 2)),
        projected_for=(V1, V2),
        ready_for=(V1, V2),
        status=serving(V1),
        route_version=3,
        unread_rollouts=unread,
    )
    guarded(plan_agent(made))
    plan = plan_agent(made)
    assert plan.agent_status is not None
    assert plan.agent_status.had_rollout, "also when it is deleted later"


@pytest.mark.parametrize("spec", [None, [], {}, {"template": []}, {"template": {"tools": 7}}])
def test_the_spec_of_an_agent_may_be_anything_and_its_kill_switch_is_still_read(spec: Any) -> None:
    agent = {**worlds.agent(), "spec": spec}
    found, problem = inputs.read_spec(agent, {})
    assert found is None
    assert problem
    assert problem[0] == "Invalid"
    made = world(records=(record(V1, promoted=1),), projected_for=(V1,), status=serving(V1))
    told = {**(spec if isinstance(spec, dict) else {}), "suspended": True}
    plan = plan_agent(replace(made, agent={**agent, "spec": told}, spec=None, problem=problem))
    assert plan.route is not None
    assert plan.route.split.suspended


def test_every_record_that_is_stored_by_another_version_is_either_known_or_told() -> None:
    for version in ("before", "newer"):
        kept = stored(f"record-{version}")
        stock = take_stock(world(records=(kept,)))
        found = stock.get(cut(V2).name)
        assert found, f"{RECORD.kind} of {version}"
        assert found.rejected
        assert not stock.unread
        assert bool(found.doubts) is (version == "newer")
