"""What the loop asks of a model, whoever serves it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from penstock.access import Access

#: A message as the Messages API takes it: role and content. Never changed once it is in a
#: conversation: thinking blocks are signed over everything before them.
Message = Mapping[str, Any]
Block = Mapping[str, Any]


@dataclass(frozen=True)
class Tokens:
    """What one request used. ``input`` includes cached tokens, ``output`` includes thinking."""

    input: int = 0
    output: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.input + other.input, self.output + other.output)


@dataclass
class Account:
    """What a call has used so far, as far as it is known; written by the model for a call that is cut."""

    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True)
class Request:
    """One model call. ``timeout_seconds`` covers it from the first byte sent to the last read."""

    messages: Sequence[Message]
    max_tokens: int
    timeout_seconds: float
    account: Account = field(default_factory=Account, compare=False)


@dataclass(frozen=True)
class Reply:
    """A complete answer. ``content`` is what must be sent back: every block as it came."""

    content: tuple[Block, ...]
    stop_reason: str
    tokens: Tokens
    detail: str = ""  # the category of a refusal


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


class ModelFailed(Exception):
    """A model call failed.

    Args:
        kind: what helps.
        message: one sentence for people, with the status and the model's own words, filtered.
        retry_after_seconds: how long the model asks to be left alone; None when it does not say.
        tokens: what must be paid all the same, as far as it is known.
        access: what it says of the credential and the model; None where it says nothing.
    """

    def __init__(
        self,
        kind: Failure,
        message: str,
        retry_after_seconds: float | None = None,
        tokens: Tokens | None = None,
        access: Access | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.tokens = tokens or Tokens()
        self.access = access


class Model(Protocol):
    """Something that answers a conversation."""

    async def reply(self, request: Request) -> Reply:
        """Ask once, without a retry.

        Raises:
            ModelFailed: there is no complete answer.
            Cancelled, it leaves in the request's account what is known to be used.
        """
        ...

    def renew_credentials(self) -> bool:
        """Read the credential again; whether it differs from the one used last."""
        ...

    async def aclose(self) -> None:
        """Close what it holds open."""
        ...


_CHARACTERS_PER_TOKEN = 4


def estimated_tokens(value: Any) -> int:
    """About how many tokens texts in a JSON value are: four characters a token, rounded up."""
    return -(-characters(value) // _CHARACTERS_PER_TOKEN)


def characters(value: Any) -> int:
    """How many characters texts in a JSON value have, however deep they stand."""
    found, left = 0, [value]
    while left:
        match left.pop():
            case str() as text:
                found += len(text)
            case Mapping() as members:
                found += sum(len(str(key)) for key in members)
                left += members.values()
            case list() | tuple() as items:
                left += items
            case other:
                found += len(str(other))
    return found
