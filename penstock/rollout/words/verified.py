"""What is said of a recorded decision that was not found equal."""

from typing import Final

NO_ENTRY: Final = "it is no entry"
CHANGED_BEFORE: Final = "the one before it was changed"
OTHER_HEAD: Final = "the ControllerRevision has another digest of it"
NOT_THERE: Final = "it is not in the record"
NOT_GIVEN: Final = "it was written without what it was given"
LIMITS_CHANGED: Final = "what is counted was changed since the canary began"
DIGEST_LATER: Final = "the digest of the rows begins after the canary did"


def unread(error: Exception) -> str:
    """What it was given is none."""
    return f"what it was given cannot be read ({type(error).__name__})"


def engine(needed: str) -> str:
    """Another engine has decided."""
    return f"engine {needed} needed"


def trimmed(first: str) -> str:
    """The log begins with this row."""
    return f"rows before {first} were trimmed"


def lost(at: str) -> str:
    """The log has a gap before this row."""
    return f"the log has lost rows before {at}"
