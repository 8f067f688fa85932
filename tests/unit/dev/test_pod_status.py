"""What the node says about a pod follows from the states of its containers."""

from __future__ import annotations

import datetime

import pytest

from penstock_dev.node import container, status

NOW = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(minutes=1)
POD = {"spec": {}, "status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}}


def record(state: status.State, **facts) -> status.ContainerRecord:
    return status.ContainerRecord("main", "image", state, **facts)


def ended(code: int) -> status.Terminated:
    return status.Terminated(code, "Error", "why", NOW, NOW)


@pytest.mark.parametrize(
    ("records", "policy", "expected"),
    [
        ([record(status.Waiting("ContainerCreating"))], "Always", "Pending"),
        ([record(status.Running(NOW))], "Always", "Running"),
        ([record(status.Running(NOW)), record(status.Waiting("x"))], "Always", "Pending"),
        ([record(status.Waiting("CrashLoopBackOff"), last=ended(1))], "Always", "Running"),
        ([record(ended(0))], "Never", "Succeeded"),
        ([record(ended(0)), record(ended(3))], "Never", "Failed"),
        ([record(ended(0))], "OnFailure", "Succeeded"),
        ([record(ended(0))], "Always", "Running"),
    ],
)
def test_the_phase_follows_the_containers(records, policy: str, expected: str) -> None:
    assert status.phase(records, policy) == expected


def test_an_unready_container_is_named_and_foreign_conditions_stay() -> None:
    told = status.pod_status(POD, [record(status.Running(NOW))], "127.9.9.2", NOW, NOW)
    conditions = {c["type"]: c for c in told["conditions"]}
    assert conditions["PodScheduled"]["status"] == "True"
    assert conditions["Ready"]["status"] == "False"
    assert conditions["Ready"]["message"] == "containers with unready status: [main]"
    assert told["podIP"] == "127.9.9.2"


def test_the_time_of_a_condition_moves_only_when_it_turns() -> None:
    first = status.pod_status(POD, [record(status.Running(NOW))], "ip", NOW, NOW)
    ready = [record(status.Running(NOW), ready=True)]
    second = status.pod_status({**POD, "status": first}, ready, "ip", NOW, LATER)
    third = status.pod_status({**POD, "status": second}, ready, "ip", NOW, LATER + (LATER - NOW))
    times = {c["type"]: c.get("lastTransitionTime") for c in third["conditions"]}
    assert times["Initialized"] == "2030-01-01T12:00:00Z"
    assert times["Ready"] == "2030-01-01T12:01:00Z"
    assert second == third


@pytest.mark.parametrize(
    ("code", "shown"), [(0, (0, "Completed")), (1, (1, "Error")), (-9, (137, "Error"))]
)
def test_a_signal_is_shown_as_128_and_its_number(code: int, shown: tuple[int, str]) -> None:
    assert status.exit_reason(code) == shown


def test_the_back_off_doubles_up_to_thirty_seconds() -> None:
    delays = [container.restart_delay_seconds(ends) for ends in range(1, 8)]
    assert delays == [1, 2, 4, 8, 16, 30, 30]
