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


MEANINGS: Final = {
    Exit.DONE: "done",
    Exit.FAILED: "the task failed, or the command did",
    Exit.USAGE: "wrong usage",
    Exit.REFUSED: "gateway, cluster or operator refused, or could not be reached",
    Exit.UNFINISHED: "it has not ended within --wait, or was checked only in part",
    Exit.ESCALATED: "it takes a person (Escalated)",
    Exit.INTERRUPTED: "interrupted",
}
MEANING: Final = (
    "Exit codes: " + "; ".join(f"{code.value} {told}" for code, told in MEANINGS.items()) + "."
)
#: Of ``penstock plan``, as of kubectl diff: 1 is no error.
PLANNED: Final = {
    Exit.DONE: "nothing would change",
    Exit.FAILED: "something would",
    Exit.USAGE: "wrong usage, or no manifest that can be read",
    Exit.REFUSED: "something would be refused or not accepted, or the cluster does not tell",
    Exit.UNFINISHED: "checked only in part: no API server was asked, or not all could be read",
    Exit.INTERRUPTED: "interrupted",
}
MEANING_OF_PLAN: Final = (
    "Exit codes: " + "; ".join(f"{code.value} {told}" for code, told in PLANNED.items()) + "."
)


class Stopped(Exception):
    """The command ends here, with a sentence for the person and an exit code."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
