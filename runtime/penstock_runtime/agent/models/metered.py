"""A model whose requests are timed, counted and paid for."""

import asyncio
from dataclasses import replace

from penstock_runtime import instrumentation
from penstock_runtime.agent.models.model import (
    Bill,
    Charge,
    Model,
    ModelFailed,
    Reply,
    Request,
    Tokens,
    Wrapper,
)
from penstock_runtime.agent.models.pricing import Price


class Metered(Wrapper):
    """Counts each request and books what it cost, however it ends: an answer, a failure, a cut."""

    def __init__(self, model: Model, price: Price, meter: instrumentation.Meter) -> None:
        super().__init__(model)
        self._price = price
        self._meter = meter

    async def reply(self, request: Request) -> Reply:
        """Ask, and say in the reply what it cost. See ``Model.reply``."""
        own = replace(request, bill=Bill())
        started = request.context.seconds()
        outcome, charge = instrumentation.CANCELLED, Charge(attempts=1)
        try:
            answer = await self._model.reply(own)
            outcome, charge = instrumentation.ANSWERED, self._charge(answer.tokens)
        except ModelFailed as failure:
            outcome, charge = failure.kind.value, self._charge(failure.tokens)
            raise
        except asyncio.CancelledError:
            charge = self._charge(own.bill.charge.tokens)
            raise
        finally:
            request.bill.book(charge)
            self._meter.model_called(outcome, request.context.seconds() - started)
            tokens = charge.tokens
            self._meter.model_charged(tokens.input, tokens.output, charge.cost_micro_usd)
        return replace(answer, charge=charge)

    def _charge(self, tokens: Tokens) -> Charge:
        return Charge(tokens, self._price(tokens), attempts=1)
