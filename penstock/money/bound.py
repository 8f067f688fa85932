"""What the next model call can use and cost at most, before it is made.

The bound holds for every tokenizer: a token is at least one byte of what is sent. What a vendor
bills besides, for framing and for tools, is declared as the model's overhead.
"""

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from penstock.money.ledger import Amount, Cut, Opening, Quote
from penstock.money.prices import Overhead, Rates, Tokens


@dataclass(frozen=True)
class Sent:
    """What a request sends.

    ``known_tokens`` is the vendor's own count of what stands at its beginning; 0 where there is
    none. ``unknown_bytes`` and ``messages`` are what comes after, as JSON in UTF-8; ``tools`` are
    all that it offers.
    """

    unknown_bytes: int
    messages: int
    tools: int
    known_tokens: int = 0

    def most_tokens(self, overhead: Overhead) -> int:
        """An upper bound of the tokens that are billed for it."""
        framing = overhead.call + overhead.message * self.messages + overhead.tool * self.tools
        return self.known_tokens + self.unknown_bytes + framing


def bytes_of(value: Any) -> int:
    """The length of a value as JSON in UTF-8: at least that of all texts in it together."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


class Resource(StrEnum):
    """What a call uses of a limit; the names are those of the limits."""

    INPUT_TOKENS = "inputTokens"
    OUTPUT_TOKENS = "outputTokens"
    COST = "costUSD"


@dataclass(frozen=True)
class Left:
    """What may still be used; money in micro-USD. A value below 0 is passed already."""

    input_tokens: int
    output_tokens: int
    micro_usd: int

    def after(self, tokens: Tokens, micro_usd: int) -> "Left":
        """What is left once something was used."""
        return Left(
            self.input_tokens - tokens.input,
            self.output_tokens - tokens.output,
            self.micro_usd - micro_usd,
        )


@dataclass(frozen=True)
class Wish:
    """A call as it is wished: at most so many tokens of input, and a reply of at most so many.

    ``floor_tokens``: for want of money no shorter reply is asked for than this one.
    """

    input_tokens: int
    reply_tokens: int
    floor_tokens: int


@dataclass(frozen=True)
class Affordable:
    """The call may be made, for a reply of so many tokens; ``most`` is what it can use and cost.

    ``cut_by``: what is short where the reply is shorter than wished; a cut of the ledger where that
    is a budget.
    """

    reply_tokens: int
    most: Tokens
    most_micro_usd: int
    cut_by: Resource | Cut | None = None


@dataclass(frozen=True)
class Short:
    """The call may not be made: it needs more of something than is left."""

    resource: Resource
    needed: int
    left: int


def afford(wish: Wish, left: Left, rates: Rates, overhead: Overhead) -> Affordable | Short:
    """Whether a call may be made, and for how long a reply: nothing that is left can be passed."""
    if wish.input_tokens > left.input_tokens:
        return Short(Resource.INPUT_TOKENS, wish.input_tokens, left.input_tokens)
    most_reply = reply = min(wish.reply_tokens, left.output_tokens - overhead.reply)
    if reply < 1:
        return Short(Resource.OUTPUT_TOKENS, 1 + overhead.reply, left.output_tokens)
    cut_by = Resource.OUTPUT_TOKENS if reply < wish.reply_tokens else None
    paid = _longest_paid(wish.input_tokens, left.micro_usd, rates, overhead)
    if paid is not None and paid < reply:
        reply, cut_by = paid, Resource.COST
        shortest = max(1, min(wish.floor_tokens, most_reply))
        if paid < shortest:
            needed = rates.most(Tokens(wish.input_tokens, shortest + overhead.reply))
            return Short(Resource.COST, needed, left.micro_usd)
    most = Tokens(wish.input_tokens, reply + overhead.reply)
    return Affordable(reply, most, rates.most(most), cut_by)


def _longest_paid(
    input_tokens: int, micro_usd: int, rates: Rates, overhead: Overhead
) -> int | None:
    """For how long a reply the money is enough, below 0 for none; None: for any."""
    fixed = Tokens(input_tokens, overhead.reply)
    per_token = rates.output.highest(input_tokens)
    room = micro_usd - rates.exactly(fixed)
    if per_token == 0:
        return None if room >= 0 else -1
    return math.floor(room / per_token)


# ---------------------------------------------------------------------------- for the ledger

_PER_MILLION: Final = 1_000_000


def quote(wish: Wish, rates: Rates, overhead: Overhead) -> Quote:
    """A wished call as the ledger reserves it: no bill within the bound is above ``Quote.most``."""
    fixed = Tokens(wish.input_tokens, overhead.reply)
    return Quote(
        Amount(wish.input_tokens + overhead.reply, rates.most(fixed)),
        wish.reply_tokens,
        min(wish.floor_tokens, wish.reply_tokens),
        _per_million(rates.output.highest(wish.input_tokens)),
    )


_EMPTY_MESSAGE_BYTES: Final = bytes_of([{"role": "user", "content": ""}])


def opening(prompt: Sent, wish: Wish, rates: Rates, overhead: Overhead, lasts_ms: int) -> Opening:
    """The first call of a task before the task is known: what it brings along comes to it by its bytes.

    Args:
        prompt: what is sent in any case; one message of the task, with no bytes, comes to it.
        wish: the reply; its input is not looked at.
        rates: of now.
        overhead: of now.
        lasts_ms: for how long the call may be open.
    """
    first = Sent(prompt.unknown_bytes + _EMPTY_MESSAGE_BYTES, 1, prompt.tools)
    any_input = Tokens(first.most_tokens(overhead), overhead.reply)
    dearest = rates.at_any_length()
    return Opening(
        Amount(any_input.input + any_input.output, dearest.most(any_input)),
        _per_million(max(dearest.input.base, dearest.cache_read.base, dearest.cache_write.base)),
        wish.reply_tokens,
        min(wish.floor_tokens, wish.reply_tokens),
        _per_million(dearest.output.base),
        lasts_ms,
        earlier_tokens=overhead.call + overhead.tool * prompt.tools,
        message_tokens=overhead.message,
    )


def _per_million(rate: Decimal) -> int:
    return math.ceil(rate * _PER_MILLION)


# ------------------------------------------------------------------------- bills above a bound


@dataclass(frozen=True)
class Excess:
    """What a bill had more than its bound: tokens of the input and of the reply, and money."""

    input_tokens: int
    output_tokens: int
    micro_usd: int = 0

    def __bool__(self) -> bool:
        return self.input_tokens > 0 or self.output_tokens > 0 or self.micro_usd > 0


def excess(billed: Tokens, micro_usd: int, bounded: Affordable) -> Excess:
    """By how much a bill is above its bound; empty where the bound held."""
    most = bounded.most
    return Excess(
        max(0, billed.input - most.input),
        max(0, billed.output - most.output),
        max(0, micro_usd - bounded.most_micro_usd),
    )


_MOST_RAISES: Final = 10


def believed(raised: Overhead, declared: Overhead) -> Overhead:
    """A raise as far as it is followed: a bill may be nonsense, and keeps no later call from being made.

    Args:
        raised: what comes to the declared overhead.
        declared: where it is less than the default, the default counts.
    """
    most = max(declared.call, Overhead().call)
    call, reply = min(raised.call, _MOST_RAISES * most), min(raised.reply, most)
    return Overhead(call, raised.message, raised.tool, reply)


def raised(overhead: Overhead, by: Excess) -> Overhead:
    """The overhead with which the bound would have held."""
    return Overhead(
        overhead.call + by.input_tokens,
        overhead.message,
        overhead.tool,
        overhead.reply + by.output_tokens,
    )
