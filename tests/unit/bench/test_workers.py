"""What counts inside of the workers, Penstock's and the peers'; and which peers those are."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from penstock_bench import counting, library, pace
from penstock_bench.counting import Count


class Left(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def leaving(monkeypatch):
    def leave(code, words=""):
        raise Left(code, words)

    monkeypatch.setattr(counting, "leave", leave)


def test_a_count_ends_with_its_last_task_and_measures_from_the_last_skipped_one(
    tmp_path, monkeypatch
):
    result, clock = tmp_path / "result.json", iter((10.0, 12.5))
    cpu = iter((1.0, 1.5))
    monkeypatch.setattr(counting.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(counting, "cpu_seconds", lambda: next(cpu))
    count = Count(2, 3, result)
    for _ in range(4):
        count.one()
    assert not result.exists()
    with pytest.raises(Left):
        count.one()
    said = json.loads(result.read_text())
    assert (said["seconds"], said["cpu"]) == (2.5, 0.5)
    assert said["resident_mib"] > 1


def test_without_a_place_for_figures_it_serves_on():
    count = Count(0, 1, None)
    for _ in range(5):
        count.one()
    assert count.seen == 5


async def test_a_slow_call_does_not_hide_that_the_next_one_waited():
    gate = asyncio.Lock()

    async def call():
        async with gate:
            await asyncio.sleep(0.02)

    took = await pace.steadily(call, rate=1000, seconds=0.005)
    assert len(took) == 5
    assert max(took) > 4 * 20 - 5


def test_median_and_tail_are_kept(tmp_path):
    pace.write([float(number) for number in range(100, 0, -1)], tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == {"p50_ms": 51.0, "p95_ms": 96.0}


def test_the_peers_are_pinned_and_the_sdk_is_the_product_s_own(pytestconfig):
    def pin(text):
        return re.search(r"^anthropic==(\S+)", text, re.MULTILINE)[1]

    own = (pytestconfig.rootpath / "requirements.lock").read_text(encoding="utf-8")
    theirs = library.LOCK.read_text(encoding="utf-8")
    assert pin(theirs) == pin(own), "another SDK is no yardstick: change requirements.in, make lock"
    for peer in ("saq", "taskiq", "celery", "pydantic-ai-slim"):
        assert re.fullmatch(rf"{peer} \d+\.\d+\S*", library.named(peer))
