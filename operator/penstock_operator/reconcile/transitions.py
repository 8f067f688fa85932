"""What has become of an Agent since its last status, as Events about it.

They follow from two statuses alone: once the later one is written, no pass and no other operator
tells them again.
"""

from penstock.api import condition
from penstock.api.agent_status import AgentStatus, BudgetWindow
from penstock.api.reasons import ConditionType, EventReason
from penstock.money import spend
from penstock.rollout.situation import Happening


def told(before: AgentStatus, after: AgentStatus, suspended: str) -> tuple[Happening, ...]:
    """What is to be told when a status takes the place of another.

    ``suspended`` says why nothing is admitted, and the command that takes it back.
    """
    found = (_refused(before, after), _stalled(before, after), _switched(before, after, suspended))
    return (
        *(happening for happening in found if happening),
        *_low(before, after),
        *_lifted(before, after),
    )


def _refused(before: AgentStatus, after: AgentStatus) -> Happening | None:
    answer = after.last_request
    if answer is None or answer == before.last_request or answer.result != "Refused":
        return None
    return Happening(EventReason.REQUEST_REFUSED, answer.message, warning=True)


def _stalled(before: AgentStatus, after: AgentStatus) -> Happening | None:
    reason = stalled_for(after)
    if not reason or reason == stalled_for(before):
        return None
    found = condition.find(after.conditions, ConditionType.STALLED)
    return Happening(
        EventReason.STALLED, f"{reason}: {found.message if found else ''}", warning=True
    )


def stalled_for(status: AgentStatus) -> str:
    """Why a person must mend something; empty where nobody must."""
    found = condition.find(status.conditions, ConditionType.STALLED)
    return found.reason if found and found.status is condition.Status.TRUE else ""


def _switched(before: AgentStatus, after: AgentStatus, suspended: str) -> Happening | None:
    if before.traffic.suspended == after.traffic.suspended:
        return None
    if after.traffic.suspended:
        return Happening(EventReason.AGENT_SUSPENDED, suspended, warning=True)
    return Happening(
        EventReason.AGENT_RESUMED, "nothing suspends it any more: tasks are admitted again"
    )


def _low(before: AgentStatus, after: AgentStatus) -> list[Happening]:
    """Marks of the budget that a window has passed since; of several at once the last."""
    known = {item.window: item for item in before.budget_windows}
    return [
        _passed(item)
        for item in after.budget_windows
        if item.tells_more_than(known.get(item.window))
    ]


def _passed(item: BudgetWindow) -> Happening:
    whole = item.told_percent == spend.WHOLE
    reason = EventReason.BUDGET_SPENT if whole else EventReason.BUDGET_LOW
    return Happening(reason, item.in_words, warning=True)


def _lifted(before: AgentStatus, after: AgentStatus) -> list[Happening]:
    known = {item.request for item in before.lifts}
    return [
        Happening(EventReason.BUDGET_LIFTED, item.in_words)
        for item in after.lifts
        if item.request not in known
    ]
