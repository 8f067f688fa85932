"""What a call of a tool has done to the world: its state, and what is kept of it."""

from dataclasses import dataclass
from enum import StrEnum


class EffectState(StrEnum):
    """What is known of a call that changes something."""

    INTENDED = "Intended"  # it was about to be made: whether it was, nobody knows
    DONE = "Done"
    REFUSED = "Refused"  # the tool has answered that it was not done, or it was never reached
    NOT_MADE = "NotMade"  # the worker was called off before it sent anything


@dataclass(frozen=True)
class Effect:
    """One call of a tool that is not ReadOnly. ``at_ms`` is Redis time, ``revision`` a hash.

    ``amount_micro``: what its amountFrom says it is worth, in millionths; None where it says
    nothing. ``shown`` is JSON of the arguments that may be shown. Digests are SHA-256 of the arguments
    and of what the tool answered, "" where it has not.
    """

    id: str
    task: str
    tenant: str
    user: str
    revision: str
    tool: str
    state: EffectState
    at_ms: int
    step: int
    position: int
    amount_micro: int | None = None
    shown: str = "{}"
    arguments_digest: str = ""
    result_digest: str = ""
