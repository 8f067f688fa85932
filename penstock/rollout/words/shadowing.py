"""What is said of copies on which a canary is tried, with their numbers and the command to type."""

from penstock.api.shadow import ShadowStage
from penstock.money.prices import usd
from penstock.rollout import commands
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb
from penstock.shadow import Trial


def awaits_copies(facts: Facts, seen: Trial) -> str:
    """How many copies are missing, and why, where that is the money."""
    declared = _declared(facts)
    said = (
        f"{facts.canary} works on copies of {declared.percent} % of the tasks of {facts.stable}, unseen: "
        f"{_judged(seen)}, and strategy.shadow.minTasks is {declared.min_tasks}."
    )
    return f"{said}{_why_fewer(declared, seen)} To pass it: {_promote(facts)}"


def disagrees(facts: Facts, seen: Trial) -> str:
    """Too few copies went as stable's task did: a person decides."""
    declared = _declared(facts)
    percent = 100 * seen.agreed // seen.judged
    return (
        f"On copies {facts.canary} went another way than {facts.stable}: {_judged(seen)}. That is {percent} %, and "
        f"strategy.shadow.minAgreementPercent is {declared.min_agreement_percent}. That alone rejects nobody, "
        f"and no user was touched. Go on all the same: {_promote(facts)} Or reject: "
        f"{commands.request(facts.situation, Verb.ABORT, facts.canary)} On which calls: {_listing(facts)}"
    )


def _judged(seen: Trial) -> str:
    return f"{seen.agreed} of {seen.judged} copies agree (same end, same intended calls), for {usd(seen.micro_usd)} USD"


def _why_fewer(declared: ShadowStage, seen: Trial) -> str:
    """Why copies are missing that were not made."""
    if seen.capped:
        return (
            f" {seen.capped} more were not made: strategy.shadow.spendCapUSD, {declared.spend_cap_usd}, leaves "
            "no room for another one; raise it to go on."
        )
    if seen.full:
        return (
            f" {seen.full} were not made: 32 others waited or ran, which is the most. A worker of the canary runs "
            "four at a time while it has no tasks to claim."
        )
    if seen.too_large and not seen.drawn:
        return f" {seen.too_large} were not made: their conversations are too large to be copied."
    return ""


def _listing(facts: Facts) -> str:
    """The command that shows where copies went another way."""
    agent = commands.place(facts.situation.spec.agent_ref.name, facts.situation.namespace)
    return f"penstock copies {agent} --revision {facts.canary}"


def _promote(facts: Facts) -> str:
    return commands.request(facts.situation, Verb.PROMOTE, facts.canary)


def _declared(facts: Facts) -> ShadowStage:
    declared = facts.strategy.shadow
    if declared is None:
        raise AssertionError("nobody is tried on copies")
    return declared
