"""Whether a task that is not there was kept for its time, by the moment that its id carries."""

from typing import Final

from penstock import task as tasks
from penstock_runtime.gateway import plain, wire
from penstock_runtime.gateway.problems import Problem

_EPOCH_MS: Final = 1_735_689_600_000  # 2025: no task is older
_ID_CHARACTERS: Final = 200


def missing(identifier: str, kept_seconds: float, now_ms: int) -> Problem:
    """The problem of a task that is not there: it never was, or it ended too long ago.

    Args:
        kept_seconds: how long an ended task is kept.
        now_ms: milliseconds since 1970.
    """
    named = repr(plain.shortened(identifier, _ID_CHARACTERS))
    created_ms = tasks.created_ms_of(identifier)
    if created_ms is None or not _EPOCH_MS <= created_ms < now_ms - kept_seconds * 1000:
        return Problem("task-not-found", f"There is no task {named}.")
    begun, kept = wire.timestamp(created_ms), f"{kept_seconds:,.0f}"
    detail = f"The task {named} of {begun} is kept no longer: {kept} s after its end it is removed."
    return Problem("task-expired", detail)
