"""List prices as the package genai-prices writes them: read by the names of their fields.

The package itself belongs to those who look a model up; here nothing of it is imported.
"""

from decimal import Decimal
from typing import Any, Final

from penstock.money.prices import Day, Price, Rate, Rates

#: What the price list calls each provider.
PROVIDERS: Final = {"Anthropic": "anthropic"}


def price(prices: Any) -> Price:
    """The price of a model.

    Args:
        prices: its rates, or a list of rates with the condition from which they hold.

    Raises:
        NotImplementedError: it is written in a way that is not understood here.
    """
    if not isinstance(prices, list):
        return Price(((None, _rates(prices)),))
    return Price(tuple((_since(one.constraint), _rates(one.prices)) for one in prices))


def _since(constraint: Any) -> Day | None:
    if constraint is None:
        return None
    since = getattr(constraint, "start_date", None)
    if isinstance(since, Day):
        return since
    raise NotImplementedError(f"a price with {constraint!r}")


def _rates(prices: Any) -> Rates:
    fresh = prices.input_mtok
    writes = prices.cache_write_mtok or fresh
    return Rates(
        _rate(fresh),
        _rate(prices.output_mtok),
        _rate(prices.cache_read_mtok or fresh),
        _rate(writes),
        _rate(prices.cache_write_1h_mtok or writes),
    )


def _rate(written: Any) -> Rate:
    if isinstance(written, Decimal):
        return Rate(written)
    tiers = getattr(written, "tiers", None)
    if tiers is None:
        raise NotImplementedError(f"a price that is {written!r}")
    return Rate(written.base, tuple((tier.start, tier.price) for tier in tiers))
