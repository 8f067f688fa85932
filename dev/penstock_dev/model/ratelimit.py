"""Rate limits as token buckets, and the headers that tell their state."""

import functools
import math
import time
from dataclasses import dataclass

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

    def full_at(self, now: float) -> float:
        """When the bucket will be full again."""
        return now + (self.capacity - self.level(now)) * 60 / self.capacity


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
        return (
            *_describe("requests", [self._requests], now),
            *_describe("input-tokens", [self._input], now),
            *_describe("output-tokens", [self._output], now),
            *_describe("tokens", [self._input, self._output], now),
        )


def _describe(name: str, buckets: list[Bucket], now: float) -> tuple[tuple[str, str], ...]:
    prefix = f"anthropic-ratelimit-{name}"
    return (
        (f"{prefix}-limit", str(sum(bucket.capacity for bucket in buckets))),
        (f"{prefix}-remaining", str(sum(max(0, int(bucket.level(now))) for bucket in buckets))),
        (f"{prefix}-reset", _rfc3339(math.ceil(max(bucket.full_at(now) for bucket in buckets)))),
    )


@functools.lru_cache(maxsize=256)
def _rfc3339(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
