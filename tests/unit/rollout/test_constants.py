"""Each constant that condemns has a row in a decision page, with the value that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.analysis import guardrails
from penstock.analysis.comparison import evalues, judge, proof, spread
from penstock.rollout import facts, record

DOCS = Path(__file__).parents[3] / "docs"
GUARDRAILS = "decisions/0017-which-numbers-condemn-a-version.md"
COMPARISON = "decisions/0028-the-constants-of-the-comparison.md"


def few(*numbers):
    """As pages write them: .4, 1.25."""
    return ", ".join(f"{number:g}".removeprefix("0") for number in numbers)


def ticks(several):
    return ", ".join(map(str, several[:-1]))


ROWS = [
    (GUARDRAILS, f"| no ready pod, before users are taken off | {facts.UNAVAILABLE_SECONDS} s |"),
    (GUARDRAILS, f"(`CandidateUnavailable`) | {facts.UNAVAILABLE_TIMES} |"),
    (GUARDRAILS, f"without such an interruption | {facts.QUIET_SECONDS:,} s |"),
    (GUARDRAILS, f"before a stratum compares | {guardrails.FEWEST_STABLE}, and a tenth of"),
    (GUARDRAILS, f"| more than {guardrails.THIN} tasks of the canary to one of stable |"),
    (GUARDRAILS, f"finest first | {ticks(guardrails.TICKS_TO_A_STRATUM)}, the window |"),
    (COMPARISON, f"| {few(judge.RELATIVE_PART, judge.LIMIT_PART)} |"),
    (COMPARISON, f"| {few(*judge.RATIO_WEIGHTS, *judge.VALUE_WEIGHTS)} |"),
    (COMPARISON, f"| {few(*judge.SLOT_WEIGHTS)} |"),
    (
        COMPARISON,
        f"| {few(*evalues.ABOVE)}: {few(*evalues.ABOVE.values())} |",
    ),
    (COMPARISON, f"second clock of late events | {few(judge.LATE_PART)} |"),
    (COMPARISON, f"| {few(*evalues.STAKES_ABOVE)}; {few(evalues.MOST_ABOVE)} limits |"),
    (COMPARISON, f"before values speak | {judge.FEWEST_TASKS} |"),
    (COMPARISON, f"| rank effects that are harm | {few(*evalues.TILTS)} |"),
    (COMPARISON, f"| attribution of a limit, E | {few(judge.ATTRIBUTED)} |"),
    (COMPARISON, f"| kurtosis κ of users' rates | {few(spread.KURTOSIS_OF_RATES)} |"),
    (COMPARISON, f"| suspicious | {few(judge.SUSPICIOUS)}:1 |"),
    (COMPARISON, f"passes | {few(proof.LETS_PAST)} |"),
    ("reference/decision-record.md", f"which engine decided: {record.ENGINE},"),
]


@pytest.mark.parametrize(("page", "row"), ROWS)
def test_the_page_has_the_value(page, row):
    assert row in (DOCS / page).read_text(encoding="utf-8")


def test_a_tenth_is_what_stable_must_have():
    assert guardrails.STABLE_SHARE == 10
    assert facts.MOST_UNCOMPARED == 3, "the page says: the fourth"
