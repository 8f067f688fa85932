"""A plan in words: what a person reads, and the same for programs. Pure."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich.text import Text

from penstock import names
from penstock.api.rollout import Stage
from penstock.money.prices import usd
from penstock.rollout import commands
from penstock.rollout.foreseen import Leg
from penstock.rollout.requests import Verb
from penstock_cli import history, tables
from penstock_cli.picture import BAD, CANARY, DIM, GOOD
from penstock_cli.plan.drafts import ROLLOUT
from penstock_cli.plan.outcome import Change, Cost, Course, Plan, Planned, Rollout, Standing

_LABEL: Final = 12  # columns
_WIDTH: Final = 100
_STYLES: Final = {
    Change.NEW: GOOD,
    Change.CHANGED: CANARY,
    Change.UNCHANGED: DIM,
    Change.UNKNOWN: CANARY,
    Change.REFUSED: f"bold {BAD}",
}
_STANDINGS: Final = {
    Standing.NEW: "new",
    Standing.STABLE: "serves everybody by now",
    Standing.CANARY: "is the canary by now",
    Standing.REJECTED: "was rejected",
    Standing.FORMER: "served everybody before",
    Standing.KNOWN: "is on record, and never served everybody",
}
_CHANGES: Final = {Change.UNKNOWN: "compared with nothing"}
_FOLDED: Final = 40  # lines of a diff; a longer one of a new object is cut
_SHOWN: Final = 30  # of those
_NAMED: Final = 3
_MINUTE: Final = 60
_HOUR: Final = 3600
UNASKED: Final = (
    "checked by this program alone: rules of the definitions (CEL), admission policies and what is in the "
    "cluster were not asked"
)


def lines(plan: Plan) -> Iterator[Text]:
    """The plan, object by object, and its sum."""
    for one in plan.items:
        yield Text.assemble(
            f"{one.draft.kind} {one.draft.name} in {one.draft.namespace}: ",
            (_CHANGES.get(one.change, one.change.value.lower()), _STYLES[one.change]),
        )
        yield from _diff(one)
        last = ""
        for label, told in _told(one):
            yield from _row("" if label == last else label, told)
            last = label
        yield Text()
    if plan.others:
        yield from _row("left out", _left_out(plan.others))
    if plan.away:
        yield from _row("no cluster", f"{plan.away}; {UNASKED}")
    yield Text(_sum(plan.items), style="bold")


def _diff(one: Planned) -> Iterator[Text]:
    """What is otherwise; of an object that is new its first lines."""
    fold = one.change is Change.NEW and len(one.diff) > _FOLDED
    yield from map(history.coloured, one.diff[:_SHOWN] if fold else one.diff)
    if fold:
        yield Text(
            f"… {len(one.diff) - _SHOWN} more lines, all added (-o json has them)", style=DIM
        )


def _left_out(others: Sequence[tuple[str, str]]) -> str:
    """Objects that are not planned; where they are many, how many of each kind."""
    told = [f"{kind} {name}" for kind, name in others]
    if len(told) > _NAMED:
        told = [f"{kind} ×{count}" for kind, count in Counter(kind for kind, _ in others).items()]
    return f"{', '.join(told)}: no Agent, AgentRollout or instructions"


def _row(label: str, told: str) -> Iterator[Text]:
    style = BAD if label == "refused" else DIM
    if told.startswith("$ "):
        yield Text(f"{'':<{_LABEL}}{told[2:]}")
        return
    paragraphs = [tables.one_line(part) for part in told.splitlines()]
    wrapped = [
        line
        for part in paragraphs
        for line in textwrap.wrap(part, _WIDTH - _LABEL, break_on_hyphens=False)
    ]
    for index, line in enumerate(wrapped):
        yield Text.assemble((f"{'' if index else label:<{_LABEL}}", style), line)


def _sum(items: Sequence[Planned]) -> str:
    counts = [(change, sum(one.change is change for one in items)) for change in Change]
    told = ", ".join(
        f"{count} {_CHANGES.get(change, change.value.lower())}" for change, count in counts if count
    )
    unaccepted = sum(one.refusal is not None and one.change is not Change.REFUSED for one in items)
    more = f", {unaccepted} not accepted" if unaccepted else ""
    return f"{told or 'nothing'}{more}. Nothing was applied."


# ---------------------------------------------------------------------------------- one object


def _told(one: Planned) -> Iterator[tuple[str, str]]:
    """Labels and sentences; a command begins with ``$``."""
    yield from _refused(one)
    yield from _manifests(one)
    if one.cuts:
        yield "revision by", ", ".join(one.cuts)
    if one.acts:
        yield "at once", ", ".join(one.acts)
    yield from _comes(one)
    if one.cost:
        yield "cost", in_words(one.cost)
    for doubt in one.doubts:
        yield "not known", doubt


def _manifests(one: Planned) -> Iterator[tuple[str, str]]:
    """What other manifests there are of it, or beside it."""
    if one.draft.repeats:
        more = ", ".join(one.draft.repeats)
        yield "repeated", f"also in {more}: applied one after the other, the last one stays"
    for sentence in one.beside:
        yield "beside it", sentence


def _comes(one: Planned) -> Iterator[tuple[str, str]]:
    """The revision, and what becomes of its users."""
    if one.after and (one.rollout or one.change in (Change.NEW, Change.UNKNOWN)):
        yield "revision", _revision(one)
    elif one.change is Change.CHANGED and one.draft.kind != ROLLOUT and not one.refusal:
        yield "revision", f"{one.after or one.before} as before: nothing is rolled out"
    if one.rollout:
        for sentence in follows(one, one.rollout):
            yield "rollout", sentence
    if one.idle:
        yield "rollout", one.idle


def _refused(one: Planned) -> Iterator[tuple[str, str]]:
    if one.refusal is None:
        return
    if one.change is not Change.REFUSED:
        yield "refused", f"it would not be accepted ({one.refusal.reason}): {one.refusal.message}"
        if one.serves:
            yield "", f"{one.serves} would go on serving; what acts at once would act"
        return
    by = "the API server" if one.draft.asked else "the checks of this program"
    yield "refused", f"by {by}: {one.refusal.message}"


def _revision(one: Planned) -> str:
    version = f" ({one.version})" if one.version else ""
    told = f", {_STANDINGS[one.standing]}" if one.standing else ""
    standing = f"{one.after}{version}{told}"
    return f"{one.before} → {standing}" if one.before and one.before != one.after else standing


def follows(one: Planned, rollout: Rollout) -> Iterator[str]:
    """What becomes of the users, sentence by sentence."""
    if rollout.given_up:
        name, percent = rollout.given_up
        yield f"the canary {name} ({percent} %) is given up at once"
    yield from _course(one, rollout)
    if rollout.legs:
        yield from way(one, rollout.legs)
    if rollout.ceiling is not None:
        yield f"spec.traffic.canaryPercent {rollout.ceiling} is left over: its steps do not pass that share"
    if rollout.share:
        yield f"the canary's share: {rollout.share[0]} % → {rollout.share[1]} %"
    if rollout.held:
        yield f"there it waits: {rollout.held}"
    for field, amount in rollout.caps:
        yield f"a canary spends {amount} USD at most ({field})"


def _course(one: Planned, rollout: Rollout) -> Iterator[str]:
    match rollout.course:
        case Course.REJECTED:
            why = f" ({one.why})" if one.why else ""
            yield f"{one.after} was rejected{why}: an apply gives it no user. After the apply, another attempt:"
            yield f"$ {retry(one, rollout)}"
        case Course.RETURNS:
            yield (
                f"{one.after} served everybody lately (strategy.rollbackWindowRevisions): all users come to "
                "it as soon as a worker is ready, without steps"
            )
        case Course.SERVES if rollout.governed:
            yield "it is the first revision: it serves everybody as soon as a worker is ready"
        case Course.SERVES:
            yield "there is no AgentRollout: it serves everybody as soon as a worker is ready, without steps"
        case Course.WAITS if not rollout.governed:
            yield (
                "the AgentRollout is gone: it gets no user until there is one again, or until "
                "spec.rolloutPolicy is Immediate"
            )
        case Course.NOTHING if one.standing is Standing.STABLE:
            yield f"{one.after} serves everybody as before"
        case Course.GOES_ON if one.standing is Standing.CANARY:
            yield f"{one.after} is tried as before"


def retry(one: Planned, rollout: Rollout) -> str:
    """The command that gives a rejected revision another attempt."""
    namespace = one.draft.namespace
    if not rollout.governed:
        agent = commands.place(one.draft.name, namespace)
        return commands.annotate(f"agent {agent}", Verb.RETRY, one.after)
    mine = f"--revision {names.hash_of(one.after)} -n {namespace}"
    return f"penstock retry {rollout.governed} {mine}"


def way(one: Planned, legs: Sequence[Leg]) -> Iterator[str]:
    """The way of a canary to all users, and how long it takes at least."""
    climbs = one.rollout is not None and one.rollout.course is Course.CLIMBS
    subject = "it" if climbs else "a new revision"
    parts = [_leg(leg) for leg in legs]
    yield f"{subject} gets {', '.join(parts)}, then everybody"
    seconds = sum(leg.hold_seconds for leg in legs)
    yield f"at least {_duration(seconds)} in all; longer while its tasks are too few or say too little"
    for leg in legs:
        if leg.approval:
            yield f"a person approves before {leg.percent} % is left (penstock promote)"


def _leg(leg: Leg) -> str:
    held = f"{_duration(leg.hold_seconds)}"
    tasks = f", {leg.tasks} tasks" if leg.tasks else ""
    if leg.stage is Stage.SHADOW:
        return f"copies of {leg.percent} % of stable's tasks ({held}, {leg.tasks} copies)"
    return f"{f'ring {leg.ring}' if leg.ring else f'{leg.percent} %'} ({held}{tasks})"


def _duration(seconds: int) -> str:
    if seconds < _MINUTE:
        return f"{seconds} s"
    hours, rest = divmod(seconds, _HOUR)
    minutes = -(-rest // _MINUTE)
    told = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(told)


def in_words(cost: Cost) -> str:
    """What a task would cost in the mean, and on what that rests."""
    if cost.unknown:
        return f"of a task with {cost.model_after}: not known ({cost.unknown})"
    after = f"{_dollars(cost.after)} a task with {cost.model_after}"
    rests = (
        f"the mean of {cost.tasks} tasks of the revision before, ended {cost.since} to {cost.until}, at list "
        "price without a cache; another model may use other tokens"
    )
    if cost.before is None:
        return f"{after}; no price of {cost.model_before} is known. It is {rests}"
    return f"{_dollars(cost.before)} → {after}{_more(cost)}: {rests}"


def _more(cost: Cost) -> str:
    if not cost.before:
        return ""
    percent = round(100 * cost.after / cost.before) - 100
    return f" ({percent:+} %)"


def _dollars(micro_usd: int) -> str:
    return f"{usd(micro_usd).rstrip('0').rstrip('.') or '0'} USD"
