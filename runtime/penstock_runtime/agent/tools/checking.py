"""The check of an input in a process of its own, which is ended when it takes too long.

The library that checks lets no other thread run meanwhile. A schema of a kilobyte can take it
longer than there is time, and that must hold up no other task of the worker.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

DEADLINE_SECONDS: Final = 5.0
AT_ONCE: Final = 2  # processes of a worker

_TOO_LONG: Final = (
    f"the input could not be checked against the schema within {DEADLINE_SECONDS:.0f} s, and the "
    "tool was not called; the schema of this tool must be made simpler"
)


async def problem(
    schema: Mapping[str, Any], given: Mapping[str, Any], turn: asyncio.Semaphore
) -> str:
    """What is wrong with an input, for the model to read; empty when nothing is.

    Args:
        turn: bounds how many of these processes there are at once.
    """
    asked = json.dumps({"schema": schema, "input": given}).encode()
    async with turn:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                said, _ = await process.communicate(asked)
        except TimeoutError:
            return _TOO_LONG
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return said.decode("utf-8", "replace") if process.returncode == 0 else _TOO_LONG


def main() -> None:
    """Check what stands on standard input; the problem goes to standard output."""
    from penstock_runtime.agent.tools import toolbox  # noqa: PLC0415 - toolbox imports this module

    asked = json.load(sys.stdin)
    sys.stdout.write(toolbox.fit(toolbox.compiled(asked["schema"]), asked["input"]))


if __name__ == "__main__":
    main()
