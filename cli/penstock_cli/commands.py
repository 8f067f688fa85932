"""How a command is carried out: what stops it is a sentence and an exit code."""

import io
import sys
from collections.abc import Callable

import typer

from penstock_cli import exits


def carry_out(command: Callable[[], int | None]) -> None:
    """Run a command in the foreground, with output that any terminal takes; what it gives is the exit code."""
    from penstock_dev import signals

    _replace_what_cannot_be_printed()
    signals.as_in_the_foreground()
    try:
        # Ended from outside or by its terminal, it tidies up as after Ctrl-C.
        with signals.ended_like_interrupted():
            code = command()
    except exits.Stopped as stopped:
        print(f"penstock: {stopped.sentence}", file=sys.stderr)
        raise typer.Exit(stopped.code) from None
    except KeyboardInterrupt:
        print("penstock: interrupted; what was submitted goes on", file=sys.stderr)
        raise typer.Exit(exits.Exit.INTERRUPTED) from None
    if code:
        raise typer.Exit(code)


def _replace_what_cannot_be_printed() -> None:
    """An answer with a character that the terminal lacks is printed without it, not as an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
