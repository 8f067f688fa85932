"""What is said of users who go first, with the numbers that are missing and the command to type."""

from collections.abc import Sequence
from datetime import datetime

from penstock.api.rings import MOST_GIVEN, MOST_MEMBERS, Ring
from penstock.rollout import commands, ring_stage
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb
from penstock.rollout.words.times import clock
from penstock.traffic import Arm


def holding(facts: Facts, ring: Ring, until: datetime) -> str:
    """Until when a ring lasts."""
    before = " and those before it have" if len(facts.status.rings) > 1 else " has"
    return (
        f"Ring {ring.name}{before} the canary, {facts.canary}, and nobody else: its hold lasts until "
        f"{clock(facts, until)}.{_left_out(facts)} {_go_on(facts)}"
    )


def awaits_tasks(facts: Facts, ring: Ring) -> str:
    """Which ring has too few tasks, and what passes it."""
    return (
        f"Held at ring {ring.name} for evidence: its users, and those of rings before it, have ended "
        f"{_tasks(facts)} tasks on {facts.canary} since it was opened, and its minTasks is "
        f"{ring.min_tasks}.{_left_out(facts)} {_go_on(facts)}"
    )


def past_bound(facts: Facts, names: Sequence[str]) -> str:
    """No room is left for rings that are declared: a person decides whether everybody comes next."""
    many = len(names) > 1
    return (
        f"Held at {facts.place}: {MOST_GIVEN} rings were given {facts.canary}, as many as are kept of one canary, and "
        f"ring{'s' * many} {', '.join(names)} {'were' if many else 'was'} not.{_left_out(facts)} "
        f"To begin with the percentage: {commands.request(facts.situation, Verb.PROMOTE, facts.canary)}"
    )


def left_out(name: str, count: int) -> str:
    """Who came into a ring for whom no room is left."""
    return (
        f"{count} of those who came into ring {name} {'are' if count > 1 else 'is'} not given the canary: "
        f"{MOST_MEMBERS} names of a ring are kept of one canary, with those who left it."
    )


def _left_out(facts: Facts) -> str:
    found = ring_stage.left_out(facts).items()
    return "".join(f" {left_out(name, count)}" for name, count in found)


def opened(facts: Facts, ring: Ring, *, requested: bool) -> str:
    """Who is given the canary from now on."""
    names = [
        f"{len(found)} {kind}{'s' * (len(found) != 1)}"
        for kind, found in (("user", ring.users), ("tenant", ring.tenants))
        if found
    ]
    so = ", by request" if requested else ""
    return f"{facts.canary} is given to ring {ring.name}: {' and '.join(names)}, and to nobody else yet{so}"


def grown(facts: Facts, ring: Ring) -> str:
    """Somebody came into a ring that has the canary."""
    return f"Ring {ring.name} was edited: who came into it is given {facts.canary} from now on"


def too_late(facts: Facts, names: Sequence[str]) -> str:
    """Rings of which somebody is not given this canary any more, and when they are."""
    many = len(names) > 1
    return (
        f"Ring{'s' * many} {', '.join(names)} count{'s' * (not many)} from the next canary: the percentage of "
        f"{facts.canary} has begun, and who {'are' if many else 'is'} in {'them' if many else 'it'} by now is "
        "given it as everybody else is."
    )


def left(facts: Facts) -> str:
    """A ring is over."""
    return (
        f"{facts.canary} leaves {facts.place}; its users keep it. They were chosen, so what they saw does "
        "not enter the comparison."
    )


def uncounted(facts: Facts) -> str:
    """Which tasks of the canary are missing in what counts; empty where there are none."""
    seen = facts.observation.chosen if facts.observation else None
    tasks = seen.in_window(Arm.CANARY).tasks if seen else 0
    seconds = facts.situation.spec.analysis.guardrails.window_seconds
    if not tasks:
        return ""
    return f" In the last {seconds} s {tasks} tasks came from users of rings, who do not count."


def _tasks(facts: Facts) -> int:
    observed = facts.observation
    return observed.in_step(Arm.CANARY).tasks if observed else 0


def _go_on(facts: Facts) -> str:
    return f"To pass it: {commands.request(facts.situation, Verb.PROMOTE, facts.canary)}"
