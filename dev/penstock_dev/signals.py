"""How a program takes the signals that end it: from a terminal, from a script's background and from a supervisor alike."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def as_in_the_foreground() -> None:
    """Take SIGINT and SIGTERM as a program does that was started in the foreground.

    A shell without job control starts `command &` with SIGINT ignored, and what is ignored or
    blocked is inherited by every process below. A program calls this first, so what it starts
    has the system's defaults too: a signal with a handler is reset in a new program.

    An ignored SIGHUP stays ignored, since that is what `nohup` asks for. Main thread only.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def to_defaults() -> None:
    """Leave every ending signal to the system, as between `fork` and `exec` of a child."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Let SIGTERM and a lost terminal end the block as Ctrl-C does. Main thread only."""

    def interrupt(_number: int, _frame: object) -> None:
        signal.raise_signal(signal.SIGINT)  # as an event loop expects it, too

    earlier = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def run(command: list[str]) -> int:
    """Run a program to its end, or ours, and answer its exit code. Main thread only.

    A signal that comes while the program starts is heard once the program can be ended: an
    interrupted start would leave it running, known to nobody.
    """
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        started = subprocess.Popen(command, preexec_fn=to_defaults)  # noqa: PLW1509
        with started:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, heard)
                return started.wait()
            except BaseException:
                started.kill()
                raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
