"""What a model's tokens cost: rates, the dates from which they hold, and the table of an installation.

A rate is in US dollars per million tokens, which is millionths of a dollar (micro-USD) per token.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from penstock.money.pool import PerMinute

#: A day in UTC.
Day: TypeAlias = date


def usd(micro_usd: int) -> str:
    """Millionths of a US dollar as callers see them: a decimal string in dollars."""
    return f"{micro_usd / 1_000_000:.6f}"


@dataclass(frozen=True)
class Tokens:
    """What one request used. ``input`` includes cached tokens, ``output`` includes thinking.

    Of the input, ``cache_read`` were found in the vendor's cache, ``cache_write`` were put there
    for some minutes, and ``cache_write_long`` for an hour.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_long: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.cache_write_long + other.cache_write_long,
        )

    @property
    def fresh(self) -> int:
        """Tokens of the input that have to do with no cache."""
        return max(0, self.input - self.cache_read - self.cache_write - self.cache_write_long)


@dataclass(frozen=True)
class Rate:
    """Micro-USD per token. A tier (start, rate) holds for all of a call with more input than start.

    Tiers are in rising order of their start.
    """

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def of_call(self, input_tokens: int) -> Decimal:
        """The rate of a call with so many input tokens."""
        if not self.tiers:
            return self.base
        passed = [rate for start, rate in self.tiers if input_tokens > start]
        return passed[-1] if passed else self.base

    def at_any_length(self) -> "Rate":
        """The dearest rate of any call, without tiers."""
        return Rate(max([self.base, *(rate for _, rate in self.tiers)]))

    def highest(self, input_tokens: int) -> Decimal:
        """The dearest rate of any call with at most so many input tokens."""
        if not self.tiers:
            return self.base
        return max([self.base, *(rate for start, rate in self.tiers if input_tokens > start)])


@dataclass(frozen=True)
class Rates:
    """The rates of one model on one day."""

    input: Rate
    output: Rate
    cache_read: Rate
    cache_write: Rate
    cache_write_long: Rate

    def cost(self, tokens: Tokens) -> int:
        """What a call costs in whole micro-USD, cached input at its own rates, rounded up."""
        parts = (
            (self.input, tokens.fresh),
            (self.output, tokens.output),
            (self.cache_read, tokens.cache_read),
            (self.cache_write, tokens.cache_write),
            (self.cache_write_long, tokens.cache_write_long),
        )
        return math.ceil(sum(rate.of_call(tokens.input) * count for rate, count in parts if count))

    def list_price(self, tokens: Tokens) -> int:
        """What a call would cost in whole micro-USD without a cache, rounded up.

        Revisions are shown at this price: one whose cache is still cold must not look dearer
        than one whose cache is warm.
        """
        return self.cost(Tokens(tokens.input, tokens.output))

    def most(self, tokens: Tokens) -> int:
        """An upper bound of ``cost``, in micro-USD, of a call with at most so many tokens."""
        return math.ceil(self.exactly(tokens))

    def exactly(self, tokens: Tokens) -> Decimal:
        """The same before it is rounded up.

        Each token is taken at the dearest rate that can apply to it: input may be put into the
        vendor's cache for some minutes, never for an hour, which nobody here asks for.
        """
        dearest = max(
            self.input.highest(tokens.input),
            self.cache_read.highest(tokens.input),
            self.cache_write.highest(tokens.input),
        )
        return dearest * tokens.input + self.output.highest(tokens.input) * tokens.output

    def at_any_length(self) -> "Rates":
        """The dearest rates of any call, however long."""
        return Rates(
            self.input.at_any_length(),
            self.output.at_any_length(),
            self.cache_read.at_any_length(),
            self.cache_write.at_any_length(),
            self.cache_write_long.at_any_length(),
        )


@dataclass(frozen=True)
class Price:
    """The rates of one model by the day from which they hold; None: since ever.

    Of those that hold on a day the last one counts; where none does yet, the first one.
    """

    dated: tuple[tuple[Day | None, Rates], ...]

    def holds(self, day: Day) -> bool:
        """Whether any of its rates holds on a day; before the first of their days none does."""
        return any(since is None or since <= day for since, _ in self.dated)

    def rates(self, day: Day) -> Rates:
        """The rates that hold on a day."""
        return self._on(day)[1]

    def since(self, day: Day) -> Day | None:
        """From which day the rates hold that hold on a day; None: since ever."""
        return self._on(day)[0]

    def _on(self, day: Day) -> tuple[Day | None, Rates]:
        held = [one for one in self.dated if one[0] is None or one[0] <= day]
        return held[-1] if held else self.dated[0]


def flat(inputs: str, outputs: str, cached_inputs: str | None = None) -> Price:
    """A price without dates and tiers, from decimal strings in USD per million tokens.

    Args:
        inputs: the rate of the input, and of what is written into a cache.
        outputs: the rate of the output.
        cached_inputs: the rate of what is read from a cache; None: that of the input.
    """
    fresh = Rate(Decimal(inputs))
    cached = fresh if cached_inputs is None else Rate(Decimal(cached_inputs))
    return Price(((None, Rates(fresh, Rate(Decimal(outputs)), cached, fresh, fresh)),))


