"""Models in words and columns of text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from penstock_cli import tables
from penstock_cli.tables import Row

_UNITS: Final = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))
_LIMITS: Final = ("requests", "inputTokens", "outputTokens")

Document = Mapping[str, Any]


def text(found: Document, *, with_namespace: bool) -> str:
    """What there is to say, the models that are away first, in words as well."""
    if not found["agents"]:
        return "no Agent is there"
    if not found["models"]:
        return "no model is known: no worker has said yet which it asks"
    parts = [*_away(found["models"]), tables.table([*_rows(found["models"], with_namespace)])]
    if found["former"]:
        parts.append(tables.table([*_former(found["former"])]))
    return "\n\n".join(parts)


def remarks(found: Document) -> Iterator[str]:
    """What is not in the table, and why."""
    if found["silent"]:
        names = [f"{one['namespace']}/{one['revision']}" for one in found["silent"]]
        yield (
            f"not known is whom {_some(names)} asks: no worker of it has run, or one of a version before that does not "
            "say it"
        )
    if any(one["pools"] == [] for one in found["models"]):
        yield (
            "rate limits and costs are of all tenants: that takes a token of the cluster with the verb list on "
            "agents/tasks of penstock.dev"
        )


def _away(models: Sequence[Document]) -> Iterator[str]:
    """A sentence on each model that is not simply asked: whom that concerns, and when it is tried again."""
    for one in models:
        breaker, name = one["breaker"], f"{one['model']} at {one['address']}"
        last = f", the last: {breaker['lastFailure']}" if breaker["lastFailure"] else ""
        row = f"{breaker['failuresInRow']} calls in a row got no answer{last}"
        whom = ", ".join(dict.fromkeys(_use(use) for use in one["usedBy"]))
        if breaker["state"] == "Open":
            until = _clock(breaker["openUntil"])
            yield (
                f"{name} is left alone: {row}. It is tried again at {until}; until then its fallbacks are asked, or "
                f"calls wait. Affected in {one['namespace']}: {whom}."
            )
        elif breaker["state"] == "HalfOpen":
            yield (
                f"{name} is tried by the next call, alone: {row}. Affected in {one['namespace']}: {whom}."
            )


def _rows(models: Sequence[Document], with_namespace: bool) -> Iterator[Row]:
    head = ["MODEL", "ENDPOINT", "BREAKER", "FAILURES", "REQ/MIN", "IN/MIN", "OUT/MIN", "LIMITS"]
    head += ["WAITING", "USD/MTOK", "PRICE-OF", "TODAY", "MONTH", "USED-BY"]
    yield ["NAMESPACE"] * with_namespace + head
    for one in models:
        breaker = one["breaker"]
        failures = f"{breaker['failuresInRow']} {breaker['lastFailure']}".strip()
        yield [
            *[one["namespace"]] * with_namespace,
            one["model"],
            one["address"],
            _state(breaker),
            failures if breaker["failuresInRow"] or breaker["lastFailure"] else "0",
            *_pools(one["pools"]),
            *_prices(one["prices"]),
            *_spend(one["spend"]),
            ", ".join(dict.fromkeys(_use(use) for use in one["usedBy"])),
        ]


def _state(breaker: Document) -> str:
    until = breaker["openUntil"]
    return f"Open until {_clock(until)}" if until else str(breaker["state"])


def _pools(pools: Sequence[Document]) -> Iterator[str]:
    """Used of the limit, of each credential; whose limit it is; and who waits."""
    for name in _LIMITS:
        yield ", ".join(_limit(pool[name]) for pool in pools)
    sources = (pool[name]["source"] for pool in pools for name in _LIMITS)
    yield ", ".join(dict.fromkeys(filter(None, sources))) or ("none" if pools else "")
    yield ", ".join(_waits(pools))


def _waits(pools: Sequence[Document]) -> Iterator[str]:
    yield from dict.fromkeys(agent for pool in pools for agent in pool["waiting"])
    for pool in pools:
        if pool["toldToWaitUntil"]:
            yield f"all until {_clock(pool['toldToWaitUntil'])} (429)"


def _limit(limit: Document) -> str:
    return f"{_count(limit['used'])}/{_count(limit['limit'])}" if limit["limit"] else "any"


def _prices(prices: Sequence[Document]) -> Iterator[str]:
    """Input, cached input and output; and whose price it is."""
    rates = ("inputPerMTok", "cachedInputPerMTok", "outputPerMTok")
    yield ", ".join("/".join(one[name] for name in rates) for one in prices) or "Unknown"
    yield ", ".join(dict.fromkeys(_source(one) for one in prices))


def _source(price: Document) -> str:
    since = f"since {price['since']}" if price["since"] else ""
    return " ".join(filter(None, (price["source"], price["release"], since)))


def _spend(spend: Document | None) -> Iterator[str]:
    for name in ("todayUSD", "monthUSD"):
        yield _dollars(spend[name]) if spend else ""


def _former(former: Sequence[Document]) -> Iterator[Row]:
    yield ["AGENT", "ASKED-BEFORE", "TODAY", "MONTH"]
    for one in former:
        month = _dollars(one["monthUSD"]) if one["monthUSD"] else ""
        agent = f"{one['namespace']}/{one['agent']}"
        yield [agent, one["model"] or "(model not known)", _dollars(one["todayUSD"]), month]


def _use(use: Document) -> str:
    """An Agent, as what it asks the model, and which of its revisions where that is not stable."""
    uses = ", ".join(use["as"])
    whose = "" if use["role"] == "stable" else f", {use['role'] or use['revision']}"
    return f"{use['agent']} ({uses}{whose})"


def _clock(moment: str) -> str:
    """The time of day of a moment (RFC 3339 in UTC)."""
    return f"{moment[11:19]}Z"


def _dollars(amount: str) -> str:
    """A decimal string in dollars without the zeros that say nothing, but for cents."""
    whole, _, rest = amount.partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def _count(number: int) -> str:
    """A number as short as it can be told without loss: 400k, 2M."""
    for size, unit in _UNITS:
        if number >= size and number % size == 0:
            return f"{number // size}{unit}"
    return str(number)


def _some(names: Sequence[str]) -> str:
    """Names in a sentence, the first three of many."""
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
