"""What is told of gates outside of Penstock, with the number, the bounds and the way on."""

from datetime import datetime

from penstock.analysis.gates import Answer
from penstock.api import condition
from penstock.api.external import ExternalGate, GateReport
from penstock.rollout import commands
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb


def _ways_on(facts: Facts) -> str:
    promote = commands.request(facts.situation, Verb.PROMOTE, facts.canary)
    abort = commands.request(facts.situation, Verb.ABORT, facts.canary)
    return f"Go on without: {promote} Or reject: {abort}"


def bounds(gate: ExternalGate) -> str:
    """Such as "at least 4 and at most 5"."""
    low = f"at least {gate.min}" if gate.min is not None else ""
    high = f"at most {gate.max}" if gate.max is not None else ""
    return " and ".join(part for part in (low, high) if part) or "any number"


def asked(facts: Facts, gate: ExternalGate) -> str:
    """The first answer is on its way."""
    return (
        f"Held at {facts.percent} %: the gate {gate.name} is being asked for at Prometheus "
        f"{gate.address}."
    )


def missing(facts: Facts, gate: ExternalGate, said: GateReport) -> str:
    """Which source has no number, since when, and why."""
    return (
        f"Held at {facts.percent} %: the gate {gate.name} has no number since {_clock(said.since)}: "
        f"{said.message.rstrip('.')} (Prometheus {gate.address}). It goes on when there is one. "
        f"{_ways_on(facts)}"
    )


def outside(facts: Facts, gate: ExternalGate, said: GateReport) -> str:
    """The number, its bounds, since when."""
    return (
        f"Held at {facts.percent} %: the gate {gate.name} is {said.value}, it wants {bounds(gate)}, "
        f"since {_clock(said.since)}. It goes on when it is. {_ways_on(facts)}"
    )


def not_long_enough(facts: Facts, gate: ExternalGate, said: GateReport, opens: datetime) -> str:
    """Within its bounds, and until when it must stay there."""
    return (
        f"Held at {facts.percent} %: the gate {gate.name} is within its bounds since "
        f"{_clock(said.since)}; it must be so for {gate.for_seconds} s of this step, until "
        f"{opens:%H:%M:%S} UTC."
    )


def unresolved(gate: ExternalGate, known: Answer) -> str:
    """What a person must mend."""
    return f"analysis.external {gate.name}: {known.said.problem}"


def _clock(text: str) -> str:
    return f"{condition.moment(text):%H:%M:%S} UTC"
