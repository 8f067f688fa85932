"""How every way a task can end counts in the comparison of revisions."""

import pytest

from penstock.task import Counting, OutcomeReason, TaskStatus, counting

PLANNED = {
    OutcomeReason.APPROVAL,
    OutcomeReason.PERSON,
    OutcomeReason.BUDGET,
    OutcomeReason.RESTRICTED,
}

#: One row for each status: what counts as planned is the only thing a reason decides.
TABLE = {
    TaskStatus.QUEUED: (Counting.LEFT_OUT, Counting.LEFT_OUT),
    TaskStatus.RUNNING: (Counting.LEFT_OUT, Counting.LEFT_OUT),
    TaskStatus.HALTED: (Counting.LEFT_OUT, Counting.LEFT_OUT),
    TaskStatus.WAITING_FOR_APPROVAL: (Counting.LEFT_OUT, Counting.LEFT_OUT),
    TaskStatus.SUCCEEDED: (Counting.GOOD, Counting.GOOD),
    TaskStatus.FAILED: (Counting.ERROR, Counting.ERROR),
    TaskStatus.ESCALATED: (Counting.LEFT_OUT, Counting.ESCALATION),
    TaskStatus.LIMIT_EXCEEDED: (Counting.ERROR, Counting.ERROR),
    TaskStatus.EXPIRED: (Counting.ERROR, Counting.ERROR),
    TaskStatus.CANCELLED: (Counting.LEFT_OUT, Counting.LEFT_OUT),
}


@pytest.mark.parametrize("reason", OutcomeReason)
@pytest.mark.parametrize("status", TaskStatus)
def test_an_end_counts_for_what_it_is(status, reason):
    planned, unplanned = TABLE[status]
    assert counting(status, reason) is (planned if reason in PLANNED else unplanned)


def test_only_what_has_ended_is_counted():
    counted = {status for status in TaskStatus if set(TABLE[status]) != {Counting.LEFT_OUT}}
    assert counted <= {status for status in TaskStatus if status.ended}
    assert TaskStatus.CANCELLED not in counted, "a caller's change of mind is nobody's failure"
