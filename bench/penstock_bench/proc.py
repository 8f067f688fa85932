"""What Linux says in /proc: the CPU and memory of a process, and how busy the machine is with others."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_BUSY = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, steal; guests count as user already


@dataclass(frozen=True)
class Stat:
    """A process in clock ticks: its own threads, and its children that have ended."""

    pid: int
    parent: int
    own_ticks: int
    ended_children_ticks: int


@dataclass(frozen=True)
class Moment:
    """How much CPU was used up to a time: by the whole machine, and by one tree of processes."""

    at_seconds: float
    machine_ticks: int
    tree_ticks: int


def parse_stat(text: str) -> Stat:
    """Read a /proc/PID/stat; the name in it may hold blanks and brackets."""
    pid = int(text.partition(" ")[0])
    fields = text.rpartition(")")[2].split()
    used = [int(field) for field in fields[11:15]]
    return Stat(pid, int(fields[1]), used[0] + used[1], used[2] + used[3])


def parse_machine(text: str) -> int:
    """The busy ticks of all cores together, of /proc/stat; what a hypervisor took away included."""
    fields = text.splitlines()[0].split()[1:]
    return sum(int(fields[place]) for place in _BUSY)


def parse_memory(text: str) -> float:
    """Resident MiB, of /proc/PID/status; 0 for what has none."""
    for line in text.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def tree_ticks(stats: Iterable[Stat], root: int) -> int:
    """Everything that a process and its descendants have used, those included that have ended."""
    known = {stat.pid: stat for stat in stats}
    children = defaultdict(list)
    for stat in known.values():
        children[stat.parent].append(stat.pid)
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        if found := known.get(pid):
            total += found.own_ticks + found.ended_children_ticks
            waiting += children[pid]
    return total


def cores_of_others(before: Moment, after: Moment) -> float:
    """How many cores the rest of the machine kept busy on average between two moments."""
    machine = after.machine_ticks - before.machine_ticks
    ours = after.tree_ticks - before.tree_ticks
    seconds = after.at_seconds - before.at_seconds
    return max(0, machine - ours) / TICKS_PER_SECOND / seconds if seconds > 0 else 0.0


def cpu_seconds(pid: int) -> float:
    """CPU of a living process, its threads included, its children not."""
    return parse_stat((_PROC / str(pid) / "stat").read_text()).own_ticks / TICKS_PER_SECOND


def resident_mib(pid: int) -> float:
    """Resident memory of a living process."""
    return parse_memory((_PROC / str(pid) / "status").read_text())


def moment(at_seconds: float, root: int) -> Moment:
    """The present moment for a tree of processes."""
    return Moment(
        at_seconds, parse_machine((_PROC / "stat").read_text()), tree_ticks(_stats(), root)
    )


def _stats() -> Iterable[Stat]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                yield parse_stat((entry / "stat").read_text())
            except OSError:  # it has ended meanwhile
                continue
