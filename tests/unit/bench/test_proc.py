"""What is read from /proc, and what is reckoned from it."""

from __future__ import annotations

import os

import pytest

from penstock_bench import proc
from penstock_bench.proc import Moment, Stat

LINE = "42 (a (b) c) S 7 42 42 0 -1 4194304 100 0 0 0 {used} 20 0 4 0 1000 0 0"


def test_a_process_is_read_whatever_its_name_holds():
    stat = proc.parse_stat(LINE.format(used="30 12 5 3"))
    assert stat == Stat(pid=42, parent=7, own_ticks=42, ended_children_ticks=8)


def test_a_core_is_busy_with_all_but_idling_and_waiting_for_a_disk():
    user, nice, system, idle, disk, interrupts, soft, stolen, guest = (
        1,
        2,
        4,
        800,
        900,
        8,
        16,
        32,
        1,
    )
    line = (
        f"cpu  {user} {nice} {system} {idle} {disk} {interrupts} {soft} {stolen} {guest} 0\ncpu0 9"
    )
    assert proc.parse_machine(line) == 1 + 2 + 4 + 8 + 16 + 32


def test_memory_is_what_is_resident():
    assert proc.parse_memory("Name:\tx\nVmSize:\t 9 kB\nVmRSS:\t 2048 kB\n") == 2
    assert proc.parse_memory("Name:\tkthreadd\n") == 0


def test_a_tree_holds_its_descendants_living_and_ended_and_nobody_else():
    stats = [
        Stat(1, 0, own_ticks=1000, ended_children_ticks=1000),
        Stat(10, 1, own_ticks=1, ended_children_ticks=20),
        Stat(11, 10, own_ticks=300, ended_children_ticks=0),
        Stat(12, 11, own_ticks=4000, ended_children_ticks=50000),
        Stat(20, 1, own_ticks=7, ended_children_ticks=7),
    ]
    assert proc.tree_ticks(stats, 10) == 54321
    assert proc.tree_ticks(stats, 99) == 0


@pytest.mark.parametrize(
    ("machine", "ours", "cores"),
    [(2.0, 0.5, 1.5), (1.0, 1.0, 0.0), (1.0, 1.2, 0.0)],
)
def test_others_have_what_the_machine_did_without_us(machine, ours, cores):
    ticks = proc.TICKS_PER_SECOND
    before = Moment(100.0, 5000, 700)
    after = Moment(110.0, 5000 + round(10 * machine * ticks), 700 + round(10 * ours * ticks))
    assert proc.cores_of_others(before, after) == pytest.approx(cores)
    assert proc.cores_of_others(before, before) == 0


def test_this_process_is_seen():
    assert proc.resident_mib(os.getpid()) > 1
    seen = proc.moment(0.0, os.getpid())
    assert seen.machine_ticks > 0
    assert seen.tree_ticks / proc.TICKS_PER_SECOND >= proc.cpu_seconds(os.getpid()) - 0.1
