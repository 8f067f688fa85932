"""What callers took back: it counts for nobody, since they may have any reason; a difference is told."""

from typing import Final

from penstock.analysis import guardrails, rates
from penstock.analysis.metrics import Sums, Tally
from penstock.rollout.facts import Facts
from penstock.traffic import Arm

#: Fewer cancelled tasks of the canary say nothing.
FEWEST: Final = 5


def of_arms(facts: Facts) -> tuple[Sums, Sums]:
    """The canary's and stable's in this step, of all that ended in it.

    Within one step the shares stand still, so that both arms are compared over the same time.
    """
    observed = facts.observation
    if observed is None:
        return Sums(), Sums()
    return _cancelled(observed.in_step(Arm.CANARY)), _cancelled(observed.in_step(Arm.STABLE))


def more(facts: Facts) -> bool:
    """Whether callers take back clearly more tasks from the canary."""
    ours, theirs = of_arms(facts)
    if ours.total < FEWEST or theirs.n < guardrails.FEWEST_STABLE:
        return False
    return rates.z([(ours, theirs)]) >= guardrails.SHARED_Z


def _cancelled(arm: Tally) -> Sums:
    return Sums(arm.tasks + arm.left_out, arm.cancelled, arm.cancelled)
