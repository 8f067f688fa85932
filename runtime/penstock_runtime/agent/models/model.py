"""What the loop asks of a model, whoever serves it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Protocol

from penstock.access import Access
from penstock.money import bound
from penstock.money.ledger import Amount, Quote, Refused, Reserved
from penstock.money.pool import PerMinute
from penstock.money.prices import Overhead, Rates, Tokens
from penstock.task import Usage
from penstock_runtime.agent.context import LIVE, Context
from penstock_runtime.agent.models.answers import Answers

#: A message as the Messages API takes it: role and content. Never changed once it is in a
#: conversation: thinking blocks are signed over everything before them.
Message = Mapping[str, Any]
Block = Mapping[str, Any]


@dataclass(frozen=True)
class Charge:
    """What requests cost, answered or not. ``attempts`` is how many requests were made.

    ``cache_saving_micro_usd``: by so much the list price is higher, at which cached input costs what
    fresh input does; below 0 where writing into the cache cost more than it saved.
    """

    tokens: Tokens = field(default_factory=Tokens)
    cost_micro_usd: int = 0
    attempts: int = 0
    cache_saving_micro_usd: int = 0

    @classmethod
    def of(cls, tokens: Tokens, rates: Rates) -> "Charge":
        """The charge of one request."""
        cost = rates.cost(tokens)
        return cls(tokens, cost, 1, rates.list_price(tokens) - cost)

    def __add__(self, other: "Charge") -> "Charge":
        return Charge(
            self.tokens + other.tokens,
            self.cost_micro_usd + other.cost_micro_usd,
            self.attempts + other.attempts,
            self.cache_saving_micro_usd + other.cache_saving_micro_usd,
        )

    @property
    def usage(self) -> Usage:
        """The same as a part of what a task used."""
        return Usage(
            input_tokens=self.tokens.input,
            output_tokens=self.tokens.output,
            cost_micro_usd=self.cost_micro_usd,
            cached_input_tokens=self.tokens.cache_read,
            cache_saving_micro_usd=self.cache_saving_micro_usd,
        )


@dataclass
class Bill:
    """What a call has cost so far, as far as it is known.

    Whoever makes a request books it here at once: it must be paid even when the call is cut.
    ``paced_ms``: for so long it waited until its vendor allows more. ``stored_ms``: so long the model
    took when it gave the answer that came out of the response cache now. ``models``: costs by label.
    """

    charge: Charge = field(default_factory=Charge)
    paced_ms: int = 0
    stored_ms: int = 0
    models: dict[str, int] = field(default_factory=dict)

    def book(self, charge: Charge, model: str = "") -> None:
        """Add what a request cost; ``model`` is the label of whom it asked, empty where it has none."""
        self.charge += charge
        if model and charge.cost_micro_usd:
            self.models[model] = self.models.get(model, 0) + charge.cost_micro_usd

    @property
    def usage(self) -> Usage:
        """All of it as a part of what a task used."""
        waited = replace(self.charge.usage, paced_ms=self.paced_ms, stored_ms=self.stored_ms)
        return replace(waited, models=tuple(self.models.items()))


@dataclass(frozen=True)
class Identity:
    """Who answers: a model, asked with an account. Empty where that is not known.

    ``account`` tells an endpoint and a credential from others, and gives neither away.
    """

    model: str = ""
    account: str = ""

    def differs(self, other: "Identity") -> bool:
        """Whether both are known, and another one: then neither can read what the other thought."""
        known = self != Identity() and other != Identity()
        return known and self != other


NOBODY: Final = Identity()


@dataclass(frozen=True)
class PromptSize:
    """The part of each request that never changes: its length as JSON in bytes, and its tools.

    ``mark`` tells the model with this prompt from others: what it counted holds for nothing else.
    """

    bytes: int = 0
    tools: int = 0
    mark: str = ""


NO_PROMPT: Final = PromptSize()


@dataclass(frozen=True)
class Purse:
    """What a call may use at most, all its attempts together, and by what each is bounded.

    ``sent``: what is sent, as far as it is known without the model's own earlier count.
    """

    wish: bound.Wish
    left: bound.Left
    rates: Rates
    overhead: Overhead
    sent: tuple[bound.Sent, ...] = ()

    def afford(self, spent: Charge | None = None) -> bound.Affordable | bound.Short:
        """Whether an attempt may be made after others that cost so much, and for how long a reply."""
        left = self.left.after(spent.tokens, spent.cost_micro_usd) if spent else self.left
        return bound.afford(self.wish, left, self.rates, self.overhead)

    def quote(self, found: bound.Affordable) -> Quote:
        """What an affordable attempt reserves of budgets, which may shorten it further."""
        wish = replace(self.wish, reply_tokens=found.reply_tokens)
        return bound.quote(wish, self.rates, self.overhead)

    def now(self, rates: Rates, overhead: Overhead) -> "Purse":
        """The same for an attempt that is made now, with these prices of the same model.

        By a raised overhead of the call its input grows; that of messages and tools was counted when
        the call began, and holds for all of it.
        """
        if rates is self.rates and overhead == self.overhead:
            return self
        more = max(0, overhead.call - self.overhead.call)
        wish = replace(self.wish, input_tokens=self.wish.input_tokens + more)
        return replace(self, wish=wish, rates=rates, overhead=overhead)

    def of_another(self, rates: Rates, overhead: Overhead, counted: int | None = None) -> "Purse":
        """The same for another model: what the first one has counted before holds not for it.

        Args:
            rates, overhead: those of the other model.
            counted: what it has counted of this very request; None where it was not asked.
        """
        known = () if counted is None else (bound.Sent(0, 0, self._tools, counted),)
        most = [sent.most_tokens(overhead) for sent in (*self.sent, *known)]
        wish = replace(self.wish, input_tokens=min(most, default=self.wish.input_tokens))
        return replace(self, wish=wish, rates=rates, overhead=overhead)

    @property
    def _tools(self) -> int:
        return max((sent.tools for sent in self.sent), default=0)


@dataclass(frozen=True)
class Request:
    """One call of a model.

    ``timeout_seconds`` covers one request, from the first byte sent to the last read; ``deadline``
    all that the call makes, by the clock of ``context``. ``said_by`` has thought what is thought in
    the messages. ``purse``: what it may use; None: nothing is bounded. ``ledger``: where it reserves
    that of budgets; None: there are none. ``failed``: how the model has failed in this step already;
    then only those that stand in are asked. ``denied``: names of models that are not asked.
    ``answers``: the response cache; None: the task has none.
    """

    messages: Sequence[Message]
    max_tokens: int
    timeout_seconds: float
    deadline: float = math.inf
    said_by: Identity = NOBODY
    context: Context = field(default=LIVE, compare=False)
    bill: Bill = field(default_factory=Bill, compare=False)
    purse: Purse | None = field(default=None, compare=False)
    ledger: "Ledger | None" = field(default=None, compare=False)
    failed: "ModelFailed | None" = field(default=None, compare=False)
    denied: Collection[str] = field(default=(), compare=False)
    answers: Answers | None = field(default=None, compare=False)

    @property
    def left_seconds(self) -> float:
        """How long until the deadline."""
        return self.deadline - self.context.seconds()


@dataclass(frozen=True)
class Reply:
    """A complete answer. ``content`` is what must be sent back: every block as it came.

    ``by`` is who answered; ``charge`` is what this very answer cost, without attempts before it.
    ``counted``: whether ``tokens`` are the model's own count, or estimated. ``counted_by`` is the mark
    of the model and prompt whose count they are of just what is kept; empty where they are none.
    ``afforded``: for what the answer was asked, where that was bounded. ``allowed``: what the vendor
    says it allows in a minute; None where it says nothing. ``cached``: it came out of the response
    cache: nobody was asked.
    """

    content: tuple[Block, ...]
    stop_reason: str
    tokens: Tokens
    detail: str = ""  # the category of a refusal
    by: Identity = NOBODY
    charge: Charge = field(default_factory=Charge)
    counted: bool = False
    counted_by: str = ""
    afforded: bound.Affordable | None = field(default=None, compare=False)
    allowed: PerMinute | None = field(default=None, compare=False)
    cached: bool = False


class Failure(StrEnum):
    """Kinds of failed model calls, by what helps."""

    RATE_LIMITED = "RateLimited"  # wait as long as it says
    OVERLOADED = "Overloaded"  # any 5xx, 529, 408, 409: wait and try again
    CONNECTION = "Connection"
    TIMEOUT = "Timeout"
    INCOMPLETE = "Incomplete"  # a stream that ended without its end
    GARBLED = "Garbled"  # 200 with something that is no answer: once more, not oftener
    CREDENTIALS = "Credentials"  # 401, 403: once more when the key on disk is another one by now
    TOO_LONG = "TooLong"  # the conversation does not fit into the model's window
    REFUSED = "Refused"  # anything else: trying again does not help
    BREAKER_OPEN = "BreakerOpen"  # nobody was asked: those before got no answer in a row
    PACED = "Paced"  # nobody was asked: another call was told to wait
    DENIED = "Denied"  # nobody was asked: restrictions of the Agent name the model


#: No request was made.
UNASKED: Final = (Failure.BREAKER_OPEN, Failure.PACED, Failure.DENIED)
_CONFLICTS: Final = (408, 409)  # of one request; the endpoint is well


class ModelFailed(Exception):
    """A model call failed.

    Args:
        kind: what helps.
        message: one sentence for people, with the status and the model's own words, filtered.
        retry_after_seconds: how long the model asks to be left alone; None when it does not say.
        tokens: what must be paid all the same, as far as it is known.
        access: what it says of the credential and the model; None where it says nothing.
        status: of the answer over HTTP; 0 where there was none, 200 where one broke off.
    """

    def __init__(
        self,
        kind: Failure,
        message: str,
        retry_after_seconds: float | None = None,
        tokens: Tokens | None = None,
        access: Access | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.tokens = tokens or Tokens()
        self.access = access
        self.status = status

    @property
    def is_outage(self) -> bool:
        """Whether the endpoint failed, whoever asks for what: 5xx, a time-out, no connection."""
        if self.kind is Failure.OVERLOADED:
            return self.status not in _CONFLICTS
        return self.kind in (Failure.CONNECTION, Failure.TIMEOUT) or self.status >= 500

    def reworded(self, message: str) -> "ModelFailed":
        """The same failure in other words, once it was paid for."""
        return ModelFailed(self.kind, message, access=self.access, status=self.status)


class Unaffordable(Exception):
    """An attempt was not made: it might use more than the call may.

    Args:
        short: of what, and by how much.
    """

    def __init__(self, short: bound.Short) -> None:
        super().__init__(short.resource.value)
        self.short = short


class OverBudget(Exception):
    """An attempt was not made: a budget has no room for it.

    Args:
        refused: which one, and when it has room again.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.limit.scope.value)
        self.refused = refused


