"""No bill passes the bound of its call, whatever is said, whoever counts it, whatever is billed besides."""

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.money import bound
from penstock.money.bound import Affordable, Left, Resource, Sent, Short, Wish
from penstock.money.prices import Overhead, Rate, Rates, Tokens

SCRIPTS = {
    "arabic": "أين طلبيتي؟ ",
    "chinese": "我的訂單在哪裡？",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈",
    "base64": base64.b64encode(bytes(range(256))).decode(),
    "control": '\x00\x1f\u2028\ud800\\"\n',
}
texts = st.one_of(st.text(), st.sampled_from(list(SCRIPTS.values())), st.text('\\"\x01é漢🎉'))
blocks = st.fixed_dictionaries({"type": st.just("text"), "text": texts})
calls = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": st.just("c1"),
        "name": st.just("look_up"),
        "input": st.dictionaries(texts, st.one_of(texts, st.integers(), st.lists(texts))),
    }
)
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant"]),
            "content": st.one_of(texts, st.lists(st.one_of(blocks, calls), max_size=4)),
        }
    ),
    min_size=1,
    max_size=6,
)
tools = st.lists(
    st.fixed_dictionaries({"name": texts, "description": texts, "input_schema": st.just({})}),
    max_size=4,
)
overheads = st.builds(Overhead, *[st.integers(0, 2000)] * 3)


def tokens_of(value):
    """A tokenizer that makes one token of each byte of each text, names of members included."""
    match value:
        case str():
            return len(value.encode("utf-8", "surrogatepass"))
        case dict():
            return sum(tokens_of(each) for pair in value.items() for each in pair)
        case list() | tuple():
            return sum(map(tokens_of, value))
    return len(json.dumps(value))


def billed(prompt, talk, overhead):
    """What a vendor bills that adds as much as it declares."""
    framing = overhead.call + overhead.message * len(talk) + overhead.tool * len(prompt["tools"])
    return tokens_of(prompt) + tokens_of(talk) + framing


@given(texts, tools, messages, overheads)
@example("Help.", [], [{"role": "user", "content": "🎉" * 50_000}], Overhead())
@example(SCRIPTS["base64"] * 600, [], [{"role": "user", "content": "x"}], Overhead())
@example("Help.", [], [{"role": "user", "content": "漢" * 70_000}], Overhead())
def test_a_first_call_is_bounded_by_its_bytes(system, offered, talk, overhead):
    prompt = {"system": system, "tools": offered}
    sent = Sent(bound.bytes_of(prompt) + bound.bytes_of(talk), len(talk), len(offered))
    assert billed(prompt, talk, overhead) <= sent.most_tokens(overhead)


