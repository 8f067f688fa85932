"""A model costs what its Agent says, else what the installation says, else its list price; never nothing."""

import json
import random
from datetime import UTC, datetime

import genai_prices
import pytest

from penstock import errors
from penstock.api import agent as api
from penstock.api.models import MODELS
from penstock.money import bound, prices
from penstock.money.asked import ModelPrice, PriceSource
from penstock.money.prices import Day, Overhead, Tokens
from penstock_runtime.agent.models import pricing

TODAY = Day(2026, 11, 29)

DAYS = (Day(2025, 1, 1), Day(2026, 3, 12), Day(2026, 3, 13), Day(2026, 11, 29))


def model(name="claude-sonnet-5-5", **more):
    return api.Model.model_validate({"name": name, **more})


def cost(book, tokens, day=DAYS[-1]):
    return book.rates(day).cost(tokens)


def own(rate, name="claude-sonnet-5-5"):
    entry = {"prices": [{"inputPerMTok": rate, "outputPerMTok": rate}]}
    return prices.read_table(json.dumps({name: entry}))


@pytest.mark.parametrize("name", MODELS["Anthropic"])
def test_a_list_price_is_the_price_lists_own_to_the_last_fraction(name):
    """With tiers, dates and caches: compared with what the price list's own arithmetic says."""
    book, chance = pricing.Book(model(name)), random.Random(name)
    for day in DAYS:
        for most in (1000, 200_000, 200_001, 900_000):
            read, written, long = (chance.randrange(most // 4) for _ in range(3))
            used = Tokens(most, chance.randrange(5000), read, written, long)
            usage = genai_prices.Usage(
                input_tokens=used.input,
                output_tokens=used.output,
                cache_read_tokens=read,
                cache_write_tokens=written + long,
                cache_write_1h_tokens=long,
            )
            at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            said = genai_prices.calc_price(
                usage, name, provider_id="anthropic", genai_request_timestamp=at
            ).total_price
            assert 0 <= cost(book, used, day) - said * 1_000_000 < 1, (day, used)


def test_a_model_without_a_price_is_refused_by_name_with_what_to_declare():
    with pytest.raises(
        errors.InvalidResource, match=r"claude-nope-1.*spec\.template\.model\.price"
    ):
        pricing.Book(model("claude-nope-1"))


def test_what_the_installation_declares_comes_before_the_list_price():
    assert cost(pricing.Book(model(), lambda: own("7")), Tokens(1, 0)) == 7
    assert cost(pricing.Book(model(), lambda: own("7", "other")), Tokens(1, 0)) == 2


@pytest.mark.parametrize(
    ("price", "used", "micro_usd"),
    [
        ({"inputPerMTok": "3", "outputPerMTok": "1"}, Tokens(10, 0), 30),
        ({"inputPerMTok": "4", "outputPerMTok": "1"}, Tokens(10, 0), 40),
        ({"inputPerMTok": "3", "outputPerMTok": "5"}, Tokens(0, 10), 50),
        ({"inputPerMTok": "3", "outputPerMTok": "6"}, Tokens(0, 10), 60),
        ({"inputPerMTok": "3", "outputPerMTok": "1"}, Tokens(10, 0, cache_read=10), 30),
        (
            {"inputPerMTok": "3", "outputPerMTok": "1", "cachedInputPerMTok": "0.5"},
            Tokens(10, 0, cache_read=10),
            5,
        ),
    ],
)
def test_what_the_agent_declares_comes_before_all(price, used, micro_usd):
    book = pricing.Book(model("team-sonnet", price=price), lambda: own("7", "team-sonnet"))
    assert cost(book, used) == micro_usd


def test_a_changed_price_of_the_installation_is_taken_over_and_a_removed_one_holds():
    tables = iter([own("7", "team"), own("8", "team"), None, prices.EMPTY])
    book = pricing.Book(model("team"), lambda: next(tables))
    seen = [cost(book, Tokens(1, 0))]
    for _ in range(3):
        book.refresh()
        seen.append(cost(book, Tokens(1, 0)))
    assert seen == [7, 8, 8, 8]


def test_where_the_price_of_the_installation_is_removed_the_list_price_holds_again():
    tables = iter([own("7"), prices.EMPTY])
    book = pricing.Book(model(), lambda: next(tables))
    book.refresh()
    assert cost(book, Tokens(1, 0)) == 2


@pytest.mark.parametrize(("name", "before"), [("claude-sonnet-5-5", 2), ("team", 7)])
def test_before_the_first_day_of_the_installations_prices_the_list_price_holds(name, before):
    entry = {"from": "2027-01-01", "inputPerMTok": "7", "outputPerMTok": "7"}
    table = prices.read_table(json.dumps({name: {"prices": [entry]}}))
    book = pricing.Book(model(name), lambda: table)
    assert cost(book, Tokens(1, 0), Day(2026, 12, 31)) == before
    assert cost(book, Tokens(1, 0), Day(2027, 1, 1)) == 7


def test_a_mounted_table_that_could_not_be_read_for_a_moment_is_read_again(tmp_path, monkeypatch):
    file, told = tmp_path / "prices.json", []
    file.write_text('{"team": {"overheadTokens": {}}}')
    read = pricing.TableFile(file, told.append)

    def away(*_, **__):
        raise OSError("EIO")

    with monkeypatch.context() as broken:
        broken.setattr(type(file), "read_text", away)
        assert read() is None
    assert told == ["EIO"]
    assert read().entry("team").overhead == Overhead()


def test_the_overhead_is_the_installations_where_it_declares_one():
    declared = prices.read_table('{"claude-*": {"overheadTokens": {"tool": 500}}}')
    assert pricing.Book(model(), lambda: declared).overhead == Overhead(1000, 16, 500)
    assert pricing.Book(model()).overhead == Overhead(1000, 16, 64)


def test_a_mounted_table_is_read_again_when_it_changes_and_kept_when_it_is_broken(tmp_path):
    file, told = tmp_path / "prices.json", []
    read = pricing.TableFile(file, told.append)
    assert read() == prices.EMPTY

    def write(text):
        other = tmp_path / "new"
        other.write_text(text)
        other.replace(file)

    write('{"team": {"overheadTokens": {}}}')
    assert read().entry("team").overhead == Overhead()
    assert read() is None, "it is the same"
    write("{")
    assert read() is None
    assert len(told) == 1
    write("{}")
    assert read() == prices.EMPTY


def test_whoever_stands_in_has_its_own_price():
    own = {"inputPerMTok": "2", "outputPerMTok": "3", "cachedInputPerMTok": "1"}
    model = api.Model.model_validate(
        {
            "name": "claude-sonnet-5-5",
            "price": {"inputPerMTok": "90", "outputPerMTok": "90"},
            "fallbacks": [{"name": "team-model", "price": own}, {"name": "claude-haiku-5-5"}],
        }
    )
    first, second, third = (pricing.Book(one).rates(TODAY) for one in model.asked)
    used = Tokens(input=10, output=100, cache_read=4)
    assert first.cost(used) == 90 * 110
    assert second.cost(used) == 2 * 6 + 3 * 100 + 1 * 4
    assert third.cost(Tokens(1000, 1000)) == 100 + 500


def test_prices_of_several_models_are_those_of_the_first_and_are_refreshed_together():
    refreshed = []

    class Kept(pricing.Fixed):
        def refresh(self):
            refreshed.append(self)

    first, second = Kept(prices.flat("1", "9")), Kept(prices.flat("5", "2"))
    both = pricing.together([first, second])
    assert both.rates(TODAY).cost(Tokens(1, 1)) == 10
    both.refresh()
    assert refreshed == [first, second]
    assert pricing.together([first]) is first


@pytest.mark.parametrize("declared", [Overhead(), Overhead(0, 0, 0), Overhead(5000, 16, 64)])
def test_one_bill_that_is_nonsense_keeps_no_later_call_from_being_made(declared):
    of_a_worker = pricing.Fixed(prices.flat("1", "5"), declared)
    for _ in range(3):
        of_a_worker.raise_overhead(bound.Excess(10**9, 10**9))
    most = max(1000, declared.call)
    assert of_a_worker.raised == Overhead(10 * most, 0, 0, most)
    assert of_a_worker.overhead == declared + of_a_worker.raised


def test_a_book_tells_its_price_and_whose_it_is():
    listed = pricing.Book(model()).told(TODAY)
    assert (listed.input, listed.output, listed.source) == ("2", "10", PriceSource.LISTED)
    assert listed.release
    installed = pricing.Book(model(), lambda: own("7")).told(TODAY)
    assert (installed.input, installed.cached_input, installed.source) == ("7", "7", PriceSource.INSTALLATION)  # fmt: skip
    price = {"inputPerMTok": "0.50", "outputPerMTok": "30", "cachedInputPerMTok": "0.05"}
    declared = pricing.Book(model(price=price), lambda: own("7")).told(TODAY)
    assert declared == ModelPrice("0.5", "0.05", "30", PriceSource.DECLARED)
