"""Lifts of a budget: what a person asks for by `penstock.dev/request: budget-lift/…`, handled once.

The status of the Agent keeps them until their windows end. From there the ledger is told, so neither
another operator nor a Redis that has forgotten changes what is in force.
"""

from typing import Final

from penstock import names
from penstock.api import budgets as fields
from penstock.api import condition
from penstock.api.agent_status import Asked, BudgetLift
from penstock.api.budgets import Budgets
from penstock.money import lifts, spend
from penstock.money.ledger import Lift
from penstock.money.lifts import Wanted
from penstock_operator.cluster.kinds import annotations_of
from penstock_operator.reconcile import asked
from penstock_operator.reconcile.world import World

_MOST: Final = 16
_NAME: Final = 256


def in_force(world: World) -> list[BudgetLift]:
    """The lifts whose windows have not ended, with the one that is asked for."""
    kept = _kept(world)
    new = _read(world, kept)
    return [*kept, new] if isinstance(new, BudgetLift) else kept


def _kept(world: World) -> list[BudgetLift]:
    return [item for item in world.status.lifts if item.ends_at > condition.timestamp(world.now)]


def answer(world: World) -> Asked | None:
    """The answer to a lift that is asked for; None where none is, or it cannot be answered yet."""
    match _read(world, _kept(world)):
        case BudgetLift() as lift:
            return asked.answer(world, lift.in_words, accepted=True)
        case str() as why:
            return asked.answer(world, why, accepted=False)
    return None


def for_ledger(world: World) -> tuple[Lift, ...]:
    """The lifts as the ledger is told of them."""
    return tuple(lift for item in in_force(world) if (lift := _lift(item)))


def _lift(item: BudgetLift) -> Lift | None:
    """None where another hand has written what says nothing."""
    wanted = lifts.parse(item.request)
    begins_ms, at_ms = _ms(item.begins_at), _ms(item.at)
    if wanted is None or not begins_ms:
        return None
    limit = (wanted.scope, wanted.window, wanted.unit)
    return Lift(*limit, wanted.more, begins_ms=begins_ms, by=item.by, at_ms=at_ms)


def _ms(text: str) -> int:
    """A moment of a status in ms since 1970; 0 where it is none."""
    try:
        return int(condition.moment(text).timestamp() * 1000)
    except ValueError:
        return 0


def _read(world: World, kept: list[BudgetLift]) -> BudgetLift | str | None:
    """What is asked: a lift, or in one sentence why it is refused; None when none is asked for.

    It waits while Redis is away, whose clock says which window this is. What an Agent was made with
    is refused even then: nobody has been asked whether its author may lift a budget.
    """
    value = asked.open_request(world)
    if not lifts.is_one(value):
        return None
    if not world.status.observed_generation:
        return "it was there before the status was: send it again with another NONCE"
    if world.look is None or world.spec is None:
        return None
    wanted = lifts.parse(value)
    if wanted is None:
        return lifts.FORM
    if any(item.request == value for item in kept):
        return "it is in force already: lift again with another NONCE"
    if why := _unlimited(world.spec.budgets, wanted):
        return why
    if len(kept) >= _MOST:
        return f"{_MOST} lifts are in force: change spec.budgets instead"
    begins, ends = lifts.bounds(wanted.window, world.now)
    return BudgetLift(
        request=value,
        amount=spend.amount(wanted.unit, wanted.more),
        of=lifts.name(wanted),
        by=annotations_of(world.agent).get(names.ANNOTATION_REQUESTED_BY, "")[:_NAME],
        at=condition.timestamp(world.now),
        begins_at=condition.timestamp(begins),
        ends_at=condition.timestamp(ends),
    )


def _unlimited(declared: Budgets | None, wanted: Wanted) -> str:
    """Why there is nothing to lift; empty where there is."""
    budget = fields.budget_of(declared)
    limits = budget.limits if budget else ()
    if any(wanted.is_of(limit) for limit in limits):
        return ""
    there = [f"{lifts.name(one)} {spend.amount(one.unit, one.most)}" for one in limits]
    asked_for = f"{lifts.name(wanted)} in {'tokens' if wanted.unit == 'tokens' else 'USD'}"
    return f"spec.budgets has no limit {asked_for}; it has: {', '.join(there) or 'none'}"
