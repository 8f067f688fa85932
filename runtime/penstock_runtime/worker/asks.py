"""Whom the tasks of a revision ask, as its workers tell it: for people alone, nothing is decided by it."""

from collections.abc import Mapping, Sequence

from penstock.api import addresses
from penstock.api.agent import AgentTemplate
from penstock.money import asked
from penstock.money.asked import FALLBACK, PRIMARY, TIER, AskedModel
from penstock.money.prices import Day
from penstock_runtime.worker.endpoints import Endpoint
from penstock_store import keys


def written(
    template: AgentTemplate, own: Sequence[Endpoint], cheaper: Mapping[str, Endpoint], day: Day
) -> str:
    """The models of a revision as ``penstock.money.asked`` writes them, at the prices of a day.

    Args:
        template: of the revision.
        own: the model and those that stand in for it, in order.
        cheaper: those of tiers with another model, by its name.
    """
    uses = [(one, f"{FALLBACK} {number}") for number, one in enumerate(own[1:], start=1)]
    tiers = [(cheaper.get(tier.model, own[0]), f"{TIER} {tier.name}") for tier in template.tiers]
    found: dict[tuple[str, str, str], AskedModel] = {}
    for endpoint, use in [(own[0], PRIMARY), *uses, *tiers]:
        one = _asked(endpoint, use, day)
        key = (one.mark, one.model, one.account)
        before = found.get(key, one)
        found[key] = AskedModel(**{**vars(before), "uses": (*dict.fromkeys((*before.uses, use)),)})
    return asked.written(found.values())


def _asked(endpoint: Endpoint, use: str, day: Day) -> AskedModel:
    declared = endpoint.declared
    return AskedModel(
        declared.provider.value,
        addresses.shown(endpoint.address),
        declared.name,
        (use,),
        endpoint.model.account,
        endpoint.prices.per_minute,
        endpoint.prices.told(day),
        keys.endpoint_mark(endpoint.address, declared.name),
    )
