"""What a refusal of the Messages API means: which failures may be tried again, and when."""

import email.utils
import math
import re
from collections.abc import Mapping
from typing import Final

from penstock.access import Access
from penstock.money.pool import PerMinute
from penstock_runtime.agent.models.model import Failure

LONGEST_RETRY_AFTER_SECONDS: Final = 86_400.0  # no task waits longer; more says nothing more

_TOO_LONG: Final = re.compile(
    r"prompt is too long|input is too long|context (window|length)|exceeds? the .*context",
    re.IGNORECASE,
)
_BY_TYPE: Final = {
    "rate_limit_error": Failure.RATE_LIMITED,
    "overloaded_error": Failure.OVERLOADED,
    "api_error": Failure.OVERLOADED,
    "timeout_error": Failure.OVERLOADED,
    "conflict_error": Failure.OVERLOADED,
    "authentication_error": Failure.CREDENTIALS,
    "permission_error": Failure.CREDENTIALS,
}
#: Nobody serves that model there: not at all, not by that method, not any more, or somewhere else.
_NOT_THERE: Final = frozenset((404, 405, 410, *range(300, 400)))
_NOT_IMPLEMENTED: Final = 501
_LIMITED: Final = ("requests", "input-tokens", "output-tokens")
_FIGURE_DIGITS: Final = 12


def kind_of(status: int, error_type: str, code: str, headers: Mapping[str, str]) -> Failure:
    """Which kind of failure an error answer is.

    Args:
        status: HTTP status; 200 for an error in the middle of a stream, told by its type alone.
        error_type, code: ``error.type`` and ``error.details.error_code``, empty when absent.
        headers: of the answer, in any case.
    """
    # A spend limit is reached for hours: the vendor's own client would try again.
    if "spend_limit" in code:
        return Failure.REFUSED
    # Another key makes another request: what forbids a retry of this one does not speak of it.
    if access_of(status, error_type) is Access.CREDENTIALS_REFUSED:
        return Failure.CREDENTIALS
    if headers.get("x-should-retry") == "false":
        return Failure.REFUSED
    if status == 200:
        return _BY_TYPE.get(error_type, Failure.REFUSED)
    if status == 429:
        return Failure.RATE_LIMITED
    return Failure.OVERLOADED if status in (408, 409) or status >= 500 else Failure.REFUSED


def is_not_offered(status: int) -> bool:
    """Whether a status says that there is no such thing at an endpoint, now or later."""
    return status in _NOT_THERE or status == _NOT_IMPLEMENTED


def access_of(status: int, error_type: str) -> Access | None:
    """What an error answer says of the credential and the model; None where it says nothing.

    Args:
        status: HTTP status; 200 for an error in the middle of a stream, told by its type alone.
        error_type: ``error.type``, empty when absent.
    """
    told = _BY_TYPE.get(error_type) if status == 200 else None
    if status in (401, 403) or told is Failure.CREDENTIALS:
        return Access.CREDENTIALS_REFUSED
    nowhere = status in _NOT_THERE or (status == 200 and error_type == "not_found_error")
    return Access.MODEL_NOT_FOUND if nowhere else None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the answer asks to wait; None when it does not say or says it badly.

    A date is taken relative to the answer's own Date header, so that no clock has to agree.
    """
    try:
        if "retry-after-ms" in headers:
            said: float | None = float(headers["retry-after-ms"]) / 1000
        else:
            said = _seconds_or_date(headers["retry-after"], headers.get("date"))
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return None
    if said is None or math.isnan(said):
        return None
    return min(max(0.0, said), LONGEST_RETRY_AFTER_SECONDS)


def allowed(headers: Mapping[str, str]) -> PerMinute | None:
    """What an answer says its vendor allows in a minute; None where it says nothing that can be read."""
    figures = [_figure(headers.get(f"anthropic-ratelimit-{kind}-limit")) for kind in _LIMITED]
    return PerMinute(*figures) if any(figures) else None


def _figure(value: str | None) -> int | None:
    if not value or not (value.isascii() and value.isdecimal() and len(value) <= _FIGURE_DIGITS):
        return None
    return int(value) or None


def is_too_long(status: int, words: str) -> bool:
    """Whether a refusal means that the conversation does not fit into the model's window."""
    return status in (400, 413) and _TOO_LONG.search(words) is not None


def _seconds_or_date(value: str, answered_at: str | None) -> float | None:
    try:
        return float(value)
    except ValueError:
        if answered_at is None:
            return None
        then = email.utils.parsedate_to_datetime(value)
        return (then - email.utils.parsedate_to_datetime(answered_at)).total_seconds()
