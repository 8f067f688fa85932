"""What is counted of an audit log and of metrics, when an object is settled, and the rows of the operators' table."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from penstock_bench.operators import audit, contenders
from penstock_bench.operators.audit import AuditLog, Writes
from penstock_bench.operators.contenders import Argo, Deployments, Penstock
from penstock_bench.operators.phases import Cold, Restart
from penstock_bench.operators.rows import Flight, Seen, flight_rows, rows
from penstock_bench.verdict import Verdict, judge

OPERATOR = "system:serviceaccount:penstock-system:penstock-operator"


def entry(verb, resource, user=OPERATOR, **more):
    return json.dumps(
        {"verb": verb, "user": {"username": user}, "objectRef": {"resource": resource, **more}}
    )


def test_only_writes_count_of_these_users_with_events_apart_and_no_lease():
    log = "\n".join(
        [
            entry("create", "deployments"),
            entry("patch", "agents", subresource="status"),
            entry("patch", "agents", subresource="status"),
            entry("create", "events"),
            entry("update", "leases"),
            entry("get", "agents"),
            entry("create", "pods", user="system:serviceaccount:kube-system:replicaset-controller"),
            entry("create", "configmaps")[:-5],
        ]
    )
    found = audit.count(log, {OPERATOR})
    assert found == Writes(Counter({"create deployments": 1, "patch agents/status": 2}), events=1)
    assert found.total == 3


def test_a_log_is_read_from_a_mark_on(tmp_path):
    log = AuditLog(tmp_path / "audit.log")
    assert log.mark() == 0
    log.path.write_text(entry("create", "agents") + "\n")
    mark = log.mark()
    with log.path.open("a") as file:
        file.write(entry("create", "configmaps") + "\n")
    assert log.since(mark, {OPERATOR}).objects == {"create configmaps": 1}


def test_a_metric_is_summed_over_its_labels_and_no_other_name_is():
    text = 'a_total{result="ok"} 3\na_total{result="retry"} 2.0\na_total_other 9\n# TYPE a_total x\na_total 1\n'
    assert contenders.summed(text, "a_total") == 6


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Penstock, {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}),
        (Argo, {"observedGeneration": "2", "phase": "Healthy"}),
        (
            Deployments,
            {"observedGeneration": 2, "conditions": [{"type": "Available", "status": "True"}]},
        ),
    ],
)
def test_an_object_is_settled_when_it_is_good_in_its_present_generation(kind, status):
    who = kind(None)
    assert who.settled({"metadata": {"generation": 2}, "status": status})
    assert not who.settled({"metadata": {"generation": 3}, "status": status})
    assert not who.settled({"metadata": {"generation": 2}, "status": {"observedGeneration": 2}})
    assert not who.settled({"metadata": {"generation": 1}})


@pytest.mark.parametrize("kind", [Penstock, Argo, Deployments])
def test_an_agent_is_one_document_for_each_collection(kind):
    who = kind(None)
    documents = list(who.documents("a-1"))
    assert len(documents) == len(who.collections)
    for document, path in zip(documents, who.collections, strict=True):
        assert path.endswith(f"/{document['kind'].lower()}s")
        assert f"/{document['apiVersion']}/" in path
        assert document["metadata"]["name"] == "a-1"


def cold(seconds, cpu_seconds, writes):
    return Cold(seconds, cpu_seconds, 2.0, 150.0, Writes(Counter({"create x": writes}), 100))


def seen(name, seconds, cpu_seconds, restarted):
    restart = Restart(1.0, 1.0, Writes(Counter(), restarted))
    return Seen(name, cold(seconds, cpu_seconds, 700), restart, 0.5)


def verdicts(agents, own, argo, noisy=()):
    made = rows(agents, own, argo, Seen("Deployments", cold(1.0, 0.1, 100)))
    return {(row.what, row.unit): judge(row, noisy) for row in made if row.goal}


def test_a_write_after_a_restart_is_a_miss_on_any_machine():
    argo = seen("Argo", 4.0, 2.0, restarted=100)
    for written, said in ((0, Verdict.MET), (1, Verdict.MISSED)):
        found = verdicts(100, seen("Penstock", 3.0, 0.7, restarted=written), argo, ("noise",))
        assert found["100 agents, restart", "writes, Events too"] is said


def test_cold_is_judged_by_argo_and_cpu_by_its_goal_where_it_is_quiet():
    argo = seen("Argo", 4.0, 2.0, restarted=0)
    found = verdicts(100, seen("Penstock", 4.1, 0.9, restarted=0), argo)
    assert found["100 agents cold", "s to the last Ready"] is Verdict.MISSED
    assert found["100 agents cold", "CPU ms/agent"] is Verdict.MISSED
    found = verdicts(100, seen("Penstock", 3.9, 0.9, restarted=0), argo, ("noise",))
    assert found["100 agents cold", "s to the last Ready"] is Verdict.MET
    assert found["100 agents cold", "CPU ms/agent"] is Verdict.NOT_JUDGED


def test_goals_that_are_meant_for_a_thousand_are_no_goals_for_fewer():
    own, argo = seen("Penstock", 3.0, 0.7, restarted=0), seen("Argo", 4.0, 2.0, restarted=0)
    few, many = verdicts(100, own, argo), verdicts(1000, own, argo)
    assert ("1000 agents cold", "resident MiB") in many
    assert ("1000 agents, restart", "s until all were seen") in many
    assert len(many) == len(few) + 2


def test_rollouts_in_flight_have_a_goal_under_traffic_at_each_share():
    own = Flight("Penstock", 3.0, {5: 7.0, 50: 9.0})
    still, few, many = flight_rows(50, 250, own, Flight("Argo", 0.5))
    assert still.ratio == 6.0
    assert (judge(few, ()), judge(many, ())) == (Verdict.MET, Verdict.MISSED)
    assert "at 50 %" in many.what


def test_a_canary_in_flight_is_compared_and_has_a_share():
    who = Penstock(None)
    _, rollout = who.documents("a-1")
    assert rollout["spec"]["analysis"] == {"comparison": {}}
    assert not who.in_flight({"status": {"share": {"percent": 0}}})
    assert who.in_flight({"status": {"share": {"percent": 5}}})
    assert contenders.share_of({}) == 0