@dataclass(frozen=True)
class Overhead:
    """Tokens that a vendor bills besides the text it was sent: framing, and a prompt for tools.

    ``reply``: so many a reply was seen to have beyond the most it was asked for.
    """

    call: int = 1000
    message: int = 16
    tool: int = 64
    reply: int = 0

    def __add__(self, other: "Overhead") -> "Overhead":
        return Overhead(
            self.call + other.call,
            self.message + other.message,
            self.tool + other.tool,
            self.reply + other.reply,
        )


# ------------------------------------------------------------------------------- the price table

_USD: Final = Field(max_length=17, pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")
_Amount: TypeAlias = Annotated[str, _USD]
_Count: TypeAlias = Annotated[int, Field(ge=0, le=10_000_000)]
_PerMinute: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000_000)]
MOST_MODELS: Final = 500


class _Written(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        strict=True,
    )


class _Amounts(_Written):
    """What a million tokens cost. What is absent of the cache costs what the input does."""

    input: Annotated[_Amount, Field(alias="inputPerMTok")]
    output: Annotated[_Amount, Field(alias="outputPerMTok")]
    cache_read: Annotated[_Amount | None, Field(alias="cachedInputPerMTok")] = None
    cache_write: Annotated[_Amount | None, Field(alias="cacheWritePerMTok")] = None


class _Tier(_Amounts):
    above_input_tokens: _Count


class _Dated(_Amounts):
    since: Annotated[date | None, Field(alias="from", strict=False)] = None
    tiers: Annotated[list[_Tier], Field(max_length=8)] = []


class _Overhead(_Written):
    call: _Count = Overhead.call
    message: _Count = Overhead.message
    tool: _Count = Overhead.tool


class _Limits(_Written):
    requests_per_minute: _PerMinute | None = None
    input_tokens_per_minute: _PerMinute | None = None
    output_tokens_per_minute: _PerMinute | None = None


class _Model(_Written):
    prices: Annotated[list[_Dated], Field(max_length=32)] = []
    overhead_tokens: _Overhead | None = None
    rate_limits: _Limits | None = None


class _Table(_Written):
    models: Annotated[dict[str, _Model], Field(max_length=MOST_MODELS)]


@dataclass(frozen=True)
class Entry:
    """What a table says of a model; None where it leaves that to others."""

    price: Price | None = None
    overhead: Overhead | None = None
    limits: PerMinute | None = None


@dataclass(frozen=True)
class Table:
    """An installation's own prices, by the name of a model, or by what names begin with ("…*")."""

    entries: Mapping[str, Entry]

    def entry(self, model: str) -> Entry:
        """What it says of a model: by its very name, else by the longest beginning of it.

        Price, overhead and limits are looked for each for itself: an entry that has one hides no other.
        """
        name = model.lower()
        begun = [key for key in self.entries if key.endswith("*") and name.startswith(key[:-1])]
        nearest = [name, *sorted(begun, key=len, reverse=True)]
        found = [self.entries[key] for key in nearest if key in self.entries]
        return Entry(
            next((one.price for one in found if one.price), None),
            next((one.overhead for one in found if one.overhead), None),
            next((one.limits for one in found if one.limits), None),
        )


EMPTY: Final = Table({})


def read_table(text: str) -> Table:
    """A table from the JSON in which the chart writes it; no text is no table.

    Raises:
        ValueError: it is none; the words name the first thing that is wrong.
    """
    if not text.strip():
        return EMPTY
    try:
        written = _Table.model_validate({"models": json.loads(text)})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        raise ValueError(f"prices.{place}: {first['msg']}") from None
    except RecursionError:
        raise ValueError("prices: it is nested too deep") from None
    return Table({name.lower(): _entry(model) for name, model in written.models.items()})


def _entry(model: _Model) -> Entry:
    dated = sorted(model.prices, key=lambda one: one.since or date.min)  # of one day, the later
    price = Price(tuple((one.since, _rates(one)) for one in dated)) if dated else None
    own = model.overhead_tokens
    overhead = Overhead(own.call, own.message, own.tool) if own else None
    return Entry(price, overhead, _limits(model.rate_limits))


def _limits(written: _Limits | None) -> PerMinute | None:
    if written is None:
        return None
    return PerMinute(
        written.requests_per_minute,
        written.input_tokens_per_minute,
        written.output_tokens_per_minute,
    )


def _rates(written: _Dated) -> Rates:
    tiers = sorted(written.tiers, key=lambda tier: tier.above_input_tokens)

    def rate(of: str) -> Rate:
        steps = tuple((tier.above_input_tokens, _amount(tier, of)) for tier in tiers)
        return Rate(_amount(written, of), steps)

    writes = rate("cache_write")
    return Rates(rate("input"), rate("output"), rate("cache_read"), writes, writes)


def _amount(amounts: _Amounts, of: str) -> Decimal:
    return Decimal(getattr(amounts, of) or amounts.input)
