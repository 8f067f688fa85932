"""What an agent's model costs: as its Agent declares, as the installation does, else at list price."""

from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final, Protocol

import genai_prices

from penstock import errors
from penstock.api import agent as api
from penstock.money import bound, listed
from penstock.money.asked import ModelPrice, PriceSource
from penstock.money.pool import UNSAID
from penstock.money.prices import (
    EMPTY,
    Day,
    Overhead,
    Price,
    Rates,
    Table,
    flat,
    read_table,
)

_NO_OVERHEAD: Final = Overhead(0, 0, 0)
MOST_TABLE_BYTES: Final = 1024 * 1024
_RELEASE: Final = metadata.version("genai-prices")


class Pricing(Protocol):
    """The prices of one model."""

    @property
    def overhead(self) -> Overhead:
        """What is billed at most besides the text of a request."""
        ...

    @property
    def raised(self) -> Overhead:
        """What of the overhead nobody has declared: it was seen in bills."""
        ...

    def rates(self, day: Day) -> Rates:
        """The rates that hold on a day."""
        ...

    def refresh(self) -> None:
        """Take over what the installation declares by now."""
        ...

    def raise_overhead(self, by: bound.Excess) -> None:
        """A bill was above its bound by so much: the next ones are bounded wider."""
        ...


class Fixed:
    """One price for ever."""

    def __init__(self, price: Price, overhead: Overhead | None = None) -> None:
        self._price = price
        self._declared = overhead or Overhead()
        self.raised = _NO_OVERHEAD

    @property
    def overhead(self) -> Overhead:
        """See ``Pricing.overhead``."""
        return self._declared + self.raised

    def rates(self, day: Day) -> Rates:
        """See ``Pricing.rates``."""
        return self._price.rates(day)

    def refresh(self) -> None:
        """Nothing changes."""

    def raise_overhead(self, by: bound.Excess) -> None:
        """See ``Pricing.raise_overhead``."""
        self.raised = bound.believed(bound.raised(self.raised, by), self._declared)


class Book:
    """The prices of an agent's model, of which the installation's may change while it serves.

    Where the installation's is taken away, the list price holds; where there is none, the one before
    holds until the worker ends: an unknown price is never zero. Before the first of its days the list
    price holds as well.

    Attributes:
        per_minute: how much may be asked of it, as far as the installation says.

    Raises:
        InvalidResource: nobody knows a price.
    """

    def __init__(self, model: api.Model, read: Callable[[], Table | None] = lambda: EMPTY) -> None:
        self._model = model
        self._read = read
        self._declared = _declared(model.price)
        self._listed = None if self._declared else _listed(model.provider, model.name)
        entry = (read() or EMPTY).entry(model.name)
        price = self._declared or entry.price or self._listed
        if price is None:
            raise errors.InvalidResource(
                f"no price is known for model {model.name!r}, so its cost limit cannot be kept: check "
                "spec.template.model.name, or declare spec.template.model.price"
            )
        self._price = price
        self._overhead = entry.overhead or Overhead()
        self.per_minute = entry.limits or UNSAID
        self._raised = _NO_OVERHEAD

    def refresh(self) -> None:
        """See ``Pricing.refresh``."""
        table = self._read()
        if table is None:
            return
        entry = table.entry(self._model.name)
        self._price = self._declared or entry.price or self._listed or self._price
        self._overhead = entry.overhead or Overhead()
        self.per_minute = entry.limits or UNSAID

    def rates(self, day: Day) -> Rates:
        """See ``Pricing.rates``."""
        return self._holding(day).rates(day)

    def told(self, day: Day) -> ModelPrice:
        """What holds on a day, and whose price that is, as people read it."""
        price = self._holding(day)
        rates, since = price.rates(day), price.since(day)
        told = (rates.input, rates.cache_read, rates.output)
        fresh, cached, output = (f"{rate.base.normalize():f}" for rate in told)
        source = PriceSource.INSTALLATION
        if price is self._declared:
            source = PriceSource.DECLARED
        elif price is self._listed:
            source = PriceSource.LISTED
        release = _RELEASE if source is PriceSource.LISTED else ""
        return ModelPrice(
            fresh, cached, output, source, release, since.isoformat() if since else ""
        )

    def _holding(self, day: Day) -> Price:
        if self._listed and not self._price.holds(day):
            return self._listed
        return self._price

    @property
    def overhead(self) -> Overhead:
        """See ``Pricing.overhead``."""
        return self._overhead + self._raised

    @property
    def raised(self) -> Overhead:
        """See ``Pricing.raised``."""
        return self._raised

    def raise_overhead(self, by: bound.Excess) -> None:
        """See ``Pricing.raise_overhead``. It holds until something else is ``heard``."""
        self._raised = bound.believed(bound.raised(self._raised, by), self._overhead)

    def heard(self, raised: Overhead) -> None:
        """What workers with the same credential know together of bills above their bound."""
        self._raised = bound.believed(raised, self._overhead)


class Together:
    """The prices of several models, as those of the first one; they are kept up to date together."""

    def __init__(self, models: Sequence[Pricing]) -> None:
        self._models = models

    @property
    def overhead(self) -> Overhead:
        """See ``Pricing.overhead``."""
        return self._models[0].overhead

    @property
    def raised(self) -> Overhead:
        """See ``Pricing.raised``."""
        return self._models[0].raised

    def rates(self, day: Day) -> Rates:
        """See ``Pricing.rates``."""
        return self._models[0].rates(day)

    def refresh(self) -> None:
        """See ``Pricing.refresh``."""
        for model in self._models:
            model.refresh()

    def raise_overhead(self, by: bound.Excess) -> None:
        """See ``Pricing.raise_overhead``."""
        self._models[0].raise_overhead(by)


def together(models: Sequence[Pricing]) -> Pricing:
    """What a call of the first of these models is bounded by."""
    return models[0] if len(models) == 1 else Together(models)


class TableFile:
    """The installation's prices as a mounted file, read again when it is another one.

    ``problem`` is told why it cannot be used, once for each state of the file, or at each try where it
    cannot be read at all: then what was read before holds.
    """

    def __init__(self, path: Path, problem: Callable[[str], None]) -> None:
        self._path = path
        self._problem = problem
        self._seen: tuple[int, ...] | None = None

    def __call__(self) -> Table | None:
        """The table; None where it is the one that was given last, or cannot be used."""
        try:
            found = self._path.stat()
        except OSError:
            found = None
        state = (found.st_ino, found.st_mtime_ns, found.st_size) if found else ()
        if state == self._seen:
            return None
        self._seen = state
        if found is None:
            return EMPTY
        try:
            if found.st_size > MOST_TABLE_BYTES:
                raise ValueError(f"it has more than {MOST_TABLE_BYTES} bytes")
            return read_table(self._path.read_text(encoding="utf-8"))
        except OSError as error:
            self._seen = None  # it is read again though it stays the same
            self._problem(str(error))
        except ValueError as error:
            self._problem(str(error))
        return None


def _declared(price: api.ModelPrice | None) -> Price | None:
    if price is None:
        return None
    return flat(price.input_per_m_tok, price.output_per_m_tok, price.cached_input_per_m_tok)


# ---------------------------------------------------------------------------------- list prices


def _listed(provider: api.Provider, model: str) -> Price | None:
    """The list price of a model; None where the price list has none that is understood here."""
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=1, output_tokens=1),
            model,
            provider_id=listed.PROVIDERS[provider.value],
        ).model
        return listed.price(found.prices)
    except (LookupError, NotImplementedError):
        return None
