"""Money as the scripts read it and say it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any, Final

from penstock.money.ledger import (
    MIN_REPLY_TOKENS,
    Amount,
    Answer,
    Budget,
    Lift,
    Limit,
    Money,
    OnExceeded,
    Opening,
    Refused,
    Reserved,
    Scope,
    Spending,
    Spent,
    Stop,
    Unit,
    Waiting,
    Window,
    Wish,
)

NOTHING: Final = Money()
_LARGEST: Final = 2**63 - 1


def budget_fields(budget: Budget | None) -> list[str | int]:
    """A budget as it is stored, fields and values in turn; empty where there is none."""
    if budget is None:
        return []
    fields: list[str | int] = ["mode", budget.mode.value]
    for limit in budget.limits:
        fields += [f"{limit.scope}:{limit.window}:{limit.unit}", limit.most]
    if budget.min_reply_tokens != MIN_REPLY_TOKENS:
        fields += ["floor", budget.min_reply_tokens]
    if budget.on_exceeded is not OnExceeded.REJECT:
        fields += ["exceeded", budget.on_exceeded.value]
    fields += _lift_fields(budget.lifts)
    return fields


def _lift_fields(lifts: Sequence[Lift]) -> list[str | int]:
    """Of each limit the sum of what lifts its newest window, and for people each one by itself."""
    newest: dict[str, tuple[int, int]] = {}
    for lift in lifts:
        name = f"lift:{lift.scope}:{lift.window}:{lift.unit}"
        begins, more = newest.get(name, (lift.begins_ms, 0))
        if lift.begins_ms > begins:
            begins, more = lift.begins_ms, 0
        if lift.begins_ms == begins:
            newest[name] = (begins, more + lift.more)
    fields: list[str | int] = []
    for name, (begins, more) in newest.items():
        fields += [name, f"{begins} {more}"]
    return [*fields, "lifts", json.dumps([astuple(lift) for lift in lifts])] if lifts else fields


def lifts(said: bytes | None) -> tuple[Lift, ...]:
    """Lifts as `budget_fields` writes them; none where another hand has written."""
    try:
        return tuple(_lift(*one) for one in json.loads(said or b"[]"))
    except (ValueError, TypeError):
        return ()


def _lift(*parts: Any) -> Lift:
    scope, window, unit, more, begins_ms, by, at_ms = parts
    limit = (Scope(scope), Window(window), Unit(unit))
    return Lift(*limit, int(more), int(begins_ms), str(by), int(at_ms))


def wish_text(wish: Wish, process: str) -> str:
    """A wish as `shared/ledger.lua` reads it; ``process`` is rung for where it waits."""
    return json.dumps(_wish(wish, process))


def _wish(wish: Wish, process: str) -> list[str | int]:
    quote = wish.quote
    fixed = (quote.fixed.tokens, quote.fixed.micro_usd)
    reply = (quote.reply_tokens, quote.floor_tokens, quote.reply_rate)
    return [wish.call, *fixed, *reply, wish.lasts_ms, wish.patience_ms, process]


def opening_text(opening: Opening | None, process: str) -> str:
    """An opening as `shared/claims.lua` reads it; empty where nothing is reserved."""
    if opening is None:
        return ""
    fixed = (opening.fixed.tokens, opening.fixed.micro_usd, opening.input_rate)
    reply = (opening.reply_tokens, opening.floor_tokens, opening.reply_rate)
    earlier = (opening.earlier_tokens, opening.message_tokens)
    return json.dumps([*fixed, *reply, opening.lasts_ms, opening.patience_ms, process, *earlier])


def money_text(money: Money, process: str) -> str:
    """What is said of money with another write; empty for nothing."""
    if money == NOTHING:
        return ""
    said: dict[str, Any] = {
        "settle": [
            [one.call, one.used.tokens, one.used.micro_usd, one.at_ms] for one in money.settle
        ]
    }
    if money.reserve is not None:
        said["reserve"] = _wish(money.reserve, process)
    return json.dumps(said)


def answer(call: str, said: Sequence[Any] | None) -> Answer:
    """What the ledger answers for a call.

    Raises:
        ValueError: the call was settled already: its id was used twice.
    """
    if not said:
        return None
    match said:
        case [b"none"]:
            return None
        case [b"waiting"]:
            return Waiting(call)
        case [b"reserved", tokens, micro_usd, reply, at_ms, cut_by, then]:
            amount = Amount(int(tokens), int(micro_usd))
            by = limit(cut_by)
            return Reserved(call, amount, int(reply), int(at_ms), by, _on_exceeded(then))
        case [b"refused", text, spent, held, resets_ms, too_many, then]:
            found = limit(text)
            if found is not None:
                then = _on_exceeded(then)
                return Refused(call, found, spent, held, resets_ms, bool(too_many), then)
    raise ValueError(f"the ledger answers {said!r} of call {call}")


def _on_exceeded(word: bytes) -> OnExceeded:
    """What becomes of a task that is refused; what this version does not know refuses it."""
    known = {one.value.encode(): one for one in OnExceeded}
    return known.get(word, OnExceeded.REJECT)


def first_call(claim_id: str) -> str:
    """The id of the first model call after a task was claimed, which `claims.lua` reserves for."""
    return f"{claim_id}.0"


def first_answer(claim_id: str, said: Sequence[Any] | None = None) -> Answer:
    """What the ledger answers for that call; None where it was not asked."""
    return answer(first_call(claim_id), said)


def limit(text: bytes) -> Limit | None:
    """A limit from its text; None for none."""
    if not text:
        return None
    scope, window, unit, most = text.decode().split(":")
    return Limit(Scope(scope), Window(window), Unit(unit), int(most))


def stops(said: Sequence[Any]) -> tuple[Stop, ...]:
    """Where calls of a canary were refused, from what `look.lua` answers.

    What another hand has written there, and is none, is passed over.
    """
    found = (_stop(one) for one in said)
    return tuple(stop for stop in found if stop)


def _stop(said: Sequence[Any]) -> Stop | None:
    try:
        text, spent, resets_ms = said
        by = limit(text)
        stop = Stop(by, int(spent), int(resets_ms)) if by else None
    except (ValueError, TypeError):
        return None
    return stop if stop and 0 <= stop.limit.most <= _LARGEST else None


def spending(said: Sequence[Any]) -> Spending:
    """What an agent spends, from what `spent.lua` answers."""
    now_ms, refused, passed, *windows = said
    refusals, marks = {}, {}
    for name, count in _counts(refused):
        scope, window, unit = name.split(":")
        refusals[Scope(scope), Window(window), Unit(unit)] = count
    for name, count in _counts(passed):
        scope, window, percent = name.split(":")
        marks[Scope(scope), Window(window), int(percent)] = count
    return Spending(int(now_ms), tuple(_spent(each) for each in windows), refusals, marks)


def spending_or_none(said: Sequence[Any]) -> Spending | None:
    """The same; None where there is no budget, or another hand has written into it."""
    try:
        return spending(said) if said else None
    except (ValueError, TypeError):
        return None


def _counts(flat: Sequence[bytes]) -> Iterator[tuple[str, int]]:
    for name, count in zip(flat[::2], flat[1::2], strict=True):
        yield name.decode(), int(count)


def _spent(said: Sequence[Any]) -> Spent:
    scope, window = Scope(said[0].decode()), Window(said[1].decode())
    tokens, micro_usd, held_tokens, held_micro_usd, resets_ms, *rest = (int(n) for n in said[2:])

    def limits(values: Sequence[int]) -> tuple[Limit, ...]:
        known = zip(Unit, values, strict=True)
        return tuple(Limit(scope, window, unit, value) for unit, value in known if value >= 0)

    settled, held = Amount(tokens, micro_usd), Amount(held_tokens, held_micro_usd)
    return Spent(scope, window, settled, held, resets_ms, limits(rest[:2]), limits(rest[2:]))