@given(texts, tools, messages, messages, overheads)
def test_a_later_call_is_bounded_by_the_last_count_and_the_bytes_since(
    system, offered, before, since, overhead
):
    prompt = {"system": system, "tools": offered}
    counted = billed(prompt, before, overhead)
    sent = Sent(bound.bytes_of(since), len(since), len(offered), counted)
    assert billed(prompt, [*before, *since], overhead) <= sent.most_tokens(overhead)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_long_in_bytes_is_counted_in_bytes(name):
    text = SCRIPTS[name] * (200_000 // len(SCRIPTS[name]))
    assert bound.bytes_of(text) >= len(text.encode("utf-8", "surrogatepass"))


rate = st.builds(
    Rate,
    st.decimals(0, 20, places=6),
    st.lists(st.tuples(st.integers(0, 3000), st.decimals(0, 40, places=6)), max_size=2).map(
        lambda tiers: tuple(sorted(tiers))
    ),
)
rates = st.builds(Rates, *[rate] * 4, st.just(Rate(Decimal(0))))
wishes = st.builds(Wish, st.integers(1, 4000), st.integers(1, 3000), st.integers(1, 300))
parts = st.lists(st.floats(0, 1), min_size=4, max_size=4)
overlong = st.builds(Overhead, reply=st.integers(0, 20))


@st.composite
def choices(draw, extra=overlong):
    """A call that is wished, and what is left: often a little less or more than it needs."""
    wish, price, overhead = draw(wishes), draw(rates), draw(extra)
    whole = price.most(Tokens(wish.input_tokens, wish.reply_tokens + overhead.reply))
    share = draw(st.sampled_from([0.2, 0.5, 0.8, 0.95, 1, 2]))
    left = Left(
        wish.input_tokens + draw(st.sampled_from([-1, 0, 5000])),
        wish.reply_tokens + draw(st.sampled_from([-5000, -100, -1, 0, 10, 5000])),
        int(whole * share) + draw(st.integers(-2, 2)),
    )
    return wish, left, price, overhead


def used(most, shares):
    """A bill within a bound, of fresh and of cached tokens."""
    given_tokens = int(most.input * shares[0])
    read = int(given_tokens * shares[1])
    return Tokens(
        given_tokens,
        int(most.output * shares[2]),
        cache_read=read,
        cache_write=int((given_tokens - read) * shares[3]),
    )


@settings(max_examples=300)
@given(choices(), parts)
def test_no_call_that_is_afforded_passes_what_is_left(choice, shares):
    wish, left, rates, overhead = choice
    found = bound.afford(wish, left, rates, overhead)
    if isinstance(found, Short):
        assert found.needed > found.left
        return
    for bill in (used(found.most, shares), found.most):
        assert rates.cost(bill) <= found.most_micro_usd <= left.micro_usd
        assert bill.input <= left.input_tokens
        assert bill.output <= left.output_tokens
    assert 1 <= found.reply_tokens <= wish.reply_tokens
    assert (found.cut_by is None) == (found.reply_tokens == wish.reply_tokens)
    if found.cut_by is Resource.COST:
        assert found.reply_tokens >= min(wish.floor_tokens, wish.reply_tokens)


@settings(max_examples=300)
@given(choices(st.just(Overhead())))
def test_a_reply_is_not_shortened_by_more_than_it_must_be(choice):
    wish, left, rates, overhead = choice
    found = bound.afford(wish, left, rates, overhead)
    if isinstance(found, Affordable) and found.cut_by is Resource.COST:
        longer = Tokens(wish.input_tokens, found.reply_tokens + 1)
        assert rates.most(longer) > left.micro_usd


@given(st.builds(Tokens, *[st.integers(0, 500)] * 2), st.builds(Tokens, *[st.integers(0, 500)] * 2))
def test_a_bill_above_its_bound_raises_the_overhead_until_it_would_have_held(bill, most):
    by = bound.excess(bill, 0, Affordable(1, most, 0))
    assert bool(by) == (bill.input > most.input or bill.output > most.output)
    more = bound.raised(Overhead(0, 0, 0), by)
    assert bill.input <= most.input + more.call
    assert bill.output <= most.output + more.reply


# ---------------------------------------------------------------------------- for the ledger


@settings(max_examples=300)
@given(choices(), parts)
def test_what_the_ledger_reserves_is_above_every_bill_and_at_most_a_rounding_above_the_bound(
    choice, shares
):
    wish, _, rates, overhead = choice
    quote = bound.quote(wish, rates, overhead)
    most = Tokens(wish.input_tokens, wish.reply_tokens + overhead.reply)
    for bill in (used(most, shares), most):
        reserved = quote.most(wish.reply_tokens)
        assert bill.input + bill.output <= reserved.tokens
        assert rates.cost(bill) <= reserved.micro_usd
    assert quote.most(wish.reply_tokens).micro_usd <= rates.most(most) + 2


@settings(max_examples=300)
@given(choices(), st.integers(0, 3000), texts, parts)
def test_the_first_call_of_a_task_is_bounded_before_the_task_is_known(
    choice, prompt_bytes, brought, shares
):
    wish, _, rates, overhead = choice
    opening = bound.opening(Sent(prompt_bytes, 0, 2), wish, rates, overhead, 1000)
    message = bound.bytes_of([{"role": "user", "content": brought}])
    size = bound.bytes_of(brought)
    prompt = Sent(prompt_bytes + message, 1, 2)
    reserved_tokens = opening.fixed.tokens + size + opening.reply_tokens
    price = -(-(size * opening.input_rate + opening.reply_tokens * opening.reply_rate) // 1_000_000)
    most = Tokens(prompt.most_tokens(overhead), wish.reply_tokens + overhead.reply)
    for bill in (used(most, shares), most):
        assert bill.input + bill.output <= reserved_tokens
        assert rates.cost(bill) <= opening.fixed.micro_usd + price
