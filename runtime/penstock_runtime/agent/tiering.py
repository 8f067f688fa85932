"""Which model a task goes on with where a budget has no room for its own."""

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Protocol, TypeVar

from penstock.api.agent import AgentTemplate
from penstock.money.ledger import OnExceeded, Refused
from penstock.money.prices import Day
from penstock_runtime.agent.models.pricing import Pricing
from penstock_runtime.agent.step import Run


class Tiered(Protocol):
    """An agent with one of its models; ``tier`` names it, "" the Agent's own."""

    @property
    def tier(self) -> str:
        """Its tier."""
        ...

    @property
    def template(self) -> AgentTemplate:
        """The template with its model."""
        ...

    @property
    def prices(self) -> Pricing:
        """What its model costs."""
        ...


_Agent = TypeVar("_Agent", bound=Tiered)


def cheaper(
    agent: Tiered, tiers: Iterable[Tiered], refused: Refused, day: Day, denied: Collection[str]
) -> str:
    """The cheapest tier, where the budget has a refused task go on with it; "" where none is cheaper."""
    if refused.on_exceeded is not OnExceeded.DEGRADE:
        return ""
    found = cheapest(agent, tiers, day, denied)
    return "" if found is agent else found.tier


def cheapest(agent: _Agent, tiers: Iterable[_Agent], day: Day, denied: Collection[str]) -> _Agent:
    """The cheapest of an agent's tiers that is not denied; itself where none is cheaper."""
    allowed = [one for one in tiers if one.template.model.name not in denied]
    return min([agent, *allowed], key=lambda one: _price(one, day))


def _price(agent: Tiered, day: Day) -> Decimal:
    """By what models are ranked: a million tokens of input and as many of output, of short calls."""
    rates = agent.prices.rates(day)
    return rates.input.base + rates.output.base


def is_degraded(run: Run, begun: Run) -> bool:
    """Whether another model than that for the task has answered it, or was to, for a budget's sake."""
    answered = run.usage.tier
    return run.tier != begun.tier or (answered not in ("", begun.tier))
