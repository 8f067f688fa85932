"""When something ends, and whether time alone ends it."""

from datetime import datetime

from penstock.api import condition
from penstock.api.strategy import StepApproval
from penstock.rollout.facts import Facts


def clock(facts: Facts, moment: datetime) -> str:
    """A moment by the clock, with its date where that is another day than the one on which the step or ring began."""
    begun = facts.place_since
    same_day = begun is None or condition.moment(begun).date() == moment.date()
    return moment.strftime("%H:%M:%S UTC" if same_day else "%Y-%m-%d %H:%M:%S UTC")


def wants_person(facts: Facts) -> bool:
    """Whether the step is left with an approval that nobody has given yet."""
    wants = facts.step.approval is StepApproval.REQUIRED and not facts.in_final_hold
    return wants and not facts.status.step_approved
