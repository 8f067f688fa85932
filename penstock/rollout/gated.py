"""What the gates outside of Penstock say at this moment of a decision."""

from collections.abc import Iterable

from penstock.analysis import gates
from penstock.analysis.gates import Answer
from penstock.api.external import ExternalGate, GateReport
from penstock.rollout.facts import Facts


def answer(facts: Facts, gate: ExternalGate) -> Answer:
    """What is known of a gate; nothing yet while it is asked for the first time."""
    return facts.situation.external.get(gate.name) or Answer()


def report(facts: Facts, gate: ExternalGate) -> GateReport | None:
    """What a gate says now; None where it has said nothing yet."""
    before = next((r for r in facts.status.analysis.external if r.name == gate.name), None)
    return gates.judge(gate, answer(facts, gate), before, facts.now)


def reports(facts: Facts) -> tuple[GateReport, ...]:
    """What all gates say, in the order of spec."""
    found = (report(facts, gate) for gate in facts.situation.spec.analysis.external)
    return tuple(one for one in found if one is not None)


def words(said: Iterable[GateReport]) -> tuple[str, ...]:
    """What is news of them: each gate's word. Why one has no number may be told otherwise each time."""
    return tuple(f"{one.name} {one.verdict}" for one in said)


def unresolved(facts: Facts) -> tuple[tuple[ExternalGate, Answer], ...]:
    """The gates that cannot be asked until a person mends them."""
    declared = facts.situation.spec.analysis.external
    known = ((gate, answer(facts, gate)) for gate in declared)
    return tuple((gate, said) for gate, said in known if said.unresolved)
