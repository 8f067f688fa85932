"""Callers on real gateways, workers that are killed under them, and what the vendor has billed of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import secrets
from dataclasses import dataclass, field

import httpx

from penstock.money.ledger import Amount
from tests.integration.runtime.shop import killed

_ORDER = re.compile(r"order (\w+)")
_AWAY = (502, 503, 504)
_CALLS_KEPT = 1000  # by the vendor's journal


@dataclass
class Answer:
    """How a caller's task went: its document, or the problem with which it was refused."""

    order: str
    user: str
    status: int
    document: dict
    headers: dict = field(default_factory=dict)


class Callers:
    """Submit tasks, again and again with their idempotency key, until each is answered for good."""

    def __init__(self, gateways, agent):
        self.gateways = itertools.cycle(gateways)
        self.path = f"/v1/namespaces/{agent.namespace}/agents/{agent.name}/tasks"
        self.answers = []

    async def ask(self, order, user, seconds=400):
        """One task from its submission to its end."""
        body = {"input": f"Where is order {order}?", "user": user, "wait": 5}
        headers = {"Idempotency-Key": f"key-{order}"}
        async with asyncio.timeout(seconds):
            answer = await self._said("POST", self.path, json=body, headers=headers)
            while answer.status_code == 202:
                answer = await self._said("POST", self.path, json=body, headers=headers)
        found = Answer(order, user, answer.status_code, answer.json(), dict(answer.headers))
        self.answers.append(found)
        return found

    async def _said(self, method, path, **request):
        """The first answer that is one: a gateway, or Redis behind it, may be away for a while."""
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await next(self.gateways).request(method, path, **request)
                if answer.status_code not in _AWAY:
                    return answer
            await asyncio.sleep(0.2)


class Crew:
    """So many workers of a revision; who is killed is replaced."""

    def __init__(self, shop, cut, count, **settings):
        self._start = lambda: shop.worker(
            cut,
            PENSTOCK_LOG_LEVEL="CRITICAL",  # nobody reads its output meanwhile
            **settings,
        )
        self.workers = [self._start() for _ in range(count)]

    async def kill_one(self):
        victim = self.workers.pop(0)
        await asyncio.to_thread(killed, victim)
        self.workers.append(self._start())

    async def kill_all(self):
        while self.workers:
            await asyncio.to_thread(killed, self.workers.pop())


# ------------------------------------------------------------------------------------ accounts


def bills(fake_model):
    """What each order has cost the vendor's customer: a bill for each call, each rounded up."""
    found = {}
    seen = fake_model.journal(_CALLS_KEPT)
    assert seen["total"] <= _CALLS_KEPT, "the journal has forgotten some"
    for each in seen["requests"]:
        if each["usage"]:
            found.setdefault(_order_of(each["body"]), []).append(price(each["usage"]))
    return found


def price(usage):
    """A bill at the prices of claude-sonnet-5-5."""
    fresh, out = usage["input_tokens"], usage["output_tokens"]
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    cost = -(-(200 * fresh + 1000 * out + 10 * read + 250 * written) // 100)
    return Amount(fresh + read + written + out, cost)


def _order_of(body):
    body = body if isinstance(body, dict) else json.loads(body)
    return _ORDER.search(json.dumps(body["messages"][0]))[1]


@dataclass(frozen=True)
class Place:
    """One scope in one window as the ledger keeps it."""

    scope: str
    subject: str
    window: str
    settled: Amount
    held: Amount


async def places(raw, tag):
    """Everything that the ledger counts of an agent."""
    found = []
    async for key in raw.scan_iter(f"{tag}:led:*"):
        scope, *subject, window, _ = key.decode().removeprefix(f"{tag}:led:").split(":")
        if scope == "users":
            continue
        kept = {name.decode(): int(value) for name, value in (await raw.hgetall(key)).items()}
        settled = Amount(kept.get("t", 0), kept.get("u", 0))
        held = Amount(kept.get("ot", 0), kept.get("ou", 0))
        found.append(Place(scope, ":".join(subject), window, settled, held))
    return found


def explains(settled, unsettled, calls, billed):
    """Whether a task's line is the vendor's bills but for so many calls that count what they held.

    Those are calls that were cut, or whose worker died: they may have been billed, for no more.
    """
    known = Amount(settled.tokens - unsettled.tokens, settled.micro_usd - unsettled.micro_usd)
    for missing in range(min(calls, len(billed)) + 1):
        for gone in itertools.combinations(range(len(billed)), missing):
            ended = [one for place, one in enumerate(billed) if place not in gone]
            unknown = sum((billed[place] for place in gone), Amount())
            if sum(ended, Amount()) == known and unknown.micro_usd <= unsettled.micro_usd:
                return True
    return False


def order(number):
    return f"{number:04d}{secrets.token_hex(3)}"
