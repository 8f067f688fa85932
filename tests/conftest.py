"""What holds for every test: no ambient settings, no example is late, no task left running; in CI no skip, no chance."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from penstock_dev import signals
from tests import scheduling

AMBIENT = ("ANTHROPIC_", "KUBERNETES_SERVICE_")
SECONDS_FOR_TASKS_TO_END = 30.0  # only a test that leaves one running waits so long


@pytest.fixture(scope="session", autouse=True)
def no_ambient_settings():
    """Keys and addresses of the developer's own shell reach no test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(AMBIENT) or name == "KUBECONFIG":
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_of_the_foreground():
    """What tests start ends by SIGINT, SIGTERM and SIGHUP, also when the tests run in a script's background, or under nohup."""
    signals.as_in_the_foreground()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# --------------------------------------------------------------------------- examples of Hypothesis

# How long an example takes says how busy the machine is. CI asks the same examples each time: what
# it says of a change is about that change; the search for new ones is that of everybody else's runs.
settings.register_profile(
    "penstock",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="PENSTOCK_CI" in os.environ,
    print_blob=True,
)
settings.load_profile("penstock")


# ------------------------------------------------------------------------ no task left running


async def tasks_that_outlive_the_test(before):
    """The tasks begun since `before` that have not ended a while after the test has."""
    begun = asyncio.all_tasks() - before - {asyncio.current_task()}
    if not begun:
        return set()
    _, running = await asyncio.wait(begun, timeout=SECONDS_FOR_TASKS_TO_END)
    return running


def leaving_no_task(test):
    """The test, failing when it passes but leaves a task running on its loop."""

    @functools.wraps(test)
    async def checked(*args, **kwargs):
        before = asyncio.all_tasks()
        await test(*args, **kwargs)
        running = await tasks_that_outlive_the_test(before)
        assert not running, f"left running: {sorted(map(str, running))}"

    return checked


def pytest_collection_modifyitems(config, items):
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = leaving_no_task(item.obj)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: scheduling.place(item.nodeid))


# -------------------------------------------------------------------------- several processes


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return scheduling.Scheduling(config, log)


# ------------------------------------------------------------------------------- no skip in CI


def failed_instead_of_skipped(report):
    """The report of a skip as that of a failure, with the reason of the skip."""
    _, _, reason = report.longrepr
    report.outcome = "failed"
    report.longrepr = f"skipped, which PENSTOCK_CI does not allow: {reason}"
    return report


def must_not_skip(report):
    return report.skipped and not hasattr(report, "wasxfail") and "PENSTOCK_CI" in os.environ


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    return failed_instead_of_skipped(report) if must_not_skip(report) else report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    return failed_instead_of_skipped(report) if must_not_skip(report) else report
