"""Names that an Agent or its AgentRollout mentions in vain, as they are told while it is served."""

from collections.abc import Iterator
from typing import Final

from penstock.api import mentions
from penstock.api.restrictions import NO_RESTRICTIONS
from penstock.traffic import Standing
from penstock_operator.reconcile.access import Word
from penstock_operator.reconcile.stock import Stock
from penstock_operator.reconcile.workforce import Crew
from penstock_operator.reconcile.world import World

_MOST_TOLD: Final = 4


def unknown(world: World, stock: Stock, crews: tuple[Crew, ...]) -> Word:
    """Whether something is mentioned that nothing has, and what; each with what there is."""
    told = [*_told(world, stock, crews)]
    more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return bool(told), "Unmatched", "; ".join(told[:_MOST_TOLD]) + more


def _told(world: World, stock: Stock, crews: tuple[Crew, ...]) -> Iterator[str]:
    served = [crew.known.cut for crew in crews if crew.standing is not Standing.CLOSED]
    latest = stock.get(stock.latest)
    if latest and latest.cut not in served:
        served.append(latest.cut)
    by = (world.spec and world.spec.restrictions) or NO_RESTRICTIONS
    yield from mentions.of_restrictions(by, [cut.template for cut in served])
    if latest is None:
        return
    yield from mentions.of_template(latest.cut.template)
    harm = world.rollout.spec.analysis.harm if world.rollout else None
    if told := mentions.of_harm(harm, latest.cut.template):
        yield told
