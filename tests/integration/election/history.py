"""Every status that the rollouts of a namespace have had, and what must hold of all of them.

It is read from a watch, so that no state between two looks is missed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from penstock.api import condition
from penstock.outcomes import Row, RowKind
from penstock.traffic import Arm
from penstock_dev import environment as embedded

#: No tab: kubectl would make a column of it.
_LINE = '{.metadata.name}|{.status}{"\\n"}'
#: Moments in a status are whole seconds.
_SECOND_MS = 1000

Status = dict[str, Any]


@dataclass
class History:
    """The statuses of each AgentRollout, in the order in which the API server took them."""

    of: dict[str, list[Status]] = field(default_factory=lambda: defaultdict(list))

    def told(self, line: str) -> None:
        """A line of the watch."""
        name, _, status = line.rstrip("\n").partition("|")
        if status:
            self.of[name].append(json.loads(status))

    def shares(self, name: str) -> list[int]:
        """The shares in force, one after another, without repetition."""
        found = [percent(status) for status in self.of[name]]
        return [share for at, share in enumerate(found) if not at or found[at - 1] != share]

    def summary(self) -> dict[str, list[int]]:
        """The shares of each rollout."""
        return {name: self.shares(name) for name in self.of}

    def check(self, name: str, spec: dict[str, Any], rows: Iterable[Row]) -> None:
        """What holds whatever dies: of verdicts, of each share, of each raise and of each task."""
        statuses = self.of[name]
        assert statuses, f"nothing was seen of {name}"
        strategy = spec["strategy"]
        known = list(rows)
        for status in statuses:
            _share_is_allowed(status, strategy)
        for before, after in pairwise(statuses):
            _verdicts_stay(before, after)
            _epoch_and_version_never_fall(before, after)
            if 0 < percent(before) < percent(after):
                _no_step_is_skipped(before, after, len(strategy["steps"]) - 1)
                _raise_has_evidence(before, after, strategy, known)
        _tasks_went_where_the_route_said(statuses, known)


def percent(status: Status) -> int:
    """The canary's share in force."""
    return int((status.get("share") or {}).get("percent", 0))


def verdicts(status: Status) -> dict[tuple[str, int], str]:
    """The result of each attempt of each revision."""
    told = status.get("verdicts", [])
    return {(one["revision"], one.get("attempt", 1)): one["result"] for one in told}


def _verdicts_stay(before: Status, after: Status) -> None:
    lost = verdicts(before).items() - verdicts(after).items()
    assert not lost, f"lost or changed: {lost}; now {verdicts(after)}"


def _epoch_and_version_never_fall(before: Status, after: Status) -> None:
    for number in ("epoch", "routeVersion"):
        assert before.get(number, 0) <= after.get(number, 0), (number, before, after)


def _no_step_is_skipped(before: Status, after: Status, last: int) -> None:
    here, there = (status.get("currentStepIndex", 0) for status in (before, after))
    final = after["stage"] == "FinalHold"
    assert there == here == last if final else there == here + 1, (before, after)


def _share_is_allowed(status: Status, strategy: dict[str, Any]) -> None:
    stage, canary = status.get("stage", "Done"), status.get("canaryRevision", "")
    rejected = verdicts(status).get((canary, status.get("attempt", 1))) == "Rejected"
    if stage == "Done" or rejected or not status.get("stepStartedAt"):
        most = 0
    elif stage == "FinalHold":
        most = 100 - strategy.get("holdbackPercent", 5)
    else:
        most = strategy["steps"][status.get("currentStepIndex", 0)]["percent"]
    assert percent(status) <= most, f"{percent(status)} % where {most} % is allowed: {status}"


def _raise_has_evidence(
    before: Status, after: Status, strategy: dict[str, Any], rows: list[Row]
) -> None:
    """The hold was over, and both arms had tasks in the step that was left."""
    begun, ended = (_ms(status["stepStartedAt"]) for status in (before, after))
    step = strategy["steps"][before.get("currentStepIndex", 0)]
    assert ended - begun >= step["holdSeconds"] * 1000 - _SECOND_MS, (before, after)
    since = _ms(before["canarySince"]) - _SECOND_MS
    for arm in Arm:
        done = [
            row
            for row in rows
            if row.kind is RowKind.FINISHED
            and row.arm is arm
            and since <= row.at_ms <= ended + _SECOND_MS
        ]
        here = [row for row in done if row.at_ms >= begun]
        assert here, f"no task of {arm} between {before} and {after}"
        assert len(done) >= step["minTasks"], (arm, len(done), before, after)


def _tasks_went_where_the_route_said(statuses: list[Status], rows: list[Row]) -> None:
    """A task of the canary was admitted under a route that gave it this user."""
    shares = {status.get("routeVersion", 0): percent(status) for status in statuses}
    for row in rows:
        if row.kind is RowKind.ROUTED and row.arm is Arm.CANARY:
            assert row.bucket < shares.get(row.route_version, 0), (row, shares)


def _ms(moment: str) -> int:
    return int(condition.moment(moment).timestamp() * 1000)


@contextlib.contextmanager
def watched(environment: embedded.Environment, namespace: str) -> Iterator[History]:
    """Follow the AgentRollouts of a namespace; a watch that ends is begun again."""
    history, over = History(), threading.Event()
    running: list[subprocess.Popen[str]] = []

    def follow() -> None:
        while not over.wait(0.1):
            with subprocess.Popen(
                [
                    str(environment.kubectl),
                    f"--kubeconfig={environment.kubeconfig}",
                    f"--namespace={namespace}",
                    *("get", "agentrollouts", "--watch", f"--output=jsonpath={_LINE}"),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as process:
                running.append(process)
                for line in process.stdout or ():
                    history.told(line)

    thread = threading.Thread(target=follow, name="history")
    thread.start()
    try:
        yield history
    finally:
        over.set()
        while thread.is_alive():
            for process in running[-1:]:
                process.kill()
            thread.join(0.1)
