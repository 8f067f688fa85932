"""Whether the gates outside of Penstock let a canary further: a number that is missing lets nothing pass."""

from functools import partial
from typing import Final

from penstock.analysis import gates
from penstock.analysis.gates import Word
from penstock.api.external import ExternalGate
from penstock.api.reasons import WaitReason
from penstock.rollout import gated
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Wait
from penstock.rollout.words import external

_ORDER: Final = (
    WaitReason.EXTERNAL_MISSING,
    WaitReason.EXTERNAL_GATE,
    WaitReason.HOLDING,
)


def closed(facts: Facts) -> Wait | None:
    """Nothing is raised past a gate that is closed; it condemns nobody, and delays no person's word.

    A gate without a number is told before one outside of its bounds, which is told before one that
    has not kept them for long enough.
    """
    declared = facts.situation.spec.analysis.external
    held = [wait for gate in declared if (wait := _closed(facts, gate))]
    return min(held, key=lambda wait: _ORDER.index(wait.reason), default=None)


def _closed(facts: Facts, gate: ExternalGate) -> Wait | None:
    report = gated.report(facts, gate)
    known = gated.answer(facts, gate)
    if report is None or (known.at is None and not known.unresolved):
        return Wait(WaitReason.HOLDING, partial(external.asked, gate=gate))
    if report.verdict == Word.MISSING:
        return Wait(WaitReason.EXTERNAL_MISSING, partial(external.missing, gate=gate, said=report))
    opens = gates.passes_at(gate, report, facts.status.step_started_at)
    if opens is None:
        return Wait(WaitReason.EXTERNAL_GATE, partial(external.outside, gate=gate, said=report))
    if opens <= facts.now:
        return None
    said = partial(external.not_long_enough, gate=gate, said=report, opens=opens)
    return Wait(WaitReason.HOLDING, said, opens)
