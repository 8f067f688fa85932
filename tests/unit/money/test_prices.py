"""What tokens cost: at rates, with tiers and dates, and as an installation's own table says."""

import json

import pytest

from penstock.money import prices
from penstock.money.prices import Day, Overhead, Rate, Rates, Tokens, flat

NOW = Day(2026, 6, 1)


def table(**models):
    return prices.read_table(json.dumps({name.replace("_", "-"): m for name, m in models.items()}))


def rates(**own):
    entry = {"inputPerMTok": "2", "outputPerMTok": "10", **own}
    return table(team={"prices": [entry]}).entry("team").price.rates(NOW)


def test_a_rate_per_million_tokens_is_a_millionth_of_a_dollar_per_token():
    assert rates().cost(Tokens(1_000_000, 0)) == 2_000_000
    assert rates().cost(Tokens(0, 3)) == 30
    assert rates().cost(Tokens()) == 0


def test_fractions_are_rounded_up_once_for_each_call():
    cheap = rates(inputPerMTok="0.1", outputPerMTok="0.5")
    assert cheap.cost(Tokens(1, 0)) == 1
    assert cheap.cost(Tokens(1, 1)) == 1
    assert cheap.cost(Tokens(11, 0)) == 2


def test_cached_input_is_priced_as_such_and_counts_as_fresh_at_list_price():
    own = rates(cachedInputPerMTok="0.2", cacheWritePerMTok="2.5")
    used = Tokens(1000, 0, cache_read=600, cache_write=100, cache_write_long=100)
    assert own.cost(used) == 200 * 2 + 600 * 0.2 + 200 * 2.5
    assert own.list_price(used) == 1000 * 2


def test_cached_input_without_a_price_costs_what_input_does():
    assert rates().cost(Tokens(1000, 0, cache_read=600, cache_write=400)) == 2000


def test_a_tier_holds_for_the_whole_of_a_call_beyond_its_start():
    tier = {"aboveInputTokens": 200, "inputPerMTok": "4", "outputPerMTok": "20"}
    own = rates(tiers=[tier])
    assert own.cost(Tokens(200, 10)) == 200 * 2 + 10 * 10
    assert own.cost(Tokens(201, 10)) == 201 * 4 + 10 * 20


def test_of_dated_prices_the_last_one_that_holds_counts():
    old = {"inputPerMTok": "1", "outputPerMTok": "1"}
    new = {"from": "2026-06-01", "inputPerMTok": "3", "outputPerMTok": "3"}
    price = table(team={"prices": [old, new]}).entry("team").price
    assert price.rates(Day(2026, 5, 31)).cost(Tokens(1, 0)) == 1
    assert price.rates(Day(2026, 6, 1)).cost(Tokens(1, 0)) == 3


def test_dated_prices_count_by_their_days_wherever_they_stand():
    old = {"inputPerMTok": "1", "outputPerMTok": "1"}
    new = {"from": "2026-06-01", "inputPerMTok": "3", "outputPerMTok": "3"}
    later = {"from": "2026-07-01", "inputPerMTok": "5", "outputPerMTok": "5"}
    price = table(team={"prices": [later, new, old]}).entry("team").price
    days = (Day(2026, 5, 31), Day(2026, 6, 1), Day(2026, 7, 1))
    assert [price.rates(day).cost(Tokens(1, 0)) for day in days] == [1, 3, 5]


def test_of_two_prices_from_one_day_the_last_one_counts():
    first = {"from": "2026-06-01", "inputPerMTok": "3", "outputPerMTok": "3"}
    price = table(team={"prices": [first, {**first, "inputPerMTok": "4"}]}).entry("team").price
    assert price.rates(Day(2026, 6, 1)).cost(Tokens(1, 0)) == 4


def test_before_the_first_of_dated_prices_that_one_counts():
    new = {"from": "2026-06-01", "inputPerMTok": "3", "outputPerMTok": "3"}
    price = table(team={"prices": [new]}).entry("team").price
    assert price.rates(Day(2020, 1, 1)).cost(Tokens(1, 0)) == 3


def test_the_most_a_call_costs_is_at_the_dearest_rate_that_can_apply():
    steps = Rate(prices.Decimal(4), ((100, prices.Decimal(1)), (200, prices.Decimal(2))))
    one = Rate(prices.Decimal(1))
    own = Rates(steps, one, one, Rate(prices.Decimal(5)), one)
    assert own.most(Tokens(50, 0)) == 250, "all of it may be written into the cache"
    plain = Rates(steps, one, one, one, one)
    assert plain.most(Tokens(50, 1)) == 201
    assert plain.most(Tokens(300, 0)) == 1200, "a shorter call of the first tier is the dearest"


def test_a_model_is_found_by_its_name_or_the_longest_beginning_of_it():
    def priced(rate):
        return {"prices": [{"inputPerMTok": rate, "outputPerMTok": rate}]}

    own = prices.read_table(
        json.dumps({"team-*": priced("1"), "team-big*": priced("2"), "Team-Big-7": priced("3")})
    )
    cost = {
        name: own.entry(name).price.rates(NOW).cost(Tokens(1, 0))
        for name in ("team-small", "team-big-8", "team-big-7")
    }
    assert cost == {"team-small": 1, "team-big-8": 2, "team-big-7": 3}
    assert own.entry("another") == prices.Entry()


@pytest.mark.parametrize("name", ["claude-big", "claude-b*"])
def test_an_entry_with_the_overhead_alone_hides_no_price(name):
    all_of_them = {"prices": [{"inputPerMTok": "7", "outputPerMTok": "7"}]}
    alone = {"overheadTokens": {"call": 5000}}
    own = prices.read_table(json.dumps({"claude-*": all_of_them, name: alone}))
    found = own.entry("claude-big")
    assert found.price is not None
    assert found.price.rates(NOW).cost(Tokens(1, 0)) == 7
    assert found.overhead == Overhead(5000, 16, 64)
    assert own.entry("claude-small").overhead is None


def test_an_entry_may_declare_the_overhead_alone():
    own = table(team={"overheadTokens": {"call": 5000}}).entry("team")
    assert own == prices.Entry(None, Overhead(5000, 16, 64))


def test_a_flat_price_is_what_an_agent_declares():
    assert flat("2", "10").rates(NOW).cost(Tokens(10, 1, cache_read=5)) == 30
    assert flat("2", "10", "0.2").rates(NOW).cost(Tokens(10, 1, cache_read=5)) == 21


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("[]", "prices"),
        ("{", "prices|Expecting"),
        ('{"team": {"prices": [{"inputPerMTok": "2"}]}}', "prices.team.prices.0.outputPerMTok"),
        ('{"team": {"prices": [{"inputPerMTok": 2, "outputPerMTok": "1"}]}}', "inputPerMTok"),
        ('{"team": {"prices": [{"inputPerMTok": "-2", "outputPerMTok": "1"}]}}', "inputPerMTok"),
        ('{"team": {"price": []}}', "prices.team.price"),
        ('{"team": {"overheadTokens": {"call": -1}}}', "overheadTokens.call"),
    ],
)
def test_what_is_no_table_is_refused_with_the_place(written, words):
    with pytest.raises(ValueError, match=words):
        prices.read_table(written)


def test_no_text_is_no_table():
    assert prices.read_table(" \n") is prices.EMPTY
