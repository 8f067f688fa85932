"""A question to the person at this terminal, who stands by what is about to be done, or does not."""

import sys

from penstock_cli.exits import Exit, Stopped


def stand_by(question: str, *, otherwise: str, unasked: str) -> None:
    """Ask on standard error, and go on where the answer is yes.

    Args:
        otherwise: what is said where it is another one.
        unasked: what is said where nobody is at this terminal.

    Raises:
        Stopped: the answer is no, or nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise Stopped(Exit.REFUSED, unasked)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise Stopped(Exit.REFUSED, otherwise)
