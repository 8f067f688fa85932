"""Calls of stable's task beside those of its copy: by tool and digest, in any order."""

from __future__ import annotations

import pytest

from penstock.shadow import Beside, Says, Told, beside

A, B, C = (Told("refund", digest) for digest in "abc")
MAIL = Told("mail", "m")


@pytest.mark.parametrize(
    ("stable", "copy", "said"),
    [
        ([], [], []),
        ([A, MAIL], [MAIL, A], [("refund", "Same", "a", "a"), ("mail", "Same", "m", "m")]),
        ([A], [B], [("refund", "OtherArguments", "a", "b")]),
        ([A, B], [B], [("refund", "Same", "b", "b"), ("refund", "OnlyStable", "a", "")]),
        ([A], [A, A], [("refund", "Same", "a", "a"), ("refund", "OnlyCanary", "", "a")]),
        (
            [A, MAIL],
            [B, C],
            [
                ("refund", "OtherArguments", "a", "b"),
                ("mail", "OnlyStable", "m", ""),
                ("refund", "OnlyCanary", "", "c"),
            ],
        ),
        (None, [A], [("refund", "Unknown", "", "a")]),
    ],
)
def test_each_call_is_told_once_with_what_stands_beside_it(stable, copy, said):
    assert beside(stable, copy) == tuple(
        Beside(tool, Says(says), ours, theirs) for tool, says, ours, theirs in said
    )
