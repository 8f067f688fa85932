"""A model that is asked for no more than the call may use, each attempt anew."""

from dataclasses import replace

from penstock.money import bound
from penstock.money.ledger import NOTHING, Amount, Cut, Reserved
from penstock.money.prices import Tokens
from penstock_runtime import instrumentation
from penstock_runtime.agent.models.model import (
    Ledger,
    Model,
    ModelFailed,
    Purse,
    Reply,
    Request,
    Unaffordable,
    Wrapper,
)
from penstock_runtime.agent.models.pricing import Pricing


class Afforded(Wrapper):
    """Bounds each attempt by what those before it have left, and reserves that of budgets.

    It counts by the prices of its moment: they may have changed since the call began.
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
        rates = self._pricing.rates(request.context.day())
        purse = request.purse.now(rates, self._pricing.overhead)
        found = purse.afford(request.bill.charge)
        if isinstance(found, bound.Short):
            raise Unaffordable(found)
        answer, found = await self._reserved(replace(request, purse=purse), purse, found)
        by = bound.excess(answer.tokens, answer.charge.cost_micro_usd, found)
        if answer.counted and by:
            self._meter.bound_exceeded()
            self._pricing.raise_overhead(by)
        return replace(answer, afforded=found)

    async def _reserved(
        self, request: Request, purse: Purse, found: bound.Affordable
    ) -> tuple[Reply, bound.Affordable]:
        """Ask for what budgets have room for, where there are any; and for what was asked."""
        ledger = request.ledger
        reserved = await ledger.reserve(purse.quote(found)) if ledger else None
        if ledger is None or reserved is None:
            return await self._model.reply(_of_length(request, found)), found
        found = _shortened(purse, found, reserved)
        return await self._settled(_of_length(request, found), reserved, ledger), found

    async def _settled(self, request: Request, reserved: Reserved, ledger: Ledger) -> Reply:
        """Ask, and settle the attempt by its bill.

        One that was cut is not settled: whether the vendor bills the whole of it nobody says.
        """
        try:
            answer = await self._model.reply(request)
        except ModelFailed as failure:
            if failure.tokens == Tokens():
                ledger.settle(reserved, NOTHING)
            raise
        if answer.counted:
            tokens, cost = answer.tokens, answer.charge.cost_micro_usd
            ledger.settle(reserved, Amount(tokens.input + tokens.output, cost))
        return answer


def _of_length(request: Request, found: bound.Affordable) -> Request:
    return replace(request, max_tokens=found.reply_tokens)


def _shortened(purse: Purse, found: bound.Affordable, reserved: Reserved) -> bound.Affordable:
    """The attempt as budgets have room for it."""
    if reserved.reply_tokens >= found.reply_tokens:
        return found
    by = found.reply_tokens - reserved.reply_tokens
    most = replace(found.most, output=found.most.output - by)
    price = purse.rates.most(most)
    cut_by = Cut(reserved.cut_by, reserved.on_exceeded) if reserved.cut_by else None
    return bound.Affordable(reserved.reply_tokens, most, price, cut_by)
