"""What is said of a limit that stable itself is over: the numbers, and every way on."""

import math
from typing import Final

from penstock.analysis.guardrails import Finding
from penstock.analysis.metrics import COST, Kind
from penstock.rollout import commands, findings
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb

#: A limit that fits is proposed so far above what stable does.
_ROOM: Final = 1.5
_MOST_PERCENT: Final = 100


def no_incident(check: Finding) -> str:
    """Why a canary comes back though stable is over a limit."""
    return (
        f"with all users, stable has been over the limit for so long that it is no incident "
        f"({findings.line(check)})"
    )


def held(facts: Facts, check: Finding) -> str:
    """What it is held for, in numbers, and the ways on: the likeliest first."""
    kept, seen = facts.suspension, findings.line(check)
    raised, promote, abort = (
        raise_it(facts, check),
        _ask(facts, Verb.PROMOTE),
        _ask(facts, Verb.ABORT),
    )
    if kept.misfit == check.name:
        return (
            f"Held at {facts.place}: stable itself is over a limit: {seen}; with all users it was over it for longer than "
            f"an incident lasts, so the limit does not fit, or stable is ill. {raised} Or promote: {promote} Or abort: {abort}"
        )
    return (
        f"Held at {facts.place}: stable itself is over a limit: {seen}; the canary was taken off for that {kept.incidents} "
        f"times, and each time stable was within its limits before it came back. It may be the canary that takes stable "
        f"down: abort it: {abort} Or the limit does not fit: {raised} Or promote: {promote}"
    )


def raise_it(facts: Facts, check: Finding) -> str:
    """The command that raises the limit above what stable does."""
    value = fitting(check)
    field = findings.WORDS[check.metric].field
    return f"Raise the limit: {commands.raise_limit(facts.situation, field, value)}"


def fitting(check: Finding) -> int:
    """A limit, as it is declared, that leaves room above what stable does."""
    sums = check.stable if check.stable.n else check.lately
    seen = sums.mean / check.metric.scale
    if check.metric.kind is Kind.RATE:
        seen = 100 * sums.mean
    elif check.metric is COST:
        expected = check.expected.micro_usd if check.expected else 0
        seen = 100 * sums.mean / expected if expected else 0.0
    wanted = max(math.ceil(_ROOM * seen), check.limit + 1)
    return min(wanted, _MOST_PERCENT) if check.metric.kind is Kind.RATE else wanted


def _ask(facts: Facts, verb: Verb) -> str:
    return commands.request(facts.situation, verb, facts.canary)
