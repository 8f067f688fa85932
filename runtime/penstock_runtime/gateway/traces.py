"""Trace context of a request (W3C Trace Context, level 1)."""

import re
import secrets
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True)
class Trace:
    """The trace a request belongs to, and the gateway's own span in it (lower-case hex)."""

    trace_id: str
    span_id: str
    flags: str = "01"

    @property
    def parent(self) -> str:
        """The header ``traceparent`` for whoever is called or answered next."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def trace_of(traceparent: str | None) -> Trace:
    """Go on with the caller's trace, or begin one when there is none or it is malformed."""
    span_id = secrets.token_hex(8)
    known = _TRACEPARENT.fullmatch(traceparent or "")
    if known is None or not _is_usable(known):
        return Trace(secrets.token_hex(16), span_id)
    return Trace(known[2], span_id, known[4])


def _is_usable(match: re.Match[str]) -> bool:
    version, trace_id, parent, _, rest = match.groups()
    if version == "ff" or not (trace_id.strip("0") and parent.strip("0")):
        return False
    return rest is None or version != "00"
