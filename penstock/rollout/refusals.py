"""Requests that cannot be done, and the sentence that says why."""

from penstock.rollout import former, requests, words
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Request, Verb


def why_refused(facts: Facts) -> str:
    """Why the open request cannot be done; empty when it can, or when there is none."""
    if not facts.open_request:
        return ""
    if not facts.situation.status.route_version:
        return (
            "it was there before this rollout's status began and may have been handled before; "
            "if it is still wanted, send it again with another last part"
        )
    parsed = requests.parse(facts.open_request)
    if parsed is None:
        return (
            f"it is not <verb>/<revision>/<nonce> with one of the verbs {', '.join(requests.Verb)}"
        )
    if parsed.verb is Verb.UNDO:
        return former.why_not(facts, parsed)
    return _wrong_revision(facts, parsed) or _wrong_moment(facts, parsed)


def _wrong_revision(facts: Facts, request: Request) -> str:
    if facts.is_meant(request, facts.candidate):
        return ""
    same = requests.named(request.revision, facts.versions)
    if len(same) > 1:
        return f"{' and '.join(same)} have the version {request.revision}: name one"
    if facts.is_meant(request, facts.stable):
        return f"{facts.stable} is stable already"
    if not facts.candidate:
        return f"there is no candidate, so {request.revision} cannot be meant"
    return f"the candidate is {facts.candidate}, not {request.revision}"


def _wrong_moment(facts: Facts, request: Request) -> str:
    if facts.rejected:
        return "" if request.verb is Verb.RETRY else words.stays_rejected(facts)
    if request.verb is Verb.RETRY:
        return f"{facts.candidate} was not rejected, there is nothing to retry"
    if request.verb is Verb.PROMOTE and facts.owned is None and ceiling_blocks(facts):
        return words.ceiling(facts)
    return ""


def ceiling_blocks(facts: Facts) -> bool:
    """Whether a left-over setpoint is all that keeps the share from rising."""
    if facts.ceiling is None:
        return False
    if facts.in_final_hold or (facts.started and facts.next_index is None):
        return facts.ceiling < 100
    return facts.ceiling <= facts.percent
