"""Whether an expression fits a name: as the engine of the workers says, and in a time that is bounded."""

from __future__ import annotations

import random

import jsonschema_rs
import pytest

from penstock.api.patternfits import fits

OPTIONS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 21)
PARTS = (
    *("a", "b", "_", "-", ".", "^", "$", "|", "(", "(?:", ")", "*", "+", "?", "??", "{1,2}", "{2}"),
    *("[ab]", "[^a]", "\\w", "\\d", "\\-", "(?i)", "\\b"),
)


def by_a_worker(pattern, text):
    schema = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return jsonschema_rs.validator_for(schema, pattern_options=OPTIONS, offline=True).is_valid(text)


def test_it_says_what_the_engine_of_the_workers_says():
    draw, compared = random.Random(7), 0
    for _ in range(4000):
        pattern = "".join(draw.choices(PARTS, k=draw.randint(1, 9)))
        text = "".join(draw.choices("ab_1-", k=draw.randint(0, 6)))
        said = fits(pattern, text)
        if said is not None:
            compared += 1
            assert said == by_a_worker(pattern, text), (pattern, text)
    assert compared > 500


@pytest.mark.parametrize(
    ("pattern", "name", "said"),
    [
        ("refund|pay_.*", "pay_out", True),
        ("refund|pay_.*", "repay_out", False),
        ("(undo_)?refund", "undo_refund", True),
        ("[a-z]+_order", "cancel_order", True),
        ("refund{2,3}", "refunddd", True),
        ("\\p{Lu}x", "refund", None),
        ("(?i)REFUND", "refund", None),
        ("refund(", "refund", None),
    ],
)
def test_patterns_of_names(pattern, name, said):
    assert fits(pattern, name) is said


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[[:alpha:]]", None),
        ("[^[:alpha:]]", None),
        ("[a[b]", None),
        ("[a--b]", None),
        ("[a&&b]", None),
        ("[a||b]", None),
        ("[a~~b]", None),
        ("[\\[a]", True),
        ("[a&b-]", True),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_class_of_sets_is_not_known_here_and_nothing_is_warned_of(pattern, said):
    assert fits(pattern, "a") is said


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)" * 100, "((((((a*)*)*)*)*)*)*b"])
def test_what_goes_back_without_end_elsewhere_ends(pattern):
    assert fits(pattern, "a" * 64) is False
