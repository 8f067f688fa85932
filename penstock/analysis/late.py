"""Failures that come long after their task was routed: what young tasks cannot show yet.

A task of which the failure is known five minutes late is, for five minutes, one more good task.
So exposure is weighed: of the tasks of an age, that share counts of which a failure would be known by
now, as far as the arm's own last failures tell how long that takes. It is an estimate of the
distribution of delays; while a canary is young it knows the short ones alone, which counts too
many tasks and blames nobody.
"""

from collections.abc import Iterable, Sequence

from penstock.analysis.delays import Delays
from penstock.analysis.evidence import TICK_MS, Stratum
from penstock.analysis.metrics import Metric
from penstock.traffic import Arm


def of_age(strata: Iterable[Stratum], arm: Arm, metric: Metric, delays: Delays, now_ms: int) -> int:
    """An arm's tasks of which every failure would be known by now: fewer than are counted."""
    newest_ms = delays.halts.earlier(now_ms, delays.longest_ms(arm, metric))
    return sum(
        stratum.arms[arm].tasks
        for stratum in strata
        if stratum.tick * TICK_MS <= newest_ms and arm in stratum.arms
    )


def matured(
    strata: Iterable[Stratum], metric: Metric, delays: Delays, now_ms: int
) -> Sequence[Stratum]:
    """The strata with each arm's exposure to one metric as far as its failures can be known by now.

    Parts of a task are carried on to the next stratum, so that the sum is right to one task; no
    stratum has fewer tasks than failures.
    """
    carried = dict.fromkeys(Arm, 0.0)
    kept = []
    for stratum in strata:
        age_ms = delays.halts.running_ms(stratum.tick * TICK_MS, now_ms)
        arms = {}
        for arm, tally in stratum.arms.items():
            exact = delays.share_by(age_ms, arm, metric) * tally.tasks + carried[arm]
            tasks = min(max(int(exact), metric.sums(tally).total), tally.tasks)
            carried[arm] = exact - tasks
            arms[arm] = tally if tasks == tally.tasks else tally._replace(tasks=tasks)
        kept.append(Stratum(stratum.tick, stratum.begin_version, arms))
    return kept
