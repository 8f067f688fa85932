"""A model that is asked again: after which failures, how often, after how long."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from penstock_runtime.agent.models.model import (
    UNASKED,
    Failure,
    Model,
    ModelFailed,
    Reply,
    Request,
    Wrapper,
)

_LONGEST_SECONDS: Final = 30.0
_NEVER: Final = (Failure.REFUSED, Failure.TOO_LONG)
_PACING: Final = (Failure.PACED, Failure.RATE_LIMITED)  # a wait that the vendor asks for
_ONCE: Final = (Failure.GARBLED, Failure.CREDENTIALS)

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Policy:
    """How a failed call is tried again: ``retries`` times, waiting from ``base_seconds`` up to 30 s.

    ``outlasts_breaker``: whether to wait until an open breaker lets somebody through; such a wait is
    no try.
    """

    retries: int
    base_seconds: float
    outlasts_breaker: bool = True

    def wait_seconds(self, attempt: int, failure: ModelFailed, chance: float) -> float:
        """How long to wait after the ``attempt``-th failure in a row, counted from 1.

        The base doubles with each attempt; half of it is fixed, half is left to ``chance`` (0-1),
        so that workers that failed together do not come back together. What the model asks for is
        the least.
        """
        backoff = min(_LONGEST_SECONDS, self.base_seconds * 2.0 ** (attempt - 1))
        return max(backoff * (0.5 + chance / 2), failure.retry_after_seconds or 0.0)


class Retrying(Wrapper):
    """The one owner of retries: asks until there is a reply, trying again what may succeed."""

    def __init__(self, model: Model, policy: Policy) -> None:
        super().__init__(model)
        self._policy = policy

    async def reply(self, request: Request) -> Reply:
        """Ask until the deadline; a wait beyond it is not begun. See ``Model.reply``.

        Raises:
            ModelFailed: of the last attempt.
        """
        return await self._until_answered(self._model.reply, request)

    async def count_tokens(self, request: Request) -> int | None:
        """Ask to count as often as for a reply. See ``Model.count_tokens``."""
        return await self._until_answered(self._model.count_tokens, request)

    async def _until_answered(
        self, ask: Callable[[Request], Awaitable[Answer]], request: Request
    ) -> Answer:
        failures: list[Failure] = []
        while True:
            timeout = max(0.001, min(request.timeout_seconds, request.left_seconds))
            try:
                return await ask(replace(request, timeout_seconds=timeout))
            except ModelFailed as failure:
                failures.append(failure.kind)
                if not self._again(failures):
                    raise
                await self._wait(_tries(failures), failure, request)

    async def _wait(self, attempt: int, failure: ModelFailed, request: Request) -> None:
        if failure.kind is Failure.CREDENTIALS:
            return  # there is another key by now
        if failure.kind in UNASKED:
            seconds = failure.retry_after_seconds or 0.0
        else:
            seconds = self._policy.wait_seconds(attempt, failure, request.context.chance())
        if seconds >= request.left_seconds:
            late = f"{failure.message}; the next try in {seconds:.0f} s would be too late"
            raise failure.reworded(late) from failure
        await request.context.sleep(seconds)
        if failure.kind in _PACING and failure.retry_after_seconds:
            request.bill.paced_ms += round(seconds * 1000)

    def _again(self, failures: list[Failure]) -> bool:
        """Whether to try again after these failures, the last of which has just happened."""
        kind = failures[-1]
        if kind is Failure.BREAKER_OPEN:
            return self._policy.outlasts_breaker and self._policy.retries > 0
        if kind is Failure.PACED:
            return self._policy.retries > 0
        if kind in _NEVER or (kind in _ONCE and failures.count(kind) > 1):
            return False
        if kind is Failure.CREDENTIALS:
            return self.renew_credentials()
        return _tries(failures) <= self._policy.retries


def _tries(failures: list[Failure]) -> int:
    """How many requests were made."""
    return sum(kind not in UNASKED for kind in failures)
