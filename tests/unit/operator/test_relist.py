"""Listing everything anew: what one agent or one namespace breaks holds up no other."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

import pytest
import structlog

from penstock.errors import PenstockError, StoreRefused, StoreUnavailable
from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import ClusterError
from penstock_operator.cluster.kinds import AGENT, CONFIGMAP, Kind, Object
from penstock_operator.leadership.election import Timing
from penstock_operator.leadership.leadership import Fenced, Leadership
from penstock_operator.reconcile import relist
from penstock_operator.reconcile.queue import WorkQueue
from penstock_operator.reconcile.relist import Relister

KEPT, GONE, BROKEN = (AgentKey("acme", name) for name in ("kept", "gone", "broken"))


def agent(key: AgentKey, uid: str = "new", version: int = 1) -> Object:
    names = {"namespace": key.namespace, "name": key.name}
    return {"metadata": {**names, "uid": uid, "resourceVersion": str(version)}}


@dataclass
class Listed:
    """An API server with Agents and nothing else; whole namespaces or kinds may be refused."""

    agents: list[Object] = field(default_factory=list)
    refused: dict[str | tuple[str, str], int] = field(default_factory=dict)

    async def listing(self, kind: Kind, namespace: str | None) -> tuple[list[Object], int]:
        for place in (namespace or "", (namespace or "", kind.kind)):
            if place in self.refused:
                raise ClusterError(self.refused[place], f"{place} is refused")
        found = [
            obj
            for obj in self.agents
            if kind is AGENT and namespace in (None, obj["metadata"]["namespace"])
        ]
        return found, 100


@dataclass
class Index:
    """A store with an index; some agents cannot be closed."""

    known: dict[AgentKey, str]
    broken: dict[AgentKey, Exception | None] = field(default_factory=dict)
    closed: list[tuple[AgentKey, str]] = field(default_factory=list)

    @property
    def routes(self) -> Index:
        return self

    async def index(self) -> dict[AgentKey, str]:
        return dict(self.known)

    async def set_index(self, agents: dict[AgentKey, str]) -> None:
        self.known = dict(agents)

    async def close(self, key: AgentKey, uid: str) -> int:
        if key in self.broken:
            error = self.broken[key]
            if error is None:
                await asyncio.Event().wait()
            else:
                raise error
        self.closed.append((key, uid))
        return 0


def relister(listed: Listed, index: Index, *namespaces: str) -> Relister:
    """One that may write the index."""
    return Relister(
        listed,  # type: ignore[arg-type]
        index,  # type: ignore[arg-type]
        Cache(),
        WorkQueue(lambda: 0.0),
        namespaces,
        60.0,
        lambda: 1000.0,
        Leadership.alone(),
        sure=True,
    )


async def test_an_agent_that_cannot_be_closed_keeps_its_place_and_holds_up_no_other() -> None:
    index = Index({KEPT: "new", GONE: "u2", BROKEN: "u3"}, {BROKEN: StoreRefused("WRONGTYPE")})
    it = relister(Listed([agent(KEPT)]), index)
    with structlog.testing.capture_logs() as logged:
        await it.once()
    assert index.closed == [(GONE, "u2")]
    assert index.known == {KEPT: "new", BROKEN: "u3"}
    assert [(line["agent"], line["error"]) for line in logged if "error" in line] == [
        ("acme/broken", "WRONGTYPE")
    ]
    index.broken.clear()
    await it.once()
    assert index.closed == [(GONE, "u2"), (BROKEN, "u3")]
    assert index.known == {KEPT: "new"}


async def test_a_successor_of_an_agent_that_cannot_be_closed_does_not_hide_it() -> None:
    index = Index({BROKEN: "old"}, {BROKEN: StoreRefused("WRONGTYPE")})
    it = relister(Listed([agent(BROKEN, "new")]), index)
    await it.once()
    assert index.known == {BROKEN: "old"}
    index.broken.clear()
    await it.once()
    assert index.closed == [(BROKEN, "old")]
    assert index.known == {BROKEN: "new"}


async def test_an_agent_whose_closing_does_not_end_holds_up_the_list_but_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relist, "_CLOSING_SECONDS", 0.05)
    others = {AgentKey("other", f"a{number}"): "u" for number in range(9)}
    index = Index({BROKEN: "u3", **others}, {BROKEN: None})
    it = relister(Listed([agent(KEPT)]), index)
    async with asyncio.timeout(5):
        while len(index.closed) < len(others):  # the order is another one each time
            await it.once()
    assert index.known == {KEPT: "new", BROKEN: "u3"}


async def test_a_redis_that_is_away_is_not_asked_for_each_agent() -> None:
    away = StoreUnavailable("away")
    known = {AgentKey("acme", f"a{number}"): "u" for number in range(9)}
    index = Index(known, dict.fromkeys(known, away))
    with structlog.testing.capture_logs() as logged:
        await relister(Listed(), index).once()
    assert index.known == known
    assert len(logged) == 1


async def test_who_leads_no_more_writes_no_index() -> None:
    index = Index({GONE: "u2"}, {GONE: Fenced("no")})
    with pytest.raises(Fenced):
        await relister(Listed([agent(KEPT)]), index).once()
    assert index.known == {GONE: "u2"}


async def test_a_relist_goes_on_for_ever_whatever_redis_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relist, "_RETRY_SECONDS", 0.0)
    index = Index({GONE: "u2"})
    fails: list[PenstockError] = [StoreRefused("ERR no"), StoreUnavailable("away")]

    async def sometimes() -> dict[AgentKey, str]:
        if fails:
            raise fails.pop()
        return index.known

    monkeypatch.setattr(index, "index", sometimes)
    running = asyncio.create_task(relister(Listed(), index).run())
    async with asyncio.timeout(5):
        while not index.closed:
            assert not running.done()
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


ACME, SHOP = AgentKey("acme", "a"), AgentKey("shop", "b")


def refused(namespace: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(
        "penstock_operator_namespace_refused", {"namespace": namespace}
    )


@pytest.mark.parametrize("status", [403, 404])
async def test_a_watched_namespace_that_is_refused_stays_as_it_is_and_holds_up_no_other(
    status: int,
) -> None:
    listed = Listed([agent(ACME), agent(SHOP)])
    index = Index({})
    it = relister(listed, index, "acme", "shop")
    await it.once()
    assert index.known == {ACME: "new", SHOP: "new"}
    listed.agents, listed.refused, it.listed_at = [], {"acme": status}, None
    with structlog.testing.capture_logs() as logged:
        await it.once()
        await it.once()
    assert it.listed_at == 1000.0
    assert (index.closed, index.known) == ([(SHOP, "new")], {ACME: "new"})
    assert it.cache.all(AGENT) == [agent(ACME)]
    assert [line["namespace"] for line in logged if "namespace" in line] == ["acme"]
    assert (refused("acme"), refused("shop")) == (1, 0)
    listed.refused = {}
    with structlog.testing.capture_logs() as logged:
        await it.once()
    assert index.closed == [(SHOP, "new"), (ACME, "new")]
    assert [line["namespace"] for line in logged if "namespace" in line] == ["acme"]
    assert refused("acme") == 0


async def test_agents_of_a_refused_namespace_that_a_new_leader_never_saw_are_not_closed() -> None:
    index = Index({ACME: "u", SHOP: "new"})
    it = relister(Listed([agent(SHOP)], {"acme": 403}), index, "acme", "shop")
    await it.once()
    assert (index.closed, index.known) == ([], {ACME: "u", SHOP: "new"})


@pytest.mark.parametrize(
    ("namespaces", "refusals"),
    [
        ((), {"": 403}),
        (("acme",), {"acme": 403}),
        (("acme", "shop", "acme"), {"acme": 403, "shop": 404}),
        (("acme", "shop"), {"acme": 500}),
        (("acme", "shop"), {"acme": 401}),
        (("acme", "shop"), {"acme": 0}),
    ],
)
async def test_nothing_is_listed_where_all_is_refused_or_the_api_server_fails(
    namespaces: tuple[str, ...], refusals: dict[str | tuple[str, str], int]
) -> None:
    index = Index({ACME: "u"})
    it = relister(Listed([agent(SHOP)], refusals), index, *namespaces)
    with pytest.raises(ClusterError):
        await it.once()
    assert it.listed_at is None
    assert not it.listed.is_set()
    assert index.known == {ACME: "u"}


async def test_nothing_is_decided_in_a_namespace_before_the_leader_has_listed_all_of_it() -> None:
    listed = Listed([agent(ACME), agent(SHOP)], {("acme", CONFIGMAP.kind): 403})
    it = relister(listed, Index({}), "acme", "shop")
    it.sure = False
    assert not it.knows(SHOP)
    await it.once()
    await it.lead()
    assert it.knows(SHOP)
    assert not it.knows(ACME), "its revisions may be unknown"
    listed.refused = {}
    await it.once()
    assert it.knows(ACME)
    listed.refused = {"acme": 403}
    await it.once()
    assert it.knows(ACME), "what is known of it was complete; a rollback must not wait"


async def test_who_is_elected_lists_anew_and_knows_what_it_could_list_then() -> None:
    listed = Listed([agent(ACME), agent(SHOP)])
    it = relister(listed, Index({}), "acme", "shop")
    it.sure, it.leadership = False, Leadership(Timing())
    it.leadership.grant(1, math.inf)
    await it.once()
    listed.refused = {"acme": 403}
    await it.lead()
    assert (it.knows(ACME), it.knows(SHOP)) == (False, True)


async def test_agents_that_come_at_once_write_few_indexes_the_first_without_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pause = 0.2
    monkeypatch.setattr(relist, "_INDEX_SECONDS", pause)
    index = Index({})
    written: asyncio.Queue[int] = asyncio.Queue()

    async def counted(agents: dict[AgentKey, str]) -> None:
        await written.put(len(agents))

    monkeypatch.setattr(index, "set_index", counted)
    it = relister(Listed(), index)
    running = asyncio.create_task(it.run())
    clock = asyncio.get_running_loop().time
    begun = clock()
    sizes = []
    try:
        async with asyncio.timeout(30):
            assert await written.get() == 0
            for number in range(100):
                it.cache.observe(AGENT, agent(AgentKey("acme", f"a{number}")))
                it.changed.set()
                await asyncio.sleep(0)
            while not sizes or sizes[-1] < 100:
                sizes.append(await written.get())
    finally:
        running.cancel()
    assert sizes[0] == 1, "the first one is not kept waiting"
    assert len(sizes) <= 2 + (clock() - begun) / pause
