"""Sees to it that the control plane's programs are on this machine: found, fetched or built, with progress.

    programs.py [more]    and those of other programs, such as helm, that are named

The last part of `make setup`. On a new machine this is the long one; afterwards it only looks.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from penstock_dev.controlplane import binaries
from penstock_dev.kind import programs

STARTED = time.monotonic()


def say(text: str) -> None:
    """Prints one line of progress with the seconds since the start."""
    print(f"setup {time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


async def provide(more: list[str]) -> None:
    """Gets every program that is missing."""
    await binaries.resolve(binaries.Sources.from_environment(os.environ), say)
    await programs.resolve(more, say)


def main(more: list[str]) -> int:
    """Gets the programs; prints what was tried when one cannot be had."""
    try:
        asyncio.run(provide(more))
    except (binaries.BinariesUnavailable, programs.ProgramUnavailable) as unavailable:
        print(f"setup failed: {unavailable}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
