"""Token buckets that fill evenly over a minute."""

from __future__ import annotations

from penstock_dev.model import ratelimit

LIMITS = ratelimit.Limits(60, 6000, 600)


def test_an_allowance_is_used_up_and_comes_back_with_time():
    allowance = ratelimit.Allowance(LIMITS, now=0)
    assert all(allowance.admit(1, 1, now=0) is None for _ in range(60))
    refused = allowance.admit(1, 1, now=0)
    assert refused is not None
    assert refused.headers == (("retry-after", "1"),)
    assert allowance.admit(1, 1, now=1) is None


def test_output_is_judged_by_what_is_allowed_and_charged_by_what_is_written():
    allowance = ratelimit.Allowance(LIMITS, now=0)
    assert allowance.admit(1, 600, now=0) is None
    assert allowance.admit(1, 600, now=0) is not None
    allowance.settle(600, 0, now=0)
    assert allowance.admit(1, 600, now=0) is None


def test_a_request_larger_than_a_minute_waits_for_a_full_bucket_and_is_let_through():
    allowance = ratelimit.Allowance(LIMITS, now=0)
    assert allowance.admit(60_000, 1, now=0) is None
    assert allowance.admit(1, 1, now=1) is not None


def test_the_headers_tell_limit_rest_and_when_it_is_full():
    allowance = ratelimit.Allowance(LIMITS, now=0)
    allowance.admit(3000, 60, now=0)
    headers = dict(allowance.headers(now=0))
    assert len(headers) == 12
    assert headers["anthropic-ratelimit-requests-remaining"] == "59"
    assert headers["anthropic-ratelimit-input-tokens-remaining"] == "3000"
    assert headers["anthropic-ratelimit-input-tokens-reset"] == "1970-01-01T00:00:30Z"
    assert headers["anthropic-ratelimit-tokens-limit"] == "6600"
    assert headers["anthropic-ratelimit-tokens-remaining"] == "3540"
