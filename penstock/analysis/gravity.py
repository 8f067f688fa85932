"""Which of two findings says more against a canary: that of users who are drawn, or of users of rings."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from penstock.analysis.guardrails import CheckVerdict, Finding

#: What says more against a canary, the last most.
_GRAVER: Final = (
    CheckVerdict.SUSPECT,
    CheckVerdict.UNCLEAR,
    CheckVerdict.SHARED,
    CheckVerdict.UNCOMPARED,
    CheckVerdict.BREACHED,
)


def graver(findings: Sequence[Finding], of_rings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Of each guardrail what says more against the canary: users who are drawn, or users of rings.

    Whether stable is over a limit is known of all its tasks already.
    """
    return tuple(
        replace(ringed, chosen=True, stable_over=found.stable_over)
        if _gravity(ringed) > _gravity(found)
        else found
        for found, ringed in zip(findings, of_rings, strict=True)
    )


def _gravity(found: Finding) -> int:
    return _GRAVER.index(found.verdict) if found.verdict in _GRAVER else -1
