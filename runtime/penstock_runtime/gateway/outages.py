"""What a gateway says of a store that is away: a line now and then, however many callers hear it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock_runtime import logs

QUIET_SECONDS: Final = 30.0


@dataclass
class Outages:
    """Remembers when it last said so."""

    clock: Callable[[], float] = time.monotonic
    _said_at: float = -math.inf
    _unsaid: int = 0

    def note(self, reason: str) -> None:
        """A caller heard that the store is away, for this reason."""
        now = self.clock()
        if now - self._said_at < QUIET_SECONDS:
            self._unsaid += 1
            return
        logs.get().error("the store does not serve", reason=reason, unsaid=self._unsaid)
        self._said_at, self._unsaid = now, 0
