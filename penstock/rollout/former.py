"""Former revisions: which of them a person can go back to, and who is left when they do."""

from penstock.api.analysis import Result, Verdict
from penstock.rollout import path, requests
from penstock.rollout.facts import WAITING, Facts
from penstock.rollout.requests import Request, Verb
from penstock.rollout.words import answers, verdicts


def goal(facts: Facts) -> str:
    """The revision that a person asks to go back to, if that can be done; else empty."""
    asked = requests.parse(facts.open_request)
    if asked is None or asked.verb is not Verb.UNDO or why_not(facts, asked):
        return ""
    return _named(facts, asked)[0]


def why_not(facts: Facts, request: Request) -> str:
    """Why it is impossible to go back to what a request names, and to whom it is possible."""
    found = _named(facts, request)
    if len(found) > 1:
        why = answers.ambiguous(found, request.revision)
    elif not found:
        why = answers.not_on_record(request.revision)
    else:
        why = _why_not(facts, found[0])
    return answers.with_choice(why, choice(facts)) if why else ""


def _named(facts: Facts, request: Request) -> list[str]:
    """Also stable whose record is gone: it serves, and can be named."""
    versions = {facts.stable: None, **facts.versions} if facts.stable else facts.versions
    return requests.named(request.revision, versions)


def _why_not(facts: Facts, revision: str) -> str:
    if revision == facts.stable:
        return "" if in_flight(facts) else answers.serves_already(revision)
    if rejection := _rejection(facts, revision):
        return answers.was_rejected(revision, rejection)
    return "" if served_at(facts, revision) else answers.never_served(revision)


def good(facts: Facts) -> list[str]:
    """The revisions that have served everybody and were not rejected, but for stable, the last first."""
    others = (name for name in facts.versions if name != facts.stable)
    able = [name for name in others if not _why_not(facts, name)]
    return sorted(able, key=lambda name: served_at(facts, name), reverse=True)


def choice(facts: Facts) -> list[tuple[str, str | None]]:
    """Name and version of each revision that can be gone back to, the last first."""
    able = [name for name in facts.versions if not _why_not(facts, name)]
    able.sort(key=lambda name: served_at(facts, name), reverse=True)
    return [(name, facts.versions[name]) for name in able]


def _last(facts: Facts, revision: str) -> Verdict | None:
    """The last verdict on a revision in the status; another attempt that proved nothing is none."""
    told = [one for one in facts.status.verdicts if one.revision == revision]
    return next((one for one in reversed(told) if one.result is not Result.SUPERSEDED), None)


def _rejection(facts: Facts, revision: str) -> str:
    """Why a revision is rejected, by its record or by the status; empty where it is not."""
    record, last = facts.record(revision), _last(facts, revision)
    if last is not None and last.result is Result.REJECTED:
        return last.message
    return (record.rejected_message or verdicts.REJECTED_BEFORE) if record.rejected_attempt else ""


def served_at(facts: Facts, revision: str) -> int:
    """The place of a revision among those that served everybody; 0 when it never did."""
    last = _last(facts, revision)
    promoted = last is not None and last.result is Result.PROMOTED
    return max(facts.record(revision).served_sequence, int(promoted))


def attempt_of(facts: Facts, revision: str) -> int:
    """The attempt in which a revision came to serve everybody; 1 where nobody knows."""
    told = [
        one.attempt
        for one in facts.status.verdicts
        if one.revision == revision and one.result is Result.PROMOTED
    ]
    return max([1, facts.record(revision).promoted_attempt, *told])


def in_flight(facts: Facts) -> str:
    """The canary that is being tried; empty when none is."""
    return (facts.status.canary_revision or "") if path.under_way(facts.status) else ""


def left_for(facts: Facts, revision: str) -> list[str]:
    """Who is left when everybody goes back to a revision: stable, and the canary in flight.

    A canary that began only after it was asked for, while workers were awaited, is not meant.
    """
    last, canary = facts.status.last_request, in_flight(facts)
    asked_at = last.at if (last.value, last.result) == (facts.open_request, WAITING) else ""
    since = facts.status.canary_since or ""
    later = bool(asked_at) and since > asked_at
    return [name for name in (facts.stable, "" if later else canary) if name not in ("", revision)]
