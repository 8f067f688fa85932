"""A model's name is judged when a revision is cut as the worker's price table judges it later."""

from __future__ import annotations

import pytest

from penstock.api import agent as api
from penstock.api import validation
from penstock.errors import InvalidResource
from penstock.money import prices
from penstock_runtime.agent.models import pricing

NAMES = [
    "claude-haiku-5-5",
    "Claude-Sonnet-5-5",
    "claude-sonnet-5-5-20260101",
    "claude-sonnet-5-5@20260101",
    "claude-opus-4-5-latest",
    "claude-3-7-sonnet-20250219",
    "claude-2.1",
    "claude-sonnet-55",
    "claude-haiku",
    "claude-nope-9",
    "gpt-5",
    "sonnet",
    "claude-fable-5-1-preview",
    "x" * 128,
]


def problem(name, own=prices.EMPTY, **template):
    model = {"name": name} | template.pop("model", {})
    declared = {"instructions": "Hi.", "model": model, **template}
    return validation.template_problem(declared, own_prices=own)


def priced(name):
    try:
        pricing.Book(api.Model(name=name))
    except InvalidResource:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_known_exactly_where_it_has_a_price(name):
    found = problem(name)
    assert (found is None) == priced(name)
    assert found is None or found.reason.value == "UnknownModel"


@pytest.mark.parametrize(
    ("name", "near"),
    [("claude-sonet-5-5", "claude-sonnet-5-5"), ("haiku-5-5", "claude-haiku-5-5")],
)
def test_the_nearest_name_is_told(name, near):
    found = problem(name)
    assert found is not None
    assert f"nearest name is {near}:" in found.message
    for way_out in ("model.name", "model.price", "prices of the chart"):
        assert way_out in found.message


@pytest.mark.parametrize("name", NAMES)
def test_behind_an_endpoint_of_ones_own_the_same_names_have_a_price(name):
    found = problem(name, model={"baseURL": "http://vllm:8000"})
    assert (found is None) == priced(name)


def test_a_name_of_another_endpoint_is_told_with_what_to_declare():
    found = problem("team-sonnet", model={"baseURL": "http://vllm:8000"})
    assert found is not None
    assert found.reason.value == "UnknownModel"
    for words in ('"team-sonnet"', "list price is claude-", "spec.template.model.price", "chart"):
        assert words in found.message


def test_a_model_with_a_price_of_its_own_is_known():
    price = {"inputPerMTok": "1", "outputPerMTok": "2"}
    assert problem("team-sonnet", model={"price": price}) is None


def test_a_model_that_the_installation_prices_is_known_and_one_it_prices_not_is_not():
    priced = '{"team-*": {"prices": [{"inputPerMTok": "1", "outputPerMTok": "2"}]}}'
    assert problem("team-sonnet", prices.read_table(priced)) is None
    assert problem("group-sonnet", prices.read_table(priced)) is not None
    assert problem("team-sonnet", prices.read_table('{"team-*": {}}')) is not None


@pytest.mark.parametrize("model", [{}, {"baseURL": "http://vllm:8000"}], ids=["vendor", "another"])
def test_an_image_of_ones_own_may_know_more(model):
    assert problem("team-sonnet", model=model, worker={"image": "own/worker:3"}) is None


def test_a_fallback_needs_a_price_as_the_model_does():
    entries = [{"name": "claude-haiku-5-5"}, {"name": "claude-nope-9"}]
    found = problem("claude-sonnet-5-5", model={"fallbacks": entries})
    assert found is not None
    assert found.reason.value == "UnknownModel"
    assert "spec.template.model.fallbacks[1].name" in found.message
    entries[1]["price"] = {"inputPerMTok": "1", "outputPerMTok": "1"}
    assert problem("claude-sonnet-5-5", model={"fallbacks": entries}) is None


def test_a_tiers_model_needs_a_price_too():
    tiers = [{"name": "a", "model": "claude-haiku-5-5"}, {"name": "b", "model": "team-haiku"}]
    found = problem("claude-sonnet-5-5", tiers=tiers)
    assert found.reason.value == "UnknownModel"
    assert 'model "team-haiku" of spec.template.tiers[1]' in found.message
    table = prices.Table({"team-haiku": prices.Entry(prices.flat("1", "2"))})
    assert problem("claude-sonnet-5-5", own=table, tiers=tiers) is None
    own = {"price": {"inputPerMTok": "1", "outputPerMTok": "2"}}
    same = [{"name": "short", "model": "team-large", "maxTokens": 100}]
    assert problem("team-large", model=own, tiers=same) is None
    assert problem("team-large", model=own, tiers=tiers).message.count("team-haiku")


def test_a_tiers_model_has_no_space_in_its_name():
    found = problem("claude-sonnet-5-5", tiers=[{"name": "a", "model": "claude haiku"}])
    assert (found.reason.value, "spec.template.tiers[0].model" in found.message) == (
        "Invalid",
        True,
    )
