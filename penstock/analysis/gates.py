"""What a Prometheus says of a gate: its answer read, and judged by the bounds. Pure.

A gate never condemns: nobody can tell whose doing the number is. It lets pass, or it holds.
"""

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from penstock.api import condition
from penstock.api.external import ExternalGate, GateReport

#: An answer may be so long; one number needs far less.
MOST_BYTES: Final = 1024 * 1024
#: What was not looked at for so long does not count as having kept its bounds meanwhile: numbers
#: are written once a minute, and an operator that dies is followed within half of one.
LONGEST_BREAK: Final = timedelta(seconds=120)
_LONGEST_WORDS: Final = 160
_LONGEST_MESSAGE: Final = 256


class Word(StrEnum):
    """What a gate says."""

    PASSING = "Passing"
    OUTSIDE = "Outside"
    MISSING = "Missing"


class Unresolved(StrEnum):
    """Why a gate cannot be asked at all until a person mends it."""

    UNKNOWN = "SourceUnknown"
    NOT_ALLOWED = "SourceNotAllowed"
    QUERY = "QueryRefused"


@dataclass(frozen=True)
class Said:
    """One answer: a number, or why there is none."""

    value: Decimal | None = None
    problem: str = ""


@dataclass(frozen=True)
class Answer:
    """What is known of a gate at the moment of a decision.

    ``at``: when it was answered; None while it is asked for the first time. ``unresolved``: it
    cannot be asked; then ``said.problem`` has the remedy.
    """

    said: Said = Said()
    at: datetime | None = None
    unresolved: Unresolved | None = None


def read(status: int, body: bytes) -> Said:
    """The number in an answer of Prometheus' HTTP API, ``/api/v1/query``.

    Whatever is not exactly one finite number is none: an empty or a longer vector, NaN, an infinity,
    a text, a warning that data may be missing, an answer of something else than Prometheus.
    """
    document = _parsed(body)
    if not isinstance(document, dict) or document.get("status") not in ("success", "error"):
        why = "" if status == 200 else f" (HTTP {status})"
        return Said(problem=f"what answered is no Prometheus{why}")
    if status != 200 or document["status"] != "success":
        return Said(problem=f"it answered {status}: {_words(document.get('error'))}")
    warnings = document.get("warnings")
    if warnings:
        first = warnings[0] if isinstance(warnings, list) else warnings
        return Said(problem=f"its answer may be incomplete: {_words(first)}")
    return _number(document.get("data"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _words(text: Any) -> str:
    """Somebody else's words, short and in one line."""
    said = text if isinstance(text, str) else ""
    line = "".join(char if char.isprintable() else " " for char in said[:_LONGEST_WORDS])
    return " ".join(line.split()) or "no reason given"


def _number(data: Any) -> Said:
    kind = data.get("resultType") if isinstance(data, dict) else None
    result = data.get("result") if isinstance(data, dict) else None
    if kind == "scalar":
        return _sample(result)
    if kind != "vector" or not isinstance(result, list):
        return Said(problem="the query yields no number: it wants one series, or a scalar")
    if not result:
        return Said(problem="the query yields no series")
    if len(result) > 1:
        return Said(
            problem=f"the query yields {len(result)} series: it wants one, by sum(...) or the like"
        )
    return _sample(result[0].get("value") if isinstance(result[0], dict) else None)


def _sample(pair: Any) -> Said:
    """A sample: its time, and its value as a text."""
    text = pair[1] if isinstance(pair, list) and len(pair) == 2 else None
    if not isinstance(text, str) or len(text) > 40:
        return Said(problem="the query yields no number")
    try:
        value = float(text)
    except ValueError:
        return Said(problem="the query yields no number")
    if not math.isfinite(value):
        return Said(problem=f"the query yields {text.strip()[:8]}")
    return Said(Decimal(repr(value)))


def judge(
    gate: ExternalGate, answer: Answer, before: GateReport | None, now: datetime
) -> GateReport | None:
    """What a gate says now, and since when; None while it has never been answered.

    Args:
        before: what it said when that was last written.
    """
    if answer.unresolved:
        return _reported(gate, Word.MISSING, answer.said, before, now)
    if answer.at is None:
        return before
    if answer.said.value is None:
        return _reported(gate, Word.MISSING, answer.said, before, answer.at)
    word = Word.PASSING if keeps(gate, answer.said.value) else Word.OUTSIDE
    return _reported(gate, word, answer.said, before, answer.at)


def keeps(gate: ExternalGate, value: Decimal) -> bool:
    """Whether a number keeps the bounds of a gate."""
    low = gate.min is None or value >= Decimal(gate.min)
    return low and (gate.max is None or value <= Decimal(gate.max))


def _reported(
    gate: ExternalGate, word: Word, said: Said, before: GateReport | None, at: datetime
) -> GateReport:
    since = condition.timestamp(at)
    if before and before.verdict == word and _unbroken(word, before, at):
        since = before.since
    return GateReport(
        name=gate.name,
        value=shown(said.value),
        verdict=word.value,
        since=since,
        at=condition.timestamp(at),
        message=said.problem[:_LONGEST_MESSAGE],
    )


def _unbroken(word: Word, before: GateReport, at: datetime) -> bool:
    """Whether nothing else can have been meanwhile; only what lets pass must have been seen."""
    return word is not Word.PASSING or at - condition.moment(before.at) <= LONGEST_BREAK


def shown(value: Decimal | None) -> str:
    """A number for people and status: six digits that count."""
    return "" if value is None else f"{float(value):.6g}"


def passes_at(gate: ExternalGate, report: GateReport, step_began: str | None) -> datetime | None:
    """From when on a gate lets pass if nothing changes; None while its number is not within bounds.

    What was before the step began proves nothing of it.
    """
    if report.verdict != Word.PASSING:
        return None
    since = condition.moment(report.since)
    if step_began:
        since = max(since, condition.moment(step_began))
    return since + timedelta(seconds=gate.for_seconds)
