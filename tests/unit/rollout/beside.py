"""Arms beside each other for tests: so many tasks a minute of both, of users who are all alike."""

from __future__ import annotations

import functools

from penstock.analysis.comparison.cohorts import COHORT_MS, Cohorts
from penstock.analysis.comparison.yardsticks import Yardsticks
from penstock.analysis.metrics import of_end
from penstock.api.analysis import Analysis
from penstock.api.comparison import Comparison
from penstock.task import Counting
from penstock.traffic import Arm

COMPARED = Analysis(comparison=Comparison())


@functools.cache
def alike():
    """Both arms as good, and enough of both for every proof."""
    return beside(minutes=30, ours=500)


def beside(minutes=10, ours=50, theirs=500, errors=0.02, stable_errors=0.02, since=(), **more):
    """What is measured of so many tasks of each arm in each minute; every so many-th of them fails.

    ``more``: ``seconds`` a task of the canary takes (2), and ``stable_seconds`` one of stable (2), ``bucket`` that has all its
    failures, ``share`` of the buckets that it has (20), ``version`` of the route, ``kind`` of the failures, ``cost`` of a task of the canary (100; as
    stable's), ``yardsticks``.
    """
    cohorts = Cohorts(more.get("yardsticks", Yardsticks((10_000, 0))))
    cohorts.begin(since)
    arms = {Arm.CANARY: (ours, errors), Arm.STABLE: (theirs, stable_errors)}
    failed, share = dict.fromkeys(Arm, 0.0), more.get("share", 20)
    for minute in range(minutes):
        cohort = cohorts.find(minute * COHORT_MS, more.get("version", 2))
        for arm, (tasks, rate) in arms.items():
            for task in range(tasks):
                failed[arm] += rate
                fails = failed[arm] >= 1
                failed[arm] -= fails
                ours_now = arm is Arm.CANARY
                user = task + task // 10 + 3 * minute  # what a task is like goes round by ten
                slot = user % share if ours_now else share + user % (100 - share)
                if ours_now and fails:
                    slot = more.get("bucket", slot)
                seconds = more.get("seconds", 2.0) if ours_now else more.get("stable_seconds", 2.0)
                latency = int(1000 * seconds * (0.5 + task % 10 / 9))
                cohort.route(arm, slot)
                cost = int((more.get("cost", 100) if ours_now else 100) * (0.5 + task % 7 / 6))
                kind = more.get("kind", Counting.ERROR)
                end = of_end(kind if fails else Counting.GOOD, latency, cost)
                cohort.end(arm, slot, end, latency)
    return cohorts.observe(minutes * COHORT_MS)
