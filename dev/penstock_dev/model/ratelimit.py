"""Rate limits as token buckets, and the headers that tell their state."""

import functools
import math
import time
from dataclasses import dataclass
from typing import NamedTuple

from penstock_dev.model import faults


@dataclass(frozen=True)
class Limits:
    """What one model line may use in a minute. The defaults are far above what one server can answer."""

    requests_per_minute: int = 10_000_000
    input_tokens_per_minute: int = 10_000_000_000
    output_tokens_per_minute: int = 10_000_000_000


class Bucket:
    """A bucket that holds a minute's allowance and fills evenly. Times are seconds of one clock."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.capacity = per_minute
        self._level = float(per_minute)
        self._at = now

    def level(self, now: float) -> float:
        """What may be used at once."""
        filled = (now - self._at) * self.capacity / 60
        self._level = min(self.capacity, self._level + max(0.0, filled))
        self._at = max(now, self._at)
        return self._level

    def wait_seconds(self, amount: float, now: float) -> float:
        """How long until the amount may be used; more than the bucket holds waits for a full one."""
        missing = min(amount, self.capacity) - self.level(now)
        return max(0.0, missing * 60 / self.capacity)

    def take(self, amount: float, now: float) -> None:
        """Use an amount; a negative one gives back."""
        self._level = min(self.capacity, self.level(now) - amount)


class Allowance:
    """The buckets of one model line."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._requests = Bucket(limits.requests_per_minute, now)
        self._input = Bucket(limits.input_tokens_per_minute, now)
        self._output = Bucket(limits.output_tokens_per_minute, now)

    def admit(self, input_tokens: int, max_tokens: int, now: float) -> faults.Fault | None:
        """Take a request's share, its output judged by `max_tokens`; a fault when one bucket is too empty."""
        wanted = ((self._requests, 1), (self._input, input_tokens), (self._output, max_tokens))
        wait = max(bucket.wait_seconds(amount, now) for bucket, amount in wanted)
        if wait:
            header = ("retry-after", str(math.ceil(wait)))
            return faults.Fault(429, "This request would exceed the rate limit.", headers=(header,))
        for bucket, amount in wanted:
            bucket.take(amount, now)
        return None

    def settle(self, max_tokens: int, output_tokens: int, now: float) -> None:
        """Give back the output that was allowed and not written."""
        self._output.take(output_tokens - max_tokens, now)

    def headers(self, now: float) -> tuple[tuple[str, str], ...]:
        """The twelve `anthropic-ratelimit-*` headers."""
        requests, written, read = (
            _State(bucket.capacity, bucket.level(now))
            for bucket in (self._requests, self._output, self._input)
        )
        both = _State(written.limit + read.limit, written.level + read.level)
        both_full_seconds = max(written.full_seconds, read.full_seconds)
        return (
            *_describe("requests", requests, now + requests.full_seconds),
            *_describe("input-tokens", read, now + read.full_seconds),
            *_describe("output-tokens", written, now + written.full_seconds),
            *_describe("tokens", both, now + both_full_seconds),
        )


class _State(NamedTuple):
    limit: int
    level: float

    @property
    def full_seconds(self) -> float:
        return (self.limit - self.level) * 60 / self.limit


def _describe(name: str, state: _State, full_at: float) -> tuple[tuple[str, str], ...]:
    prefix = f"anthropic-ratelimit-{name}"
    return (
        (f"{prefix}-limit", str(state.limit)),
        (f"{prefix}-remaining", str(max(0, int(state.level)))),
        (f"{prefix}-reset", _rfc3339(math.ceil(full_at))),
    )


@functools.lru_cache(maxsize=256)
def _rfc3339(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
