"""How a bench ends: the exit code, and what it prints when it could not measure."""

from __future__ import annotations

import asyncio

import pytest

from penstock_bench import machine, report
from penstock_bench.crew import BenchFailed
from penstock_bench.report import Measured
from penstock_bench.verdict import Goal, Peer, Row, Sense

TWICE = Goal(Sense.AT_LEAST, 2.0, of_peer=True)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "REPOSITORY", tmp_path)
    monkeypatch.setattr(machine, "commit", lambda: "abc1234")
    monkeypatch.setattr(machine, "redis_version", lambda: "Redis 7")


async def ended(ratio, *options):
    async def measure(folder, how):
        folder.mkdir(parents=True)
        return Measured([Row("queue", "tasks/s", (ratio,), Peer("saq", (1.0,)), TWICE)], [])

    return await report.run("bench-x", measure, report.options().parse_args(options))


async def test_it_ends_well_when_every_goal_is_met_and_prints_one_table(capsys, tmp_path):
    assert await ended(2.0) == 0
    said = capsys.readouterr().out
    assert "bench-x, quick: commit abc1234" in said
    assert said.count("| what ") == 1
    assert said == (tmp_path / ".bench" / "bench-x" / "table.md").read_text()


async def test_a_missed_goal_is_an_error_unless_nobody_is_to_judge():
    assert await ended(1.9) == 1
    assert await ended(1.9, "--unjudged") == 0


async def test_what_could_not_be_measured_is_another_error_and_no_table(capsys):
    async def broken():
        raise BenchFailed("gateway has ended: no Redis")

    async def measure(_folder, _how):
        async with asyncio.TaskGroup() as group:
            group.create_task(broken())

    assert await report.run("bench-x", measure, report.options().parse_args([])) == 2
    said = capsys.readouterr()
    assert "gateway has ended: no Redis" in said.err
    assert not said.out
