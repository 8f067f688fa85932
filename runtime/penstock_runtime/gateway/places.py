"""How much one caller may do at a time: streams he follows, tasks he waits for."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from penstock_runtime.gateway import problems
from penstock_runtime.gateway.access import Caller

STREAMS_PER_CALLER = 1000
WAITS_PER_CALLER = 1000


@dataclass(frozen=True)
class Places:
    """So many places for each caller; a caller is a name of a tenant."""

    most: int
    slug: str
    doing: str
    _taken: Counter[tuple[str, str]] = field(default_factory=Counter)

    @contextlib.contextmanager
    def taken(self, caller: Caller) -> Iterator[None]:
        """Take a place and give it back.

        Raises:
            Problem: the caller has no place left.
        """
        key = (caller.tenant, caller.name)
        if self._taken[key] >= self.most:
            raise problems.too_many(self.slug, self.doing, self.most)
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]


def streams(most: int = STREAMS_PER_CALLER) -> Places:
    """Places for streams."""
    return Places(most, "too-many-streams", "follows")


def waits(most: int = WAITS_PER_CALLER) -> Places:
    """Places for calls that wait for the end of a task."""
    return Places(most, "too-many-waits", "waits for")
