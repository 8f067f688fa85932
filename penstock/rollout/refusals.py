"""Requests and setpoints that cannot be done, and the sentence that says why."""

from penstock.api.reasons import EventReason
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import former, requests
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Request, Verb
from penstock.rollout.situation import Happening
from penstock.rollout.words import answers, events, verdicts, waits


def why_refused(facts: Facts) -> str:
    """Why the open request cannot be done; empty when it can, or when there is none."""
    if not facts.open_request:
        return ""
    if not facts.situation.status.route_version:
        return answers.UNKNOWN_AGE
    parsed = requests.parse(facts.open_request)
    if parsed is None:
        return answers.MALFORMED
    if facts.status.braked and parsed.verb is Verb.RETRY and facts.is_meant(parsed, facts.stable):
        return ""
    if parsed.verb is Verb.UNDO:
        return former.why_not(facts, parsed)
    return _wrong_revision(facts, parsed) or _wrong_moment(facts, parsed)


def _wrong_revision(facts: Facts, request: Request) -> str:
    if facts.is_meant(request, facts.canary):
        return ""
    same = requests.named(request.revision, facts.versions)
    if len(same) > 1:
        return answers.ambiguous(same, request.revision)
    if facts.is_meant(request, facts.stable):
        return answers.is_stable(facts.stable)
    if not facts.canary:
        return answers.no_canary(request.revision)
    return answers.another_canary(facts.canary, request.revision)


def _wrong_moment(facts: Facts, request: Request) -> str:
    if facts.rejected:
        return "" if request.verb is Verb.RETRY else verdicts.stays_rejected(facts)
    if request.verb is Verb.RETRY:
        return answers.nothing_to_retry(facts.canary)
    held = facts.owned is None and not facts.suspended_for and ceiling_blocks(facts)
    if request.verb is Verb.PROMOTE and held:
        return waits.ceiling(facts)
    return ""


def ceiling_blocks(facts: Facts) -> bool:
    """Whether a left-over setpoint is all that keeps the share from rising."""
    if facts.ceiling is None:
        return False
    if facts.in_final_hold or (facts.started and facts.next_index is None):
        return facts.ceiling < 100
    return facts.ceiling <= facts.percent


def of_percent(facts: Facts, before: AgentRolloutStatus) -> tuple[Happening, ...]:
    """A setpoint for a rejected canary is refused, once, with the command that helps."""
    seen = facts.status.share.setpoint
    if not facts.rejected or seen is None or seen == before.share.setpoint:
        return ()
    message = events.percent_refused(facts, seen.percent)
    return (Happening(EventReason.PERCENT_REFUSED, message, warning=True),)
