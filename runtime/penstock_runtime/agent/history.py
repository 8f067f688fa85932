"""A session's conversation between two tasks, and what its saved form shares with a transcript's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from penstock_runtime.agent.models import echo
from penstock_runtime.agent.models.model import NOBODY, Identity, Message

FORMAT: Final = 1


@dataclass(frozen=True)
class Counted:
    """What a model counted of a conversation: the tokens of its first messages and of the prompt.

    ``by`` is the mark of the model with its prompt: for another one they are no count.
    """

    by: str
    tokens: int
    messages: int


@dataclass(frozen=True)
class History:
    """What a session knows when its next task begins; the fields are as in ``Transcript``."""

    messages: tuple[Message, ...] = ()
    tokens: int = 0
    said_by: Identity = NOBODY
    counted: Counted | None = None

    def encode(self) -> bytes:
        """The saved form."""
        return dump(
            {
                "format": FORMAT,
                "messages": echo.filled(self.messages),
                "tokens": self.tokens,
                "saidBy": identity_written(self.said_by),
                "counted": count_written(self.counted),
            }
        )

    @classmethod
    def decode(cls, saved: bytes | None) -> "History":
        """Read a saved form, an earlier version's as well; nothing was said where there is none.

        Raises:
            ValueError: it is not one, or of a newer format.
        """
        if not saved:
            return cls()
        document = load(saved)
        messages, tokens = tuple(document["messages"]), document.get("tokens", 0)
        return cls(
            messages,
            tokens if isinstance(tokens, int) else 0,
            identity_read(document),
            count_read(document, len(messages)),
        )


def without_thinking(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages without thinking blocks; one that held nothing else is left out."""
    stripped = map(echo.without_thinking, messages)
    return tuple(message for message in stripped if message["content"])


# ---------------------------------------------------------------------------------- saved forms


def count_written(counted: Counted | None) -> list[Any] | None:
    """A count as it stands in a saved form."""
    return [counted.by, counted.tokens, counted.messages] if counted else None


def count_read(document: Mapping[str, Any], messages: int) -> Counted | None:
    """The count in a saved form of so many messages; None in one of an earlier version."""
    match document.get("counted"):
        case [str(by), int(tokens), int(counted)] if 0 < counted <= messages:
            return Counted(by, tokens, counted)
    return None


def identity_written(identity: Identity) -> list[str]:
    """Who has thought, as it stands in a saved form."""
    return [identity.model, identity.account]


def identity_read(document: Mapping[str, Any]) -> Identity:
    """Who has thought in a saved form.

    Empty in one of an earlier version: its revision alone says who has.
    """
    match document.get("saidBy"):
        case [str(model), str(account)]:
            return Identity(model, account)
    return NOBODY


def dump(document: Mapping[str, Any]) -> bytes:
    """The saved form of what a conversation is."""
    # Lone surrogates can reach a transcript from a model; they must survive, not raise.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def load(saved: bytes) -> dict[str, Any]:
    """What a saved form holds.

    Raises:
        ValueError: it is of a newer format, or no saved form.
    """
    document: dict[str, Any] = json.loads(saved.decode("utf-8", "surrogatepass"))
    if document.get("format") != FORMAT:
        raise ValueError(
            f"a saved conversation has format {document.get('format')!r}, not {FORMAT}"
        )
    return document
