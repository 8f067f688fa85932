"""The guards of tests/conftest.py guard: a run of pytest on small bad tests shows it."""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys

import pytest

from tests import windows

BAD_TESTS = """
import asyncio
import os
import conftest
import pytest

conftest.SECONDS_FOR_TASKS_TO_END = 1.0

async def test_leaves_a_task_running():
    test_leaves_a_task_running.task = asyncio.create_task(asyncio.sleep(60), name="forgotten")

async def test_ends_its_task():
    await asyncio.create_task(asyncio.sleep(0))

def test_skips():
    pytest.skip("no such program")

@pytest.mark.xfail(strict=True, reason="known")
def test_fails_as_expected():
    assert False

def test_sees_no_key():
    assert "ANTHROPIC_API_KEY" not in os.environ
"""


@pytest.fixture(scope="module")
def outcomes(root, tmp_path_factory):
    """Runs the bad tests, with PENSTOCK_CI set or not, and gives what pytest says of each."""

    def run(**environment):
        folder = tmp_path_factory.mktemp("suite")
        shutil.copy(root / "tests" / "conftest.py", folder)
        (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
        (folder / "test_bad.py").write_text(BAD_TESTS)
        ambient = {name: value for name, value in os.environ.items() if name != "PENSTOCK_CI"}
        run = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-rA",
                "--tb=short",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:hypothesispytest",
            ],
            cwd=folder,
            env=ambient | {"ANTHROPIC_API_KEY": "leaked"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return run.stdout

    return run


def test_outside_ci_a_skip_is_a_skip_and_a_forgotten_task_is_a_failure(outcomes):
    said = outcomes()
    assert "1 failed, 2 passed, 1 skipped, 1 xfailed" in said, said
    assert "FAILED test_bad.py::test_leaves_a_task_running" in said
    assert "forgotten" in said


def test_in_ci_a_skip_is_a_failure_with_the_reason_of_the_skip(outcomes):
    said = outcomes(PENSTOCK_CI="1")
    assert "2 failed, 2 passed, 1 xfailed" in said, said
    assert "PENSTOCK_CI does not allow: Skipped: no such program" in said


@pytest.mark.parametrize(
    ("at", "waits"),
    [
        ("2026-11-30 23:56:59", 0),
        ("2026-11-30 23:57:01", 179),
        ("2026-11-30 23:59:59", 1),
        ("2026-12-01 00:00:00", 0),
        ("2026-12-01 13:57:01", 0),
        ("2026-12-01 13:59:39", 0),
        ("2026-12-01 13:59:40", 20),
        ("2026-12-01 14:00:00", 0),
    ],
)
def test_what_adds_up_begins_where_no_hour_and_no_day_ends_soon(at, waits):
    moment = datetime.datetime.fromisoformat(at).replace(tzinfo=datetime.UTC)
    assert windows.seconds_to_wait(moment.timestamp()) == waits
