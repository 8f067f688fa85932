"""What the node says about a pod follows from the states of its containers."""

from __future__ import annotations

import datetime

import pytest

from penstock_dev.node import container, status

NOW = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(minutes=1)
POD = {
    "spec": {"restartPolicy": "Always"},
    "status": {"conditions": [{"type": "PodScheduled", "status": "True"}]},
}


def record(state, **facts) -> status.Record:
    return status.Record("main", "image", state, **facts)


def ended(code: int):
    return status.terminated(code, "why", NOW, LATER)


@pytest.mark.parametrize(
    ("records", "policy", "expected"),
    [
        ([record(status.waiting("ContainerCreating"))], "Always", "Pending"),
        ([record(status.running(NOW))], "Always", "Running"),
        ([record(status.running(NOW)), record(status.waiting("x"))], "Always", "Pending"),
        ([record(status.waiting("CrashLoopBackOff"), last_state=ended(1))], "Always", "Running"),
        ([record(ended(0))], "Never", "Succeeded"),
        ([record(ended(0)), record(ended(3))], "Never", "Failed"),
        ([record(ended(0))], "OnFailure", "Succeeded"),
        ([record(ended(0))], "Always", "Running"),
    ],
)
def test_the_phase_follows_the_containers(records, policy: str, expected: str) -> None:
    assert status.phase(records, policy) == expected


def test_an_unready_container_is_named_and_foreign_conditions_stay() -> None:
    told = status.pod_status(POD, [record(status.running(NOW))], "127.9.9.2", NOW, NOW)
    conditions = {c["type"]: c for c in told["conditions"]}
    assert conditions["PodScheduled"]["status"] == "True"
    assert conditions["Ready"]["status"] == "False"
    assert conditions["Ready"]["message"] == "containers with unready status: [main]"
    assert told["podIP"] == "127.9.9.2"


def test_the_time_of_a_condition_moves_only_when_it_turns() -> None:
    first = status.pod_status(POD, [record(status.running(NOW))], "ip", NOW, NOW)
    ready = [record(status.running(NOW), ready=True)]
    second = status.pod_status({**POD, "status": first}, ready, "ip", NOW, LATER)
    third = status.pod_status({**POD, "status": second}, ready, "ip", NOW, LATER + (LATER - NOW))
    times = {c["type"]: c.get("lastTransitionTime") for c in third["conditions"]}
    assert times["Initialized"] == "2030-01-01T12:00:00Z"
    assert times["Ready"] == "2030-01-01T12:01:00Z"
    assert second == third


@pytest.mark.parametrize(
    ("code", "exit_code", "reason", "message"),
    [(0, 0, "Completed", ""), (1, 1, "Error", "why"), (-9, 137, "Error", "why")],
)
def test_an_end_is_told_with_its_code_and_last_words(code, exit_code, reason, message) -> None:
    told = ended(code)["terminated"]
    assert (told["exitCode"], told["reason"], told["message"]) == (exit_code, reason, message)
    assert told["finishedAt"] == "2030-01-01T12:01:00Z"


def test_what_ran_before_the_node_was_restarted_has_ended() -> None:
    resumed = record(status.waiting("ContainerCreating"))
    resumed.resume({"restartCount": 2, "state": status.running(NOW), "lastState": {}}, LATER)
    assert resumed.restarts == 3
    assert resumed.last_state["terminated"]["exitCode"] == 137
    assert not resumed.ready


def test_the_back_off_doubles_up_to_thirty_seconds() -> None:
    delays = [container.restart_delay_seconds(ends) for ends in range(1, 8)]
    assert delays == [1, 2, 4, 8, 16, 30, 30]
