"""Which models a revision's workers ask, as they tell it: where, as what, at which price."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from penstock.money.pool import UNSAID, PerMinute

PRIMARY: Final = "primary"
FALLBACK: Final = "fallback"  # and its number, from 1
TIER: Final = "tier"  # and its name
_MOST_TEXT: Final = 1024  # characters of a text that another hand may have written
_MOST_MODELS: Final = 64  # of a revision: several reads each, whoever wrote the list
_MOST_USES: Final = 64  # of a model
_MOST_A_MINUTE: Final = 10**12  # whoever has written more has written nonsense
_MARK: Final = re.compile(r"[0-9a-f]{1,64}", re.ASCII)


class PriceSource(StrEnum):
    """Who knows the price of a model."""

    DECLARED = "model.price"
    INSTALLATION = "prices of the chart"
    LISTED = "genai-prices"


@dataclass(frozen=True)
class ModelPrice:
    """US dollars per million tokens, as decimal strings, for a call that no tier of the price makes dearer.

    ``release`` of the price list, where it is listed. ``since``: the day (ISO) from which it holds; "":
    since ever.
    """

    input: str
    cached_input: str
    output: str
    source: PriceSource
    release: str = ""
    since: str = ""


@dataclass(frozen=True)
class AskedModel:
    """A model at an address, asked with one credential.

    Args:
        address: as it may be told (``addresses.shown``).
        uses: as what: ``primary``, ``fallback 1``, ``tier easy``.
        account: what tells its credential from others, as ``keys.pool`` takes it.
        per_minute: what the installation lets be asked of it.
        price: what it costs today; None: that is not known.
        mark: ``keys.endpoint_mark`` of the address that is asked; "" where a worker of the version before tells it.
    """

    provider: str
    address: str
    model: str
    uses: tuple[str, ...]
    account: str
    per_minute: PerMinute = UNSAID
    price: ModelPrice | None = None
    mark: str = ""


def written(found: Iterable[AskedModel]) -> str:
    """As JSON, in the order given."""
    return json.dumps([_written(one) for one in found], separators=(",", ":"))


def _written(one: AskedModel) -> dict[str, Any]:
    said = {**vars(one), "per_minute": one.per_minute.figures}
    return said | {"price": vars(one.price) if one.price else None}


def read(text: str) -> tuple[AskedModel, ...]:
    """What ``written`` wrote; what is none of it, or more than 64 models, is passed over, whoever wrote it."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    found = (_read(one) for one in said[:_MOST_MODELS]) if isinstance(said, list) else ()
    return tuple(one for one in found if one)


def _read(said: Any) -> AskedModel | None:
    try:
        provider, address, model = (_text(said[name]) for name in ("provider", "address", "model"))
        requests, read_tokens, written_tokens = (_limit(one) for one in said["per_minute"])
        return AskedModel(
            provider,
            address,
            model,
            tuple(_text(one) for one in said["uses"][:_MOST_USES]),
            _text(said["account"]),
            PerMinute(requests, read_tokens, written_tokens),
            _price(said["price"]),
            _mark(said.get("mark", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
        return None


def _price(said: Mapping[str, Any] | None) -> ModelPrice | None:
    if said is None:
        return None
    fresh, cached, output = (_text(said[name]) for name in ("input", "cached_input", "output"))
    source = PriceSource(said["source"])
    return ModelPrice(fresh, cached, output, source, _text(said["release"]), _text(said["since"]))


def _limit(said: Any) -> int | None:
    if said is None:
        return None
    number = int(said)
    if not 0 <= number <= _MOST_A_MINUTE:
        raise ValueError
    return number


def _mark(said: Any) -> str:
    if _text(said) and not _MARK.fullmatch(said):
        raise ValueError
    return str(said)


def _text(said: Any) -> str:
    if not isinstance(said, str) or len(said) > _MOST_TEXT:
        raise TypeError
    return said
