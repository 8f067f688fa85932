"""What the exit code of ``penstock`` says."""

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2  # as of every program made with typer
    REFUSED = 3
    UNFINISHED = 4
    ESCALATED = 5
    INTERRUPTED = 130  # 128 + SIGINT, as in every shell


MEANING: Final = (
    "Exit codes: 0 done; 1 the task failed, or the command did; 2 wrong usage; 3 gateway, cluster or "
    "operator refused, or could not be reached; 4 it has not ended within --wait; 5 it takes a person "
    "(Escalated); 130 interrupted."
)


class Stopped(Exception):
    """The command ends here, with a sentence for the person and an exit code."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
