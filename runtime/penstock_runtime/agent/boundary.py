"""The one boundary of a worker's tasks: whatever breaks behind it becomes a value, and ends nothing else."""

import asyncio
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from penstock import errors

T = TypeVar("T")


@dataclass(frozen=True)
class Broken:
    """What a call ended with instead of an answer."""

    error: BaseException

    @property
    def words(self) -> str:
        """What may be said of it: its class; only our own errors' texts hold no stranger's words."""
        name = type(self.error).__name__
        return f"{name}: {self.error}" if isinstance(self.error, errors.PenstockError) else name

    @property
    def where(self) -> str:
        """Where in the code it broke, for logs: files and lines, and no value."""
        return "".join(traceback.format_tb(self.error.__traceback__))


async def caught(call: Awaitable[T]) -> T | Broken:
    """The answer of a call, or what it ended with.

    A library's panic and its ``SystemExit`` are no ``Exception`` and end one task all the same, as
    does a cancellation that nobody has asked for. Raises only what is meant for the caller: a
    cancellation of its own, and the end of the program.
    """
    try:
        return await call
    except BaseException as error:
        if _is_for_the_caller(error):
            raise
        return Broken(error)


def _is_for_the_caller(error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)
