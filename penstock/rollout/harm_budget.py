"""What a canary may do to the world, and whether it has done that: failed tasks, irreversible calls, what they are worth."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock.api.analysis import Analysis, CheckReport
from penstock.api.fields import micro_usd
from penstock.api.harm import MOST_COUNT, MOST_MICRO
from penstock.api.interruptions import SpendStop
from penstock.api.rollout import AgentRolloutStatus
from penstock.api.tool import Effect, Tool
from penstock.effects import HarmDone, decimal
from penstock.rollout import allowance
from penstock.rollout.facts import Facts

FAILED: Final = "maxFailedTasks"
CALLS: Final = "maxIrreversibleCalls"
AMOUNT: Final = "maxAmount"
_PREFIX: Final = "harm:"  # of names of limits, in status


@dataclass(frozen=True)
class Reached:
    """A limit that the canary has reached, or that its next call would pass; amounts are in millionths."""

    name: str
    used: int
    most: int


def limits(analysis: Analysis, status: AgentRolloutStatus) -> dict[str, int]:
    """What the canary of a status may do, by the names of the fields; empty where it is not bounded."""
    declared = analysis.harm
    if declared is None or not allowance.bounds_harm(status):
        return {}
    amount = declared.max_amount
    found = {
        FAILED: declared.max_failed_tasks,
        CALLS: declared.max_irreversible_calls,
        AMOUNT: micro_usd(amount.sum) if amount else None,
    }
    return {name: most for name, most in found.items() if most is not None}


def written(analysis: Analysis, status: AgentRolloutStatus, tools: Iterable[Tool]) -> str:
    """The same as a route carries it, with the canary's tools; `shared/harm.lua` reads it."""
    most = limits(analysis, status)
    said: dict[str, Any] = {}
    if FAILED in most:
        said["failed"] = most[FAILED]
    if CALLS in most:
        once = [tool.name for tool in tools if tool.effect is Effect.IRREVERSIBLE]
        said |= {"calls": most[CALLS], "once": dict.fromkeys(once, 1)}
    if AMOUNT in most and analysis.harm and analysis.harm.max_amount:
        said |= {"micro": most[AMOUNT], "tool": analysis.harm.max_amount.tool}
    return json.dumps(said, sort_keys=True, separators=(",", ":")) if said else ""


def reached(facts: Facts) -> Reached | None:
    """A limit that the canary has reached, and that was not raised since."""
    done = facts.situation.harm.get(facts.canary)
    if done is None:
        return None
    most = limits(facts.situation.spec.analysis, facts.status)
    refused = {FAILED: done.failed, CALLS: done.calls_most, AMOUNT: done.micro_most}
    used = _used(done)
    over = (name for name, at in refused.items() if at is not None and at >= most.get(name, at + 1))
    return next((Reached(name, used[name], most[name]) for name in over), None)


def kept(stop: Reached) -> SpendStop:
    """A stop as status keeps it."""
    return SpendStop(limit=_PREFIX + stop.name, most=stop.most)


def kept_limits(facts: Facts) -> dict[str, int]:
    """The limits of now, by the names under which status keeps a stop."""
    now = limits(facts.situation.spec.analysis, facts.status)
    return {_PREFIX + name: most for name, most in now.items()}


def name_of(stop: SpendStop) -> str:
    """The field of a stop, "" where it is about money."""
    return stop.limit.removeprefix(_PREFIX) if stop.limit.startswith(_PREFIX) else ""


def shown(name: str, number: int) -> str:
    """A number as people read it."""
    return decimal(number) if name == AMOUNT else str(number)


def declared(analysis: Analysis, name: str, most: int) -> str:
    """A limit as it is declared, in JSON; amounts are in millionths."""
    amount = analysis.harm.max_amount if analysis.harm else None
    if name != AMOUNT or amount is None:
        return str(most)
    said = {"tool": amount.tool, "sum": shown(name, most)}
    return json.dumps(said, separators=(",", ":"))


def raised(facts: Facts, name: str, most: int) -> int | None:
    """Twice a limit, or twice what was done by now where that does not suffice; None where none can be declared."""
    used = _used(facts.situation.harm.get(facts.canary, HarmDone()))[name]
    largest = MOST_MICRO if name == AMOUNT else MOST_COUNT
    limit = min(2 * most if 2 * most > used else 2 * used, largest)
    return limit if limit > max(most, used) else None


def used_percent(
    analysis: Analysis, status: AgentRolloutStatus, done: HarmDone
) -> dict[str, float]:
    """How much of each limit is used, by its name."""
    used = _used(done)
    return {name: 100 * used[name] / most for name, most in limits(analysis, status).items()}


def reports(facts: Facts) -> list[CheckReport]:
    """What is used of each limit, ready to print."""
    most = limits(facts.situation.spec.analysis, facts.status)
    used = _used(facts.situation.harm.get(facts.canary, HarmDone()))
    return [_report(name, used, limit) for name, limit in most.items()]


def words(facts: Facts) -> list[str]:
    """What each of them says, in one word."""
    return [report.verdict for report in reports(facts)]


def _report(name: str, used: Mapping[str, int], most: int) -> CheckReport:
    verdict = "Breached" if used[name] >= most else "Passing"
    said, limit = (shown(name, number) for number in (used[name], most))
    return CheckReport(name=name, candidate=said, stable="", limit=limit, verdict=verdict)


def _used(done: HarmDone) -> dict[str, int]:
    return {FAILED: done.failed, CALLS: done.calls, AMOUNT: done.micro}
