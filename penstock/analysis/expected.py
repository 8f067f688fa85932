"""What a task is expected to cost: as declared, else what stable's tasks cost."""

import math
from dataclasses import dataclass
from typing import Final

from penstock.analysis.metrics import COST, NO_SUMS, NOTHING, Sums, Tally
from penstock.api.analysis import Guardrails

#: Of fewer tasks of stable there is no mean.
FEWEST_TASKS: Final = 20


@dataclass(frozen=True)
class Expected:
    """What a task is expected to cost, in micro-USD at list price; 0: nobody knows yet.

    ``declared``: as ``budgets.costUSD.perTask`` says; else it is the mean of stable's tasks of the last day.
    """

    micro_usd: int
    declared: bool = True

    def bound(self, limits: Guardrails) -> float:
        """The highest mean cost in micro-USD; infinite while nothing is known."""
        return limits.cost_percent * self.micro_usd / 100 if self.micro_usd else math.inf


def expected(
    limits: Guardrails,
    declared: int | None,
    total: Tally = NOTHING,
    before: Tally = NOTHING,
    day: Sums = NO_SUMS,
) -> Expected | None:
    """What a task is expected to cost; None where the cost is not judged.

    Args:
        limits: by which it is judged; what they leave open is judged where a cost is declared.
        declared: micro-USD of a task, None where none is.
        total: stable's ended tasks since the canary began; asked where the last day has too few, as after an upgrade.
        before: stable in the last window in which it had enough of the users to be a measure.
        day: costs of stable's tasks of the last day.
    """
    if declared:
        return Expected(declared)
    if limits.cost_percent_of_budget is None:
        return None
    known = (day, Sums(total.timed, total.cost_micro_usd), COST.sums(before))
    mean = next((sums.mean for sums in known if sums.n >= FEWEST_TASKS), 0.0)
    return Expected(round(mean), declared=False)
