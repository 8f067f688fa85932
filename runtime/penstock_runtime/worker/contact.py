"""Whether Redis answers this process; told once each time that it stops."""

from collections.abc import Awaitable
from typing import Final, TypeVar

from penstock import errors
from penstock_runtime import instrumentation, logs
from penstock_runtime.agent.boundary import Broken, caught

CLAIM: Final = "claim"
HEARTBEAT: Final = "heartbeat"
BELL: Final = "wait_for_work"

_ALWAYS: Final = (CLAIM, HEARTBEAT, BELL)  # calls that are made all the time
_NEEDED: Final = (CLAIM, HEARTBEAT)  # without these no task is taken on

T = TypeVar("T")
log = logs.get()


class Contact:
    """Calls of the store that survive every answer, and none at all."""

    def __init__(self, meter: instrumentation.Meter) -> None:
        self._meter = meter
        self._problems: dict[str, BaseException] = {}  # by call; told once, until it is answered
        self._reached = False

    @property
    def answers(self) -> bool:
        """Whether Redis was reached, and last answered what a worker cannot do without."""
        return self._reached and not any(call in self._problems for call in _NEEDED)

    async def asked(self, what: str, call: Awaitable[T]) -> T | None:
        """The answer of a call, None when there is none.

        Args:
            what: names the call in logs; one that fails is told once, until it succeeds again.
            call: the call of the store.
        """
        answer = await caught(call)
        if isinstance(answer, Broken):
            self.failed(what, answer)
            return None
        self.succeeded(what)
        return answer

    def failed(self, what: str, broken: Broken) -> None:
        """Note that a call got no answer that can be used."""
        self._meter.store_error()
        away = isinstance(broken.error, errors.StoreUnavailable)
        known = what in self._problems or (away and bool(self._unanswered))
        self._problems[what] = broken.error
        if known:
            return
        if away:
            log.warning("Redis does not answer; waiting for it", call=what, error=broken.words)
        else:
            words = "a call of the store broke; going on without it"
            log.error(words, call=what, error=broken.words, where=broken.where)

    def succeeded(self, what: str) -> None:
        """Note that a call was answered."""
        self._reached = True
        self._problems.pop(what, None)
        if what in _ALWAYS:  # the others are made seldom: their own success may be minutes away
            for call in self._unanswered - set(_ALWAYS):
                del self._problems[call]

    @property
    def _unanswered(self) -> set[str]:
        found = self._problems.items()
        return {call for call, error in found if isinstance(error, errors.StoreUnavailable)}
