"""What a model's endpoint makes of who asks, and for what: the one word that workers pass on."""

from dataclasses import dataclass
from enum import StrEnum


class Access(StrEnum):
    """What the last call that says anything about it has said, or that this is out of date."""

    ACCEPTED = "Accepted"  # it answered
    CREDENTIALS_REFUSED = "CredentialsRefused"
    MODEL_NOT_FOUND = "ModelNotFound"  # nobody serves that model at that address
    UNTRIED = "Untried"  # there is another credential since it was refused, and no call with it yet


@dataclass(frozen=True)
class Heard:
    """A word on access, and when it was said: ms since 1970, Redis time."""

    access: Access
    at_ms: int
