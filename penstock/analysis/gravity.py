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


#: What of them follows at once: users are taken off, or the canary is rejected.
_ACT: Final = (CheckVerdict.SHARED, CheckVerdict.UNCOMPARED, CheckVerdict.BREACHED)


def graver(
    findings: Sequence[Finding], of_rings: Sequence[Finding], *, windows_only_suspend: bool = False
) -> tuple[Finding, ...]:
    """Of each guardrail what says more against the canary: users who are drawn, or users of rings.

    Whether stable is over a limit is known of all its tasks already.

    Args:
        windows_only_suspend: of those who are drawn a breach condemns nobody, of users of rings it does.
    """
    return tuple(
        replace(ringed, chosen=True, stable_over=found.stable_over)
        if _gravity(ringed) > _gravity(found)
        or (windows_only_suspend and _decides(ringed.verdict, found.verdict))
        else found
        for found, ringed in zip(findings, of_rings, strict=True)
    )


def _decides(ringed: CheckVerdict, drawn: CheckVerdict) -> bool:
    """Whether what users of rings see has consequences that the other finding, as grave or graver, has not."""
    return ringed in _ACT and drawn in (ringed, CheckVerdict.BREACHED)


def _gravity(found: Finding) -> int:
    return _GRAVER.index(found.verdict) if found.verdict in _GRAVER else -1
