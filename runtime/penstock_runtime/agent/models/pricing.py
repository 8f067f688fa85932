"""List prices of models, in whole millionths of a US dollar."""

import functools
import math
from collections.abc import Callable
from typing import Final

import genai_prices

from penstock import errors
from penstock_runtime.agent.models.model import Tokens

Price = Callable[[Tokens], int]

_PROVIDERS: Final = {"Anthropic": "anthropic"}


def list_price(provider: str, model: str) -> Price:
    """What a request of a model costs at list price; cached tokens count as fresh ones.

    Revisions are compared by this price, and a revision whose cache is still cold must not look
    dearer than one whose cache is warm. Fractions of a millionth are rounded up.

    Raises:
        InvalidResource: no price is known, and an unknown price is never taken for zero.
    """

    @functools.lru_cache(maxsize=4096)
    def price(tokens: Tokens) -> int:
        usage = genai_prices.Usage(input_tokens=tokens.input, output_tokens=tokens.output)
        found = genai_prices.calc_price(usage, model, provider_id=_PROVIDERS[provider])
        return math.ceil(found.total_price * 1_000_000)

    try:
        price(Tokens(1, 1))
    except LookupError as error:
        raise errors.InvalidResource(
            f"no price is known for model {model!r}, so its cost limit cannot be kept: "
            "check spec.template.model.name"
        ) from error
    return price
