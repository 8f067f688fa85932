"""Sees to it that the control plane's programs are on this machine: found, fetched or built, with progress.

The last part of `make setup`. On a new machine this is the long one; afterwards it only looks.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from penstock_dev.controlplane import binaries

STARTED = time.monotonic()


def say(text: str) -> None:
    """Prints one line of progress with the seconds since the start."""
    print(f"setup {time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def main() -> int:
    """Gets every program that is missing; prints what was tried when one cannot be had."""
    try:
        asyncio.run(binaries.resolve(binaries.Sources.from_environment(os.environ), say))
    except binaries.BinariesUnavailable as unavailable:
        print(f"setup failed: {unavailable}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
