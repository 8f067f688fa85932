"""The guardrails as they were judged, to be judged anew only where something else would be found."""

from dataclasses import dataclass

from penstock.analysis.expected import Expected
from penstock.analysis.guardrails import Finding
from penstock.api.analysis import Yardstick

#: Whether a canary is under way, its first route version, and when it last came back.
Evidence = tuple[bool, int, str | None]


@dataclass(frozen=True)
class Judged:
    """The guardrails judged, and on what: where the evidence begins, and stable as it was before."""

    evidence: Evidence
    before: Yardstick | None
    findings: tuple[Finding, ...]
    expected: Expected | None = None

    def holds_for(
        self,
        evidence: Evidence,
        before: Yardstick | None,
        expected: Expected | None,
    ) -> bool:
        """Whether judging on that would find the same."""
        same = before == self.before or not any(found.by_before for found in self.findings)
        return (evidence, expected) == (self.evidence, self.expected) and same
