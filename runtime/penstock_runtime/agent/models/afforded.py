"""A model that is asked for no more than the call may use, each attempt anew."""

from dataclasses import replace

from penstock.money import bound
from penstock_runtime import instrumentation
from penstock_runtime.agent.models.model import Model, Reply, Request, Unaffordable, Wrapper
from penstock_runtime.agent.models.pricing import Pricing


class Afforded(Wrapper):
    """Bounds each attempt by what those before it have left.

    A bill above its bound is paid as it is and counted; from then on the bound is wider.
    """

    def __init__(self, model: Model, pricing: Pricing, meter: instrumentation.Meter) -> None:
        super().__init__(model)
        self._pricing = pricing
        self._meter = meter

    async def reply(self, request: Request) -> Reply:
        """Ask for as long a reply as can be paid. See ``Model.reply``."""
        if request.purse is None:
            return await self._model.reply(request)
        found = request.purse.afford(request.bill.charge)
        if isinstance(found, bound.Short):
            raise Unaffordable(found)
        answer = await self._model.reply(replace(request, max_tokens=found.reply_tokens))
        by = bound.excess(answer.tokens, found.most)
        if answer.counted_by and by:
            self._meter.bound_exceeded()
            self._pricing.raise_overhead(by)
        return replace(answer, afforded=found)
