"""Tasks in columns: every cell is one line, and counts say what was asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock_cli import exits, listing, tables

NOW = datetime(2025, 11, 21, 9, 0, tzinfo=UTC)


def item(identifier, status="Failed", reason="ModelError", user="ana", message="no", **more):
    outcome = {"reason": reason, "message": message}
    usage = {
        "modelCalls": 1, "toolCalls": 0, "inputTokens": 5, "outputTokens": 6, "costUSD": "0.1",
        "wallSeconds": 1.5,
    }  # fmt: skip
    whose = {"namespace": "shop", "agent": "support", "session": "", "traceId": "t"}
    times = {"createdAt": "2025-11-21T08:58:30.000Z", "finishedAt": None}
    task = {"id": identifier, "status": status, "user": user, "revision": "support-1a2b3c4d"}
    return {**task, **whose, **times, "outcome": outcome, "usage": usage, **more}


def test_nothing_that_a_caller_or_a_model_wrote_begins_a_line_or_moves_the_cursor():
    hostile = item("a", user="x\x1b[2Jy", message="one\r\ntwo\u2028three\x9b1A")
    lines = tables.table(tables.rows([hostile], NOW, wide=True)).splitlines()
    assert len(lines) == 2
    assert lines[0].split() == ["ID", "AGE", "STATUS", "REASON", "REVISION", "USER", "MESSAGE"]
    assert lines[1].isprintable()
    assert all(line.isprintable() for line in tables.described(hostile))


def test_the_tenant_is_a_column_where_those_of_all_are_listed_and_what_is_empty_a_dash():
    rows = tables.rows(
        [item("a", tenant="acme"), item("b", user="", tenant="globex")], NOW, wide=False
    )
    lines = tables.table(rows).splitlines()
    assert lines[0].split()[-1] == "TENANT"
    assert lines[2].split() == [
        "b",
        "90s",
        "Failed",
        "ModelError",
        "support-1a2b3c4d",
        "-",
        "globex",
    ]


def test_a_preview_is_marked_wherever_tasks_are_shown():
    items = [item("a", preview=True), item("b"), item("c", user="bob")]
    assert tables.rows(items[1:], NOW, wide=True)[0] == [
        *("ID", "AGE", "STATUS", "REASON", "REVISION", "USER", "MESSAGE")
    ]
    head, *rows = tables.rows(items, NOW, wide=True)
    assert [dict(zip(head, row, strict=True))["PREVIEW"] for row in rows] == ["yes", "", ""]
    head, *rows = tables.counted(items, "user")
    assert [dict(zip(head, row, strict=True))["PREVIEWS"] for row in rows] == ["1", "0"]
    assert "PREVIEWS" not in tables.counted(items[1:], "user")[0]
    shown = ["support-1a2b3c4d, a preview" in "\n".join(tables.described(one)) for one in items]
    assert shown == [True, False, False]


def test_tasks_are_counted_by_a_field_those_first_where_most_have_failed():
    items = [
        item("d", "Succeeded", "", "ana", ""),
        item("c", "Failed", "ModelError", "bob", "newest"),
        item("b", "Escalated", "Approval", "bob", "asks"),
        item("a", "Failed", "ModelError", "", "older"),
    ]
    by_reason = tables.counted(items, "reason")
    assert by_reason[1:] == [
        ["ModelError", "2", "2", "1", "c", "newest"],
        ["Approval", "1", "1", "1", "b", "asks"],
        ["", "1", "0", "1", "d", ""],
    ]
    assert [row[:3] for row in tables.counted(items, "user")[1:]] == [
        ["bob", "2", "2"], ["", "1", "1"], ["ana", "1", "0"],
    ]  # fmt: skip
    items += [item(str(number), "Succeeded", "", "eve", "") for number in range(3)]
    assert [row[0] for row in tables.counted(items, "user")[1:]] == ["bob", "", "eve", "ana"]
    assert len(tables.counted([], "user")) == 1, "the head alone"


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=-5), "0s"),
        (timedelta(seconds=119), "119s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(minutes=119), "119m"),
        (timedelta(hours=47), "47h"),
        (timedelta(days=2), "2d"),
    ],
)
def test_an_age_is_one_number_and_its_unit(ago, shown):
    assert tables.age((NOW - ago).isoformat(), NOW) == shown


@pytest.mark.parametrize(
    ("since", "asked"),
    [("90s", "90"), ("10m", "600"), ("2h", "7200"), ("1d", "86400"), ("60", "60"), ("", "")],
)
def test_a_time_back_may_be_a_duration(since, asked):
    assert dict(listing.Wanted("support", since=since).query)["since"] == asked


def test_failed_is_every_end_but_success_and_cancelling():
    statuses = [value for name, value in listing.Wanted("a", failed=True).query if name == "status"]
    assert statuses == ["Failed", "Escalated", "LimitExceeded", "Expired"]
    both = listing.Wanted("a", statuses=("Expired", "Queued"), failed=True).query
    assert [value for name, value in both if name == "status"] == ["Expired"]
    with pytest.raises(exits.Stopped):
        _ = listing.Wanted("a", statuses=("Queued",), failed=True).query
