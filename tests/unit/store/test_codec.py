"""What is stored is read as it was meant."""

from __future__ import annotations

import pytest

from penstock import names, outcomes, task, traffic
from penstock_store import codec, rows

AGENT = names.AgentKey("acme", "support")


def test_a_task_of_another_version_with_fields_missing_or_added_is_read():
    stored = {
        "revision": b"aaaa0000", "status": b"Queued", "input": "ü".encode(), "tenant": b"t",
        "user": b"", "session": b"", "type": b"", "lane": b"Normal", "metadata": b"{}",
        "routeVersion": b"3", "trace": b"", "createdAt": b"5", "new": b"\xff",
    }  # fmt: skip
    read = codec.task(AGENT, "id", stored)
    assert (read.input, read.route_version, read.created_ms) == ("ü", 3, 5)
    assert (read.deliveries, read.usage, read.outcome) == (0, task.Usage(), None)


def test_rows_of_both_kinds_are_read():
    routed = rows.row("p.", [b"5-1", [b"r", b"tail|C|bbbb1111|7|6|42"]])
    assert routed == outcomes.Row(
        "5-1", outcomes.RowKind.ROUTED, "p.tail", traffic.Arm.CANARY, "bbbb1111", 7, 6, 42
    )
    assert routed.at_ms == 5
    ended = rows.row("p.", [b"5-2", [b"f", b"tail|S|aaaa0000|7|6|42|Error|1234|99"]])
    assert (ended.counting, ended.latency_ms, ended.cost_micro_usd) == (
        task.Counting.ERROR,
        1234,
        99,
    )


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"priority": task.Priority.BATCH}, True),
        ({"trace_id": "other"}, True),
        ({"idempotency_key": "other"}, True),
        ({"input": "other"}, False),
        ({"user": "other"}, False),
        ({"metadata": {"a": "c"}}, False),
    ],
)
def test_the_digest_covers_what_was_asked_and_not_how_urgently(change, same):
    asked = {"input": "hi", "tenant": "t", "user": "u", "metadata": {"a": "b"}}
    one, other = (task.Submission(**fields) for fields in (asked, asked | change))
    assert (codec.digest(one) == codec.digest(other)) is same


def test_fields_of_a_digest_do_not_run_into_each_other():
    one = task.Submission("a", "t", user="b", session="")
    other = task.Submission("a", "t", user="", session="b")
    assert codec.digest(one) != codec.digest(other)
