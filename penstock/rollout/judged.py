"""The guardrails as they were judged, to be judged anew only where something else would be found."""

from dataclasses import dataclass

from penstock.analysis import gravity, guardrails
from penstock.analysis.evidence import Observation
from penstock.analysis.expected import Expected
from penstock.analysis.guardrails import Finding
from penstock.analysis.metrics import Tally
from penstock.api.analysis import Analysis, GuardrailMode, Yardstick
from penstock.api.comparison import OnRegression
from penstock.api.rollout import AgentRolloutStatus, Stage
from penstock.rollout import path

#: Whether a canary is under way, its first route version, when it last came back, and who is stable.
Evidence = tuple[bool, int, str | None, str]


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


def compares(declared: Analysis, status: AgentRolloutStatus) -> bool:
    """Whether the comparison condemns in place of the guardrails, which only take users off then.

    Where its findings are left to people, where the letter of a limit is asked for, where there is no stable
    revision, or while chosen users go first, who are compared with nobody, guardrails condemn.
    """
    return (
        declared.comparison is not None
        and status.stable_revision is not None
        and declared.on_regression is OnRegression.ROLLBACK
        and declared.guardrails.mode is GuardrailMode.CREDIBLE
        and path.under_way(status)
        and status.stage is not Stage.RINGS
    )


def judged_by(
    declared: Analysis,
    status: AgentRolloutStatus,
    observed: Observation | None,
    before: Tally,
    expected: Expected | None,
    *,
    alone: bool,
) -> tuple[Finding, ...]:
    """The guardrails, judged on users who are drawn and on users of rings; none without a measurement.

    Args:
        before: stable while it had enough of the users to be a measure.
        expected: what a task is expected to cost.
        alone: there is no stable revision.
    """
    if observed is None:
        return ()
    limits = declared.guardrails
    findings = guardrails.judge(limits, observed, before, expected, alone=alone)
    compared = compares(declared, status)
    if compared:
        findings = guardrails.sooner(findings, limits, observed, before)
    if observed.chosen is None:
        return findings
    ringed = guardrails.judge(limits, observed.chosen, before, expected, alone=alone)
    return gravity.graver(findings, ringed, windows_only_suspend=compared)
