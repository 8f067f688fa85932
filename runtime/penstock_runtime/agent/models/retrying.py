"""The one owner of retries of model calls: which failures, how often, after how long."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from penstock_runtime import instrumentation
from penstock_runtime.agent.models.model import (
    Account,
    Failure,
    Model,
    ModelFailed,
    Reply,
    Request,
    Tokens,
)

_LONGEST_SECONDS: Final = 30.0
_NEVER: Final = (Failure.REFUSED, Failure.TOO_LONG)
_ONCE: Final = (Failure.GARBLED, Failure.CREDENTIALS)


@dataclass(frozen=True)
class Policy:
    """How a failed call is tried again: ``retries`` times, waiting from ``base_seconds`` up to 30 s."""

    retries: int
    base_seconds: float

    def wait_seconds(self, attempt: int, failure: ModelFailed, chance: float) -> float:
        """How long to wait after the ``attempt``-th failure in a row, counted from 1.

        The base doubles with each attempt; half of it is fixed, half is left to ``chance`` (0-1),
        so that workers that failed together do not come back together. What the model asks for is
        the least.
        """
        backoff = min(_LONGEST_SECONDS, self.base_seconds * 2.0 ** (attempt - 1))
        return max(backoff * (0.5 + chance / 2), failure.retry_after_seconds or 0.0)


@dataclass
class Attempts:
    """What a call took, written down as it goes: it must be paid even when the call is stopped."""

    count: int = 0
    tokens: Tokens = field(default_factory=Tokens)


async def reply(
    model: Model,
    request: Request,
    policy: Policy,
    attempts: Attempts,
    *,
    left_seconds: Callable[[], float],
    meter: instrumentation.Meter,
) -> Reply:
    """Ask until there is a reply, trying again what may succeed.

    Args:
        attempts: is updated with every attempt.
        left_seconds: how long the task may still run; a wait beyond it is not begun.
    Raises:
        ModelFailed: of the last attempt.
    """
    failures: list[Failure] = []
    while True:
        attempts.count += 1
        timeout = max(0.001, min(request.timeout_seconds, left_seconds()))
        asked = replace(request, timeout_seconds=timeout, account=Account())
        try:
            answer = await _timed(model, asked, meter)
        except asyncio.CancelledError:
            attempts.tokens += asked.account.tokens
            raise
        except ModelFailed as failure:
            attempts.tokens += failure.tokens
            failures.append(failure.kind)
            if not _again(failures, policy, model):
                raise
            await _wait(
                policy.wait_seconds(len(failures), failure, random.random()),
                failure,
                left_seconds(),
            )
        else:
            attempts.tokens += answer.tokens
            return answer


async def _wait(seconds: float, failure: ModelFailed, left_seconds: float) -> None:
    if failure.kind is Failure.CREDENTIALS:
        return  # there is another key by now
    if seconds >= left_seconds:
        message = f"{failure.message}; the next try in {seconds:.0f} s would be too late"
        raise ModelFailed(failure.kind, message) from failure
    await asyncio.sleep(seconds)


def _again(failures: list[Failure], policy: Policy, model: Model) -> bool:
    """Whether to try again after these failures, the last of which has just happened."""
    kind = failures[-1]
    if kind in _NEVER or (kind in _ONCE and failures.count(kind) > 1):
        return False
    if kind is Failure.CREDENTIALS:
        return model.renew_credentials()
    return len(failures) <= policy.retries


async def _timed(model: Model, request: Request, meter: instrumentation.Meter) -> Reply:
    loop = asyncio.get_running_loop()
    started = loop.time()
    outcome = instrumentation.CANCELLED
    try:
        answer = await model.reply(request)
        outcome = instrumentation.ANSWERED
    except ModelFailed as failure:
        outcome = failure.kind.value
        raise
    finally:
        meter.model_called(outcome, loop.time() - started)
    return answer
