"""What a worker keeps of what an Agent declares: one number, which each says with its heartbeat.

Two releases run side by side for weeks, where an Agent keeps an image of its own. An older worker
passes over a field that it does not know; with the number it is told instead of found out.
"""

from dataclasses import dataclass
from typing import Final

from penstock.api.agent import AgentTemplate
from penstock.api.analysis import Analysis
from penstock.api.oversight import ApprovalMode, Remember
from penstock.money.ledger import MIN_REPLY_TOKENS, Budget, OnExceeded

#: What workers of this release keep. 1: those that say no number, of the releases before there was one.
SPOKEN: Final = 5
SILENT: Final = 1
COMPENSATES: Final = 5  # from this number on workers make compensations
PREVIEWS: Final = 5  # from this number on they keep previews apart
BUDGETS: Final = "spec.budgets"
ANALYSIS: Final = "spec.analysis"
SHADOW: Final = "spec.strategy.shadow"
_HOLDS_MS: Final = 60_000  # it is said with each heartbeat


@dataclass(frozen=True)
class Spoken:
    """The number a revision's workers said last, and when: ms since 1970, Redis time."""

    number: int
    at_ms: int

    def holds(self, now_ms: int) -> bool:
        """Whether workers still say it."""
        return now_ms - self.at_ms < _HOLDS_MS


@dataclass(frozen=True)
class Need:
    """The least number that keeps a template, and the field that asks for it; "" where none does."""

    number: int = SILENT
    field: str = ""


def need(
    template: AgentTemplate,
    budget: Budget | None = None,
    *,
    restricted: bool = False,
    analysis: Analysis | None = None,
    shadowed: bool = False,
) -> Need:
    """What workers of a template must keep. A new field that they must not pass over adds a line.

    Args:
        template: of their revision.
        budget: of the Agent, which all its revisions share.
        restricted: whether the Agent has restrictions.
        analysis: of its AgentRollout, where the revision may be the canary.
        shadowed: whether that makes copies of stable's tasks for the canary: both sides' workers do.
    """
    model = template.model
    shared, trial = budget or Budget(), analysis or Analysis()
    needs = (
        Need(2, BUDGETS) if budget else Need(),
        Need(2, "spec.template.model.fallbacks") if model.fallbacks else Need(),
        Need(2, "spec.template.model.price") if model.price else Need(),
        Need(3, f"{BUDGETS}.minReplyTokens")
        if shared.min_reply_tokens != MIN_REPLY_TOKENS
        else Need(),
        Need(3, f"{BUDGETS}.onExceeded") if shared.on_exceeded is not OnExceeded.REJECT else Need(),
        Need(3, "spec.template.limits.contextTokens") if template.limits.context_tokens else Need(),
        Need(3, "spec.template.tiers") if template.tiers else Need(),
        Need(3, "spec.template.messages") if template.messages else Need(),
        Need(3, "spec.restrictions") if restricted else Need(),
        Need(3, "spec.template.oversight") if template.oversight else Need(),
        Need(3, "spec.template.tools[].approval") if _asks(template) else Need(),
        Need(3, "spec.template.tools[].amountFrom")
        if any(tool.amount_from for tool in template.tools)
        else Need(),
        Need(5, "spec.template.tools[].compensate")
        if any(tool.compensate for tool in template.tools)
        else Need(),
        Need(3, f"{ANALYSIS}.canarySpendCapUSD") if trial.canary_spend_cap_usd else Need(),
        Need(4, f"{ANALYSIS}.harm") if trial.harm else Need(),
        Need(5, "spec.template.tools[].approval.rules[].signIn")
        if any(
            rule.sign_in for tool in template.tools if tool.approval for rule in tool.approval.rules
        )
        else Need(),
        Need(5, "spec.template.oversight.rules[].signIn")
        if template.oversight and any(rule.sign_in for rule in template.oversight.rules)
        else Need(),
        Need(5, "spec.template.tools[].approval.rules[].remember")
        if any(
            rule.remember is Remember.SESSION
            for tool in template.tools
            if tool.approval
            for rule in tool.approval.rules
        )
        else Need(),
        Need(5, "spec.template.oversight.rules[].remember")
        if template.oversight
        and any(rule.remember is Remember.SESSION for rule in template.oversight.rules)
        else Need(),
        Need(5, SHADOW) if shadowed else Need(),
        Need(3, f"{ANALYSIS}.canaryBudgetPercent") if trial.canary_budget_percent else Need(),
    )
    return max(needs, key=lambda one: one.number)


def _asks(template: AgentTemplate) -> bool:
    """Whether calls of a tool may wait for a person."""
    return any(tool.approval_mode is not ApprovalMode.NONE for tool in template.tools)
