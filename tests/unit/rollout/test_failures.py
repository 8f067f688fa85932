"""Which failed tasks a verdict shows, and that its words are ours alone."""

from __future__ import annotations

import json

import pytest

from penstock import meanings
from penstock.analysis import failures
from penstock.analysis.failures import Failure, Lately
from penstock.analysis.metrics import ERROR_RATE, ESCALATION_RATE, LATENCY, METRICS, RATES
from penstock.api.analysis import Reason, Verdict
from penstock.api.rollout import AgentRolloutStatus
from penstock.api.sample import Sample
from penstock.outcomes import End
from penstock.rollout.samples import sample, samples
from penstock.rollout.words.verdicts import examples
from penstock.task import OutcomeReason, TaskStatus

R = OutcomeReason


def failure(name, at, reason=None, metric=ERROR_RATE, **more):
    return Failure(name, metric, at, at, reason, **more)


def shown(kept, reason=Reason.ERROR_RATE):
    return [one.task for one in samples(kept, reason)]


def test_the_last_three_are_shown_the_oldest_first():
    assert shown([failure(f"t{i}", i, R.TIMEOUT) for i in range(9)]) == ["t6", "t7", "t8"]


def test_different_reasons_go_before_equal_ones_however_old():
    kept = [
        failure("old", 0, R.MODEL_ERROR),
        *(failure(f"t{i}", i, R.TIMEOUT) for i in range(1, 9)),
    ]
    assert shown(kept) == ["old", "t7", "t8"]


def test_of_each_reason_the_last_and_of_many_reasons_the_latest():
    reasons = [R.MODEL_ERROR, R.TIMEOUT, R.INTERNAL, R.LIMIT_COST]
    kept = [failure(f"{r.value}{i}", 10 * n + i, r) for n, r in enumerate(reasons) for i in (0, 1)]
    assert shown(kept) == ["Timeout1", "Internal1", "LimitCostUSD1"]


def test_two_reasons_leave_room_for_the_last_of_the_rest():
    kept = [
        failure("m1", 1, R.MODEL_ERROR),
        failure("m2", 2, R.MODEL_ERROR),
        failure("t", 0, R.TIMEOUT),
    ]
    assert shown(kept) == ["t", "m1", "m2"]


def test_a_task_that_never_ended_has_a_reason_of_its_own():
    kept = [failure("late", 0, overdue=True), *(failure(f"t{i}", i, R.NONE) for i in range(1, 5))]
    assert shown(kept) == ["late", "t3", "t4"]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.ERROR_RATE, ["error"]),
        (Reason.ESCALATION_RATE, ["escalation"]),
        (Reason.LATENCY, ["slow"]),
        (Reason.UNAVAILABLE, ["error", "escalation"]),
        (Reason.ABORTED, ["error", "escalation"]),
    ],
)
def test_what_is_shown_is_what_the_check_has_counted(reason, expected):
    kept = [
        failure("error", 1),
        failure("escalation", 2, metric=ESCALATION_RATE),
        failure("slow", 3, metric=LATENCY),
    ]
    assert shown(kept, reason) == expected


def test_no_metric_pushes_another_out():
    lately = Lately()
    lately.note(failure("slow", 1, metric=LATENCY))
    for i in range(10 * failures.MOST_KEPT):
        lately.note(failure(f"t{i}", i))
    kept = lately.since(0)
    assert len(kept) == failures.MOST_KEPT + 1
    assert shown(kept, Reason.LATENCY) == ["slow"]


@pytest.mark.parametrize("reason", OutcomeReason)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_words_of_every_reason_fit_and_come_from_the_reference(reason, metric):
    words = sample(failure("t", 1, reason, metric)).message
    assert 0 < len(words) <= 120
    ours = [meaning.means for meaning in meanings.REASONS.values()] + [*meanings.STATUSES.values()]
    assert words in ours or metric not in RATES


def test_a_failure_that_nothing_is_known_of_has_words_too():
    assert sample(failure("t", 1)) == Sample(task="t", message="It came to no answer.")
    assert (
        sample(failure("t", 1, overdue=True)).message == "It had not ended when its time was over."
    )


def test_reasons_found_elsewhere_are_those_of_the_tasks_that_lack_one():
    kept = (
        failure("a", 1),
        failure("b", 2, R.TIMEOUT),
        failure("c", 3, overdue=True),
        failure("d", 4),
    )
    ends = {name: End(TaskStatus.FAILED, R.INTERNAL) for name in "abc"}
    reasons = [found.reason for found in failures.explained(kept, ends)]
    assert reasons == [R.INTERNAL, R.TIMEOUT, None, None]


def test_the_sentence_names_tasks_and_reasons():
    assert not examples([])
    both = [Sample(task="a", reason="Timeout"), Sample(task="b")]
    assert examples(both) == "For example: a (Timeout), b."


def test_samples_of_the_version_before_are_ids_alone_and_stay_readable():
    stored = {
        "revision": "a-12345678", "result": "Rejected", "reason": "ErrorRateRegression",
        "message": "m", "at": "2026-01-01T00:00:00Z", "samples": [{"task": "t1"}],
    }  # fmt: skip
    read = AgentRolloutStatus.model_validate({"verdicts": [stored]}).verdicts[0]
    assert read.samples == (Sample(task="t1"),)
    assert examples(read.samples) == "For example: t1."
    assert Verdict.model_validate(json.loads(read.model_dump_json(by_alias=True))) == read
