"""Each constant that condemns has a row in a decision page, with the value that it has."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import pytest

from penstock.analysis import guardrails, means, rates
from penstock.analysis.comparison import cohorts, crossing, evalues, judge, proof, spread
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
    (GUARDRAILS, f"at least {rates.FEWEST_EVENTS} events"),
    (GUARDRAILS, f"at the limit is at most {rates.TAIL}"),
    (GUARDRAILS, f"at least {means.FEWEST_VALUES} values"),
    (
        GUARDRAILS,
        f"{guardrails.ATTRIBUTABLE_Z:g} standard deviations, {guardrails.SHARED_Z:g} where",
    ),
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
    (COMPARISON, f"| the same of users' mean ranks | {few(spread.KURTOSIS_OF_RANKS)} |"),
    (
        COMPARISON,
        f"| {few(spread.OF_RATES.value, spread.OF_RATES.information)} | users of agents",
    ),
    (COMPARISON, f"| the same of mean ranks | {few(spread.OF_RANKS.value)}, 4 / .01² |"),
    (COMPARISON, f"| widening | {spread.WIDENED} standard errors |"),
    (COMPARISON, f"| late events have had their time | {cohorts.LATE_MS // 1000} s |"),
    (
        COMPARISON,
        f"chance above {crossing.BY_CHANCE:.0%}, rate at least .001, {crossing.FEWEST_TASKS} tasks".replace(
            "%", " %"
        ),
    ),
    (COMPARISON, f"| suspicious | {few(judge.SUSPICIOUS)}:1 |"),
    (COMPARISON, f"passes | {few(proof.LETS_PAST)} |"),
    ("reference/decision-record.md", f"which engine decided: {record.ENGINE},"),
]


@pytest.mark.parametrize(("page", "row"), ROWS)
def test_the_page_has_the_value(page, row):
    assert row in (DOCS / page).read_text(encoding="utf-8")


def test_no_crossover_is_evidence_above_the_rate_of_the_page():
    row = f"where they fail on stable in | more than {few(crossing._LARGEST)} |"
    assert row in (DOCS / COMPARISON).read_text(encoding="utf-8")
    assert crossing._SMALLEST == 0.001


def test_each_draw_is_asked_its_part_of_the_bound():
    """The page: alpha / 2 of errors, and a fifth of that of each of the three others."""
    assert judge.RATIO_DRAWS + judge.VALUE_DRAWS == (1.0, 0.2, 0.2, 0.2)
    assert spread.OF_RANKS.information == 4 / spread.OF_RANKS.value**2
    deviations = NormalDist().inv_cdf(1 - rates.TAIL)
    assert round(deviations, 2) == means.LOWER_BOUND_DEVIATIONS


def test_a_tenth_is_what_stable_must_have():
    assert guardrails.STABLE_SHARE == 10
    assert facts.MOST_UNCOMPARED == 3, "the page says: the fourth"