class Ledger(Protocol):
    """Where calls reserve of budgets what they can use, and settle what they have used."""

    @property
    def is_unbounded(self) -> bool:
        """Whether it is known that the task has no budget."""
        ...

    async def reserve(self, quote: Quote) -> Reserved | None:
        """Reserve, and wait in order where others hold what is left; None: there is no budget.

        Raises:
            OverBudget: there is no room, and no waiting makes any.
        """
        ...

    async def let_go(self) -> None:
        """Give back what is reserved for the next call already: it has to wait for something else."""
        ...

    def settle(self, reserved: Reserved, used: Amount) -> None:
        """Say what a call has used, by its bill. It is told with the next word to the store.

        A call of which nobody knows what is billed is not settled: in the end it counts as reserved.
        """
        ...


class Model(Protocol):
    """Something that answers a conversation: an endpoint, or a wrapper around another model."""

    async def reply(self, request: Request) -> Reply:
        """Ask. An endpoint asks once, without a retry.

        Raises:
            ModelFailed: there is no complete answer.
            Unaffordable, OverBudget: it was not asked, or not again.
            Cancelled, an endpoint books in the request's bill the tokens that are known to be used.
        """
        ...

    async def count_tokens(self, request: Request) -> int | None:
        """The tokens of a request as who bills them counts them, for nothing.

        None: the endpoint counts nothing for anybody, and asking again does not help.

        Raises:
            ModelFailed: it may count, and has not.
        """
        ...

    def renew_credentials(self) -> bool:
        """Read the credential again; whether it differs from the one used last."""
        ...

    async def aclose(self) -> None:
        """Close what it holds open."""
        ...


class Wrapper:
    """A model around another one; what a wrapper does not change goes through."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def reply(self, request: Request) -> Reply:
        """See ``Model.reply``."""
        return await self._model.reply(request)

    async def count_tokens(self, request: Request) -> int | None:
        """See ``Model.count_tokens``."""
        return await self._model.count_tokens(request)

    def renew_credentials(self) -> bool:
        """See ``Model.renew_credentials``."""
        return self._model.renew_credentials()

    async def aclose(self) -> None:
        """See ``Model.aclose``."""
        await self._model.aclose()
