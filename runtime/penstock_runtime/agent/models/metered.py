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
    Wrapper,
)
from penstock_runtime.agent.models.pricing import Pricing


class Metered(Wrapper):
    """Counts each request and books what it cost, however it ends: an answer, a failure, a cut.

    One that is bounded costs what the rates say by which it is: no price comes between the two.

    Args:
        label: of the model at its address (``keys.endpoint_label``), by which a task says what it cost; empty: it
            does not.
    """

    def __init__(
        self, model: Model, pricing: Pricing, meter: instrumentation.Meter, label: str = ""
    ) -> None:
        super().__init__(model)
        self._pricing = pricing
        self._meter = meter
        self._label = label

    async def reply(self, request: Request) -> Reply:
        """Ask, and say in the reply what it cost. See ``Model.reply``."""
        own = replace(request, bill=Bill())
        started = request.context.seconds()
        bounded = request.purse
        rates = bounded.rates if bounded else self._pricing.rates(request.context.day())
        outcome, charge = instrumentation.CANCELLED, Charge(attempts=1)
        try:
            answer = await self._model.reply(own)
            outcome, charge = instrumentation.ANSWERED, Charge.of(answer.tokens, rates)
        except ModelFailed as failure:
            outcome, charge = failure.kind.value, Charge.of(failure.tokens, rates)
            raise
        except asyncio.CancelledError:
            charge = Charge.of(own.bill.charge.tokens, rates)
            raise
        finally:
            request.bill.book(charge, self._label)
            self._meter.model_called(outcome, request.context.seconds() - started)
            self._meter.model_charged(charge.tokens, charge.cost_micro_usd)
        return replace(answer, charge=charge)
