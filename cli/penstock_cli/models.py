"""The models that Agents ask, as the gateway tells them: one row for each, those that are away first."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock_cli import documents, gateway, model_words, options, places
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import KubectlFailed

_SECONDS: Final = 60.0  # how long a token is needed
_AT_ONCE: Final = 8  # requests
_AGENTS: Final = "agents.penstock.dev"

Document = dict[str, Any]
_Agent = tuple[str, str]  # namespace and name
_Place = tuple[str, str, str]  # namespace, address and name of a model


@dataclass
class _Told:
    """What the gateway has told, and of which Agents it has told nothing, with why."""

    documents: list[Document] = field(default_factory=list)
    refused: dict[str, Stopped] = field(default_factory=dict)


def show(place: options.Place, agent: str, output: str, *, everywhere: bool) -> None:
    """Print the models of an Agent, else of all of a namespace, or of all.

    Raises:
        Stopped: nothing could be read, or not of all.
    """
    told = asyncio.run(_told(place, agent, everywhere=everywhere))
    if told.refused and not told.documents:
        raise next(iter(told.refused.values()))
    found = together(told.documents)
    if output == "text":
        print(model_words.text(found, with_namespace=everywhere))
    else:
        print(documents.printed(found, output))
    for remark in model_words.remarks(found):
        print(f"penstock: {remark}", file=sys.stderr)
    if told.refused:
        missing = "; ".join(f"{name}: {one.sentence}" for name, one in told.refused.items())
        raise Stopped(Exit.UNFINISHED, f"not shown: {missing}")


async def _told(place: options.Place, agent: str, *, everywhere: bool) -> _Told:
    told = _Told()
    if agent:
        async with _gateway(place) as (http, namespace):
            told.documents.append(await _fetch(http, (namespace, agent)))
        return told
    agents = await _agents(place, everywhere=everywhere)
    for namespace, group in groupby(agents, key=lambda one: one[0]):
        await _tell(replace(place, namespace=namespace), list(group), told)
    return told


async def _tell(place: options.Place, agents: Sequence[_Agent], told: _Told) -> None:
    """Ask for the models of a namespace's Agents, some at a time."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(http: httpx.AsyncClient, agent: _Agent) -> None:
        async with turns:
            try:
                told.documents.append(await _fetch(http, agent))
            except Stopped as stopped:
                told.refused["/".join(agent)] = stopped

    try:
        async with _gateway(place) as (http, _):
            await asyncio.gather(*(ask(http, agent) for agent in agents))
    except Stopped as stopped:
        told.refused[place.namespace] = stopped


@contextlib.asynccontextmanager
async def _gateway(place: options.Place) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    async with (
        places.reach(place, _SECONDS, sees_all=True) as found,
        gateway.client(found.url, found.token) as http,
    ):
        yield http, found.namespace


async def _fetch(http: httpx.AsyncClient, agent: _Agent) -> Document:
    namespace, name = (quote(part, safe="") for part in agent)
    return await gateway.fetch(http, "GET", f"/v1/namespaces/{namespace}/agents/{name}/models")


async def _agents(place: options.Place, *, everywhere: bool) -> list[_Agent]:
    """The Agents of the namespace, or of all, as kubectl lists them, by name."""
    chosen = [f"--namespace={place.namespace}"] if place.namespace else []
    where = ["--all-namespaces"] if everywhere else chosen
    try:
        listed = await places.cluster(place).read_json("get", _AGENTS, *where)
    except KubectlFailed as failed:
        sentence = f"no Agent can be listed: {failed}. Name one: penstock models AGENT"
        raise Stopped(Exit.REFUSED, sentence) from None
    named = (one["metadata"] for one in listed["items"])
    return sorted((one["namespace"], one["name"]) for one in named)


# ----------------------------------------------------------------------------------- put together


def together(documents: Iterable[Document]) -> Document:
    """What gateways told of Agents, with each model of a namespace at its address once.

    Those of which the breaker is not closed come first, then those that have cost most this month.
    """
    found: dict[_Place, Document] = {}
    silent, former = [], []
    told = sorted(documents, key=lambda one: (one["namespace"], one["agent"]))
    pools = _pools(told)
    for document in told:
        whose = {"namespace": document["namespace"], "agent": document["agent"]}
        for one in document["models"]:
            key = (document["namespace"], one["address"], one["model"])
            _add(found.setdefault(key, _begun(whose["namespace"], one)), whose["agent"], one)
            found[key]["pools"] = [*pools[key].values()]
        silent += [{**whose, "revision": revision} for revision in document["silent"]]
        former += [{**whose, **one} for one in document["former"] or ()]
        if Decimal(document["unattributedTodayUSD"] or 0):
            cost = {"todayUSD": document["unattributedTodayUSD"], "monthUSD": None}
            former.append({**whose, "model": None, **cost})
    return {
        "agents": len(told),
        "models": sorted(found.values(), key=_order),
        "silent": silent,
        "former": former,
    }


def _begun(namespace: str, one: Document) -> Document:
    said = {name: one[name] for name in ("provider", "address", "model", "breaker")}
    return {
        "namespace": namespace,
        **said,
        **{each: [] for each in ("pools", "prices", "usedBy", "spendBy")},
        "spend": None,
    }


def _pools(documents: Iterable[Document]) -> dict[_Place, dict[str, Document]]:
    """The pools of each model at its address, one for each credential: as it was told last.

    Agents with the same credential share one, of which each request finds another moment.
    """
    found: dict[_Place, dict[str, Document]] = {}
    for document in sorted(documents, key=lambda one: str(one["asOf"])):
        for one in document["models"]:
            mine = found.setdefault((document["namespace"], one["address"], one["model"]), {})
            for pool in one["pools"] or ():
                # A gateway of the version before tells no account.
                mine[pool.get("account") or json.dumps(pool)] = pool
    return found


def _add(model: Document, agent: str, one: Document) -> None:
    """Add what an Agent's gateway says of a model to what is known of it."""
    model["prices"] += [each for each in one["prices"] or () if each not in model["prices"]]
    model["usedBy"] += [{"agent": agent, **use} for use in one["usedBy"]]
    if one["spend"]:
        model["spendBy"].append({"agent": agent, **one["spend"]})
        before = model["spend"] or {}
        model["spend"] = {
            name: f"{Decimal(before.get(name, 0)) + Decimal(cost):.6f}"
            for name, cost in one["spend"].items()
        }


def _order(model: Document) -> tuple[int, Decimal, str, str, str]:
    rank = ("Open", "HalfOpen", "Closed").index(model["breaker"]["state"])
    cost = Decimal(model["spend"]["monthUSD"]) if model["spend"] else Decimal()
    return rank, -cost, model["namespace"], model["model"], model["address"]
