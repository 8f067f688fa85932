"""Models that stand in for each other: where one does not answer, the next one is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from penstock.access import Access
from penstock.money.bound import Affordable, Resource
from penstock_runtime.agent.models.model import (
    UNASKED,
    Failure,
    Model,
    ModelFailed,
    Reply,
    Request,
    Unaffordable,
)
from penstock_runtime.agent.models.pricing import Pricing

#: What another endpoint may well answer, beside an outage: it is no fault of the request.
_ELSEWHERE: Final = (
    Failure.RATE_LIMITED,
    Failure.OVERLOADED,
    Failure.INCOMPLETE,
    Failure.GARBLED,
    *UNASKED,
)
_SHARE: Final = 0.5  # of the time that a call has left; the rest is for those that stand in
_NO_TIME_SECONDS: Final = 0.01


@dataclass(frozen=True)
class Entry:
    """A model with all its layers, what people call it, and whom to tell that it stood in."""

    name: str
    model: Model
    prices: Pricing
    stood_in: Callable[[], None] = lambda: None


class FallingBack:
    """Asks models in their order, until one answers.

    The first one is left when it is away, and all its retries are spent: not when it refuses the
    request or the credential, which is to be mended and not to be hidden. Whoever stands in is left
    after any failure. No one but the last takes more than half of the time that is left.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)

    async def reply(self, request: Request) -> Reply:
        """Ask. See ``Model.reply``; the reply's ``by`` says who answered.

        Raises:
            ModelFailed: as the first one failed; the words are of all that were asked.
        """
        failures = [request.failed] if request.failed else []
        if failures and not _asks_next(failures):
            raise self._told(failures)
        for entry in self._entries[len(failures) :]:
            last = entry is self._entries[-1]
            asked = request if last else _with_time_left(request)
            try:
                answer = await (_stand_in(entry, asked) if failures else entry.model.reply(asked))
            except ModelFailed as failure:
                failures.append(failure)
                if last or not _asks_next(failures) or request.left_seconds <= _NO_TIME_SECONDS:
                    raise self._told(failures) from failure
            else:
                if failures:
                    entry.stood_in()
                return answer
        raise AssertionError("there is nobody to ask")

    def _told(self, failures: Sequence[ModelFailed]) -> ModelFailed:
        first, *others = failures
        if not others:
            return first
        asked = zip(self._entries, failures, strict=False)
        words = "; ".join(f"{entry.name}: {failure.message}" for entry, failure in asked)
        return first.reworded(words)

    async def count_tokens(self, request: Request) -> int | None:
        """As the first one counts: who stands in counts for itself. See ``Model.count_tokens``."""
        return await self._entries[0].model.count_tokens(_with_time_left(request))

    def renew_credentials(self) -> bool:
        """Read each credential again; whether the first one's differs. See ``Model``."""
        renewed, *_ = [entry.model.renew_credentials() for entry in self._entries]
        return renewed

    async def aclose(self) -> None:
        """Close what each of them holds open."""
        for entry in self._entries:
            await entry.model.aclose()


async def _stand_in(entry: Entry, request: Request) -> Reply:
    """Ask another model than the first: its price and its count of the conversation are its own.

    Raises:
        ModelFailed: also where it may use more than is left.
    """
    try:
        return await entry.model.reply(await _with_own_purse(entry, request))
    except Unaffordable as stop:
        short = stop.short
        message = f"it can use {short.needed} of {short.resource.value}, and {short.left} are left"
        raise ModelFailed(Failure.REFUSED, message) from stop


async def _with_own_purse(entry: Entry, request: Request) -> Request:
    if request.purse is None:
        return request
    rates, overhead = entry.prices.rates(request.context.day()), entry.prices.overhead
    purse = request.purse.of_another(rates, overhead)
    match purse.afford(request.bill.charge):
        case Affordable(cut_by=None | Resource.OUTPUT_TOKENS):
            pass
        case _:  # by its bytes alone too little is left: whoever bills it knows better
            counted = await entry.model.count_tokens(request)
            purse = request.purse.of_another(rates, overhead, counted)
    return replace(request, purse=purse)


def _with_time_left(request: Request) -> Request:
    now = request.context.seconds()
    return replace(request, deadline=now + request.left_seconds * _SHARE)


def _asks_next(failures: Sequence[ModelFailed]) -> bool:
    latest = failures[-1]
    if len(failures) > 1 or latest.is_outage or latest.kind in _ELSEWHERE:
        return True
    return latest.access is Access.MODEL_NOT_FOUND
