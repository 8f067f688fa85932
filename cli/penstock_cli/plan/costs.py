"""What tasks would cost with another model: the tokens of recent ones, at list price."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock import names
from penstock.money import listed
from penstock.money.prices import Price, Table, flat
from penstock_cli import gateway, options, places
from penstock_cli.exits import Stopped
from penstock_cli.plan.outcome import Cost, Planned
from penstock_cli.seen import Document

_PRICED_BY: Final = ("provider", "name", "price")
_TASKS: Final = 200  # a page of the gateway
_SECONDS: Final = 60.0
_PATIENCE_SECONDS: Final = 30.0


async def priced(place: options.Place, items: Iterable[Planned], now: datetime) -> list[Planned]:
    """The same, each with its cost where the next revision has another price than the one before."""
    return [
        replace(one, cost=await _cost(place, one, now))
        if one.models and _is_repriced(*one.models)
        else one
        for one in items
    ]


def _is_repriced(before: Document, after: Document) -> bool:
    return any(before.get(field) != after.get(field) for field in _PRICED_BY)


async def _cost(place: options.Place, planned: Planned, now: datetime) -> Cost:
    before, after = planned.models or ({}, {})
    named = str(before.get("name", "")), str(after.get("name", ""))
    if planned.prices is None:
        return Cost(*named, unknown="the installation's prices cannot be read")
    new = price_of(after, planned.prices)
    if new is None:
        return Cost(*named, unknown=f"no price of {named[1]} is known")
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            tasks = await _recent(place, planned)
    except (Stopped, TimeoutError) as error:
        why = error.sentence if isinstance(error, Stopped) else "the gateway does not answer"
        return Cost(*named, unknown=f"recent tasks cannot be read: {why}")
    return of_tasks(tasks, named, price_of(before, planned.prices), new, now)


async def _recent(place: options.Place, planned: Planned) -> list[Document]:
    """The newest tasks of the revision before, as far as the caller sees them."""
    where = options.Place(**{**vars(place), "namespace": planned.draft.namespace})
    agent = quote(planned.draft.name, safe="")
    async with (
        places.reach(where, _SECONDS) as found,
        gateway.client(found.url, found.token) as http,
    ):
        path = f"/v1/namespaces/{quote(found.namespace, safe='')}/agents/{agent}/tasks"
        return await _page(http, path, planned.before)


async def _page(http: httpx.AsyncClient, path: str, revision: str) -> list[Document]:
    query = [("revision", names.hash_of(revision)), ("limit", str(_TASKS))]
    found: dict[str, Any] = await gateway.fetch(http, "GET", path, query)
    items: list[Document] = found["items"]
    return items


def of_tasks(
    tasks: Iterable[Document],
    named: tuple[str, str],
    before: Price | None,
    after: Price,
    now: datetime,
) -> Cost:
    """The mean cost of tasks that the model itself has answered, at two prices.

    Args:
        tasks: as the gateway lists them.
        named: the models, before and after.
        now: by whose day prices hold.
    """
    counted = [one for one in tasks if _counts(one)]
    if not counted:
        return Cost(*named, unknown="no task of the revision before is kept that tells")
    ends = sorted(one["finishedAt"] for one in counted)

    def mean(price: Price) -> int:
        rates = price.rates(now.date())
        used = [one["usage"] for one in counted]
        total = sum(
            rates.input.base * one["inputTokens"] + rates.output.base * one["outputTokens"]
            for one in used
        )
        return int((total / len(used)).to_integral_value()) if total else 0

    return Cost(
        *named,
        len(counted),
        ends[0],
        ends[-1],
        mean(before) if before else None,
        mean(after),
    )


def _counts(task: Document) -> bool:
    usage = task["usage"]
    return bool(task["finishedAt"] and usage["modelCalls"] and not usage.get("tier"))


def price_of(model: Document, own: Table) -> Price | None:
    """The price of a declared model, in the order in which workers look: declared, the installation's, the list's."""
    if declared := model.get("price"):
        return flat(
            declared["inputPerMTok"], declared["outputPerMTok"], declared.get("cachedInputPerMTok")
        )
    name = str(model.get("name", ""))
    return own.entry(name).price or _list_price(str(model.get("provider", "Anthropic")), name)


def _list_price(provider: str, name: str) -> Price | None:
    import genai_prices

    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(input_tokens=1, output_tokens=1),
            name,
            provider_id=listed.PROVIDERS[provider],
        ).model
        return listed.price(found.prices)
    except (LookupError, NotImplementedError):
        return None
