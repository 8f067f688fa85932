"""List prices come from the price list, and an unknown price is never zero."""

import pytest

from penstock import errors
from penstock_runtime.agent.models import pricing
from penstock_runtime.agent.models.model import Tokens


def test_a_call_costs_its_tokens_at_list_price():
    price = pricing.list_price("Anthropic", "claude-sonnet-5-5")
    assert price(Tokens(1_000_000, 0)) == 2_000_000
    assert price(Tokens(0, 1_000_000)) == 10_000_000
    assert price(Tokens(1, 0)) == 2
    assert price(Tokens()) == 0


def test_a_fraction_of_a_millionth_is_rounded_up():
    assert pricing.list_price("Anthropic", "claude-haiku-5-5")(Tokens(1, 0)) == 1


def test_a_model_without_a_price_is_refused_by_name():
    with pytest.raises(errors.InvalidResource, match="claude-nope-1"):
        pricing.list_price("Anthropic", "claude-nope-1")
