"""Tasks that were routed and have not ended: what can be said of them before they do."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from penstock.analysis.cells import Place
from penstock.analysis.evidence import Stratum
from penstock.analysis.halts import Halts
from penstock.analysis.metrics import NOTHING, Tally, of_end, total_of
from penstock.analysis.scope import Scope
from penstock.task import Counting
from penstock.traffic import Arm

Position = tuple[int, int]


@dataclass(slots=True)
class Task:
    """A task that was routed and has not ended, with the cells that it is counted in."""

    arm: Arm
    fine: Place
    coarse: Place
    routed: Position
    bucket: int = 0
    started_ms: int = 0


class LeftOut(NamedTuple):
    """A task that was left out of the totals, and of the step that was then, if it is in that."""

    task: str
    arm: Arm
    step_from: str | None


class Pending:
    """The open tasks of each arm, in the order in which they were routed."""

    def __init__(self, scope: Scope) -> None:
        """None yet; the scope says what is slow and what is overdue."""
        self._scope = scope
        self._tasks: Mapping[Arm, OrderedDict[str, Task]] = {arm: OrderedDict() for arm in Arm}
        self._step: Position = (0, 0)
        self.in_step = dict.fromkeys(Arm, 0)
        #: No task is overdue before this moment.
        self.soonest_ms = 0

    def __len__(self) -> int:
        return sum(map(len, self._tasks.values()))

    def begin_step(self, position: Position) -> None:
        """Tasks routed after this position are open in the step."""
        self._step = position
        self.in_step = {
            arm: sum(task.routed > position for task in found.values())
            for arm, found in self._tasks.items()
        }

    def find(self, identifier: str) -> Task | None:
        """An open task, if it is known."""
        for tasks in self._tasks.values():
            if identifier in tasks:
                return tasks[identifier]
        return None

    def open(self, identifier: str, task: Task) -> None:
        """A task was routed."""
        self._tasks[task.arm][identifier] = task
        deadline_ms = task.routed[0] + self._scope.overdue_ms[task.arm]
        self.soonest_ms = min(self.soonest_ms, deadline_ms)
        self.in_step[task.arm] += task.routed > self._step

    def close(self, identifier: str, task: Task) -> None:
        """A task is open no more."""
        del self._tasks[task.arm][identifier]
        self.in_step[task.arm] -= task.routed > self._step

    def lose(self, first: Position) -> list[Task]:
        """Close the tasks that were routed before a position: how they ended nobody knows."""
        lost = [
            (identifier, task)
            for tasks in self._tasks.values()
            for identifier, task in tasks.items()
            if task.routed < first
        ]
        for identifier, task in lost:
            self.close(identifier, task)
        return [task for _, task in lost]

    def overdue(self, now_ms: int, halts: Halts) -> Iterator[tuple[str, Task, int]]:
        """Close the tasks whose time was over by now, each with the moment at which it was."""
        self.soonest_ms = sys.maxsize
        for arm, tasks in self._tasks.items():
            allowed = self._scope.overdue_ms[arm]
            while tasks:
                identifier, task = next(iter(tasks.items()))
                soonest_ms = task.routed[0] + allowed
                deadline_ms = halts.later(task.routed[0], allowed) if soonest_ms <= now_ms else None
                if deadline_ms is None or deadline_ms > now_ms:
                    self.soonest_ms = min(self.soonest_ms, soonest_ms)
                    break  # the first was routed first
                self.close(identifier, task)
                yield identifier, task, deadline_ms

    def so_far(self, now_ms: int, halts: Halts) -> list[tuple[Task, Tally]]:
        """What can be said of open tasks by now: slow ones, and overdue ones."""
        events = []
        for arm, tasks in self._tasks.items():
            allowed = self._scope.overdue_ms[arm]
            for task in tasks.values():
                worked = worked_ms(task, now_ms, halts)
                slow = worked if worked > self._scope.latency_limit_ms else 0
                old = now_ms - task.routed[0] >= allowed
                overdue = old and halts.running_ms(task.routed[0], now_ms) >= allowed
                if slow or overdue:
                    counting = Counting.ERROR if overdue else Counting.GOOD
                    events.append((task, of_end(counting, self._scope.winsorised(slow))))
        return events


def worked_ms(task: Task, until_ms: int, halts: Halts) -> int:
    """How long a task has been worked on; 0 where work never began."""
    if not task.started_ms:
        return 0
    return max(halts.running_ms(task.started_ms, until_ms), 1)


def with_late(
    strata: Iterable[Stratum],
    late: Iterable[tuple[Task, Tally]],
    place_of: Callable[[Task], Place],
) -> tuple[Stratum, ...]:
    """The strata with what can be said of open tasks."""
    events: dict[tuple[int, int], dict[Arm, Tally]] = {}
    for task, tally in late:
        tick, begin_version, arm = place_of(task)
        arms = events.setdefault((tick, begin_version), {})
        arms[arm] = arms.get(arm, NOTHING) + tally
    if not events:
        return tuple(strata)
    return tuple(
        _and_late(stratum, late_here)
        if (late_here := events.get((stratum.tick, stratum.begin_version)))
        else stratum
        for stratum in strata
    )


def _and_late(stratum: Stratum, late: Mapping[Arm, Tally]) -> Stratum:
    arms = {arm: t + late[arm] if arm in late else t for arm, t in stratum.arms.items()}
    return Stratum(stratum.tick, stratum.begin_version, arms)


def overdue_of_arms(late: Iterable[tuple[Task, Tally]]) -> dict[Arm, Tally]:
    """The open tasks of each arm that are over their time, out of what can be said of open tasks."""
    found = list(late)
    return {
        arm: total_of(t._replace(tasks=t.errors) for task, t in found if task.arm is arm)
        for arm in Arm
    }


def position(identifier: str) -> Position:
    """A stream id ``<ms>-<n>`` as numbers that can be compared; empty is before all."""
    ms, _, n = identifier.partition("-")
    return int(ms or 0), int(n or 0)


def text_of(at: Position) -> str:
    """The stream id of a position; empty for none."""
    return f"{at[0]}-{at[1]}" if at > (0, 0) else ""
