"""What a task's next model call may use: its limits less what was used, and the bound of its input."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from penstock import limits
from penstock.api.agent import AgentTemplate, Limits
from penstock.money import bound
from penstock.money.prices import Overhead, Rate, Rates
from penstock.task import Usage
from penstock_runtime.agent.history import Counted
from penstock_runtime.agent.models.model import NO_PROMPT, ModelFailed, PromptSize, Purse
from penstock_runtime.agent.transcript import Transcript

_NOTHING: Final = Rate(Decimal(0))
_FREE: Final = Rates(_NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING)
_NO_OVERHEAD: Final = Overhead(0, 0, 0)


@dataclass(frozen=True)
class Terms:
    """By what the next call is bounded: the prompt's size, and prices and overhead of the model.

    ``raised``: what of the overhead nobody has declared.
    """

    prompt: PromptSize = NO_PROMPT
    rates: Rates = _FREE
    overhead: Overhead = _NO_OVERHEAD
    raised: Overhead = _NO_OVERHEAD


#: Nothing costs anything, and nothing is billed besides what is sent.
NO_TERMS: Final = Terms()


@dataclass(frozen=True)
class Asked:
    """The vendor was asked to count so many messages with the prompt.

    ``tokens`` is None where it cannot count, and where it ``failed`` to.
    """

    messages: int
    tokens: int | None
    failed: ModelFailed | None = None


def purse(
    template: AgentTemplate,
    usage: Usage,
    transcript: Transcript,
    terms: Terms,
    asked: Asked | None = None,
) -> Purse:
    """What the call after a conversation may use, and what it is wished to be."""
    wish = bound.Wish(
        most_input_tokens(transcript, terms, asked),
        template.model.max_tokens,
        limits.MIN_REPLY_TOKENS,
    )
    left = limits.left(template.limits, usage)
    by_anybody = () if not template.model.fallbacks else _by_anybody(transcript, terms, asked)
    return Purse(wish, left, terms.rates, terms.overhead, by_anybody)


def most_input_tokens(transcript: Transcript, terms: Terms, asked: Asked | None = None) -> int:
    """An upper bound of the input of a request with this conversation, by the best that is known."""
    bounds = [_sent(transcript, terms, transcript.counted)]
    if asked and asked.tokens is not None:
        bounds.append(_sent(transcript, terms, _known(terms, asked.tokens, asked.messages)))
    return min(sent.most_tokens(terms.overhead) for sent in bounds)


def is_raise_to_blame(
    bounds: Limits, usage: Usage, transcript: Transcript, terms: Terms, asked: Asked | None
) -> bool:
    """Whether a call that may not be made could be by the declared overhead alone."""
    if terms.raised == _NO_OVERHEAD:
        return False
    left, most = limits.left(bounds, usage), most_input_tokens(transcript, terms, asked)

    def may_be_made(tokens: int) -> bool:
        wish = bound.Wish(tokens, limits.MIN_REPLY_TOKENS, limits.MIN_REPLY_TOKENS)
        return isinstance(bound.afford(wish, left, terms.rates, _NO_OVERHEAD), bound.Affordable)

    return may_be_made(most - terms.raised.call) and not may_be_made(most)


def _by_anybody(
    transcript: Transcript, terms: Terms, asked: Asked | None
) -> tuple[bound.Sent, ...]:
    """What is sent, for a model that has counted nothing before: by its bytes, or asked for just now."""
    found = [_sent(transcript, terms, None)]
    if asked and asked.tokens is not None:
        found.append(_sent(transcript, terms, _known(terms, asked.tokens, asked.messages)))
    return tuple(found)


def _known(terms: Terms, tokens: int, messages: int) -> Counted:
    return Counted(terms.prompt.mark, tokens, messages)


def _sent(transcript: Transcript, terms: Terms, count: Counted | None) -> bound.Sent:
    """What is sent: as far as it was counted, then by its bytes."""
    prompt = terms.prompt
    if count is None or count.by != prompt.mark:
        unknown = prompt.bytes + bound.bytes_of(transcript.messages)
        return bound.Sent(unknown, len(transcript.messages), prompt.tools)
    since = transcript.messages[count.messages :]
    return bound.Sent(bound.bytes_of(since), len(since), prompt.tools, count.tokens)
