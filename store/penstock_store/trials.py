"""What copies of tasks have shown of a canary, from what `look.lua` says of it."""

from collections.abc import Sequence
from typing import Any

from penstock.shadow import Trial, Verdict


def read(said: Sequence[Any]) -> Trial | None:
    """The counts of copies, and what they spend; None where none are made, or another hand has written there."""
    if not said:
        return None
    try:
        counts, place = (_figures(flat) for flat in said)
    except (ValueError, TypeError):
        return None
    judged = (Verdict.AGREES, Verdict.OTHER_CALLS, Verdict.OTHER_END)
    return Trial(
        begun_ms=counts.get("since", 0),
        drawn=counts.get("drawn", 0),
        judged=sum(counts.get(verdict, 0) for verdict in judged),
        agreed=counts.get(Verdict.AGREES, 0),
        capped=counts.get("capped", 0),
        full=counts.get("full", 0),
        too_large=counts.get("tooLarge", 0),
        micro_usd=place.get("u", 0) + place.get("ou", 0),
    )


def _figures(flat: Sequence[bytes]) -> dict[str, int]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): int(value) for name, value in pairs}
