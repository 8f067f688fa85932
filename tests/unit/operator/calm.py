"""An API server, Redis and tenants in one, which keep what is written and count what is asked."""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from penstock.names import AgentKey
from penstock.traffic import Route
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.kinds import AGENT, DEPLOYMENT, ROLLOUT, Kind, Object
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.gather import Sources
from penstock_operator.reconcile.measure import Measure
from penstock_operator.reconcile.reconciler import Reconciler
from penstock_store.codec import route_record
from penstock_store.records import Look, RevisionWork, RowPage
from tests.unit.operator import worlds

KEY = AgentKey("acme", "support")
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


@dataclass
class Boot:
    """A clock that a test moves on."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Calm:
    """One agent's surroundings, in which all that is applied is there and ready at once."""

    asked: Counter[str] = field(default_factory=Counter)
    stored: tuple[str, ...] = ("",) * 10
    work: dict[str, RevisionWork] = field(default_factory=dict)
    last_row: str = ""
    has_way: bool = True
    ready: bool = True
    boot: Boot = field(default_factory=Boot)
    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(100))

    @property
    def routes(self) -> Calm:
        return self

    queue = outcomes = routes

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.boot.seconds)

    # -- Redis ---------------------------------------------------------------------------------

    def look_now(self, revisions: Any) -> Look:
        uid, epoch, version, *_ = self.stored
        work = {name: self.work.get(name, RevisionWork()) for name in revisions}
        return Look(
            now_ms=int(self.now.timestamp() * 1000),
            route_version=int(version) if version else None,
            route_epoch=int(epoch or 0),
            route_uid=uid,
            route_record=self.stored,
            first_row="",
            last_row=self.last_row,
            work=work,
        )

    async def look(self, _key: AgentKey, revisions: list[str]) -> Look:
        self.asked["look"] += 1
        return self.look_now(revisions)

    async def look_each(self, asked: Any) -> list[Look]:
        self.asked["look_each"] += 1
        return [self.look_now(revisions) for _, revisions in asked]

    async def put(self, _key: AgentKey, route: Route, **_: Any) -> None:
        self.asked["put"] += 1
        self.stored = route_record(route)

    async def page(self, *_: object) -> RowPage:
        self.asked["page"] += 1
        return RowPage((), "")

    async def rehome(self, *_: object) -> int:
        self.asked["rehome"] += 1
        return 0

    # -- the API server ------------------------------------------------------------------------

    async def get(self, *_: object) -> None:
        self.asked["get"] += 1

    async def listing(self, *_: object) -> tuple[list[Object], int]:
        self.asked["list"] += 1
        return [], 1

    async def apply(self, kind: Kind, obj: Object, _manager: str) -> Object:
        """What is not in the object stays as it was, as with managers that each have their part."""
        self.asked["apply"] += 1
        place = (kind.kind, obj["metadata"]["name"])
        before = self.objects.get(place, {"metadata": {}})
        notes = [part["metadata"].get("annotations", {}) for part in (before, obj)]
        metadata = {**before["metadata"], **obj["metadata"], "annotations": notes[0] | notes[1]}
        made = self.written({**before, **obj, "metadata": metadata})
        if kind is DEPLOYMENT and self.ready:
            made["status"] = {"readyReplicas": obj["spec"]["replicas"]}
        self.objects[place] = made
        return copy.deepcopy(made)

    async def replace_status(self, _kind: Kind, obj: Object) -> Object:
        self.asked["status"] += 1
        return self.written(obj)

    async def create(self, _kind: Kind, obj: Object) -> Object:
        self.asked["event"] += 1
        return obj

    async def delete(self, *_: object) -> None:
        self.asked["delete"] += 1

    def written(self, obj: Object) -> Object:
        version = str(next(self._versions))
        uid = obj["metadata"].get("uid") or f"uid-{obj['kind']}-{obj['metadata']['name']}"
        return {**obj, "metadata": {**obj["metadata"], "uid": uid, "resourceVersion": version}}

    # -- tenants -------------------------------------------------------------------------------

    def provided(self, _namespace: str) -> bool:
        return self.has_way

    async def provide(self, _namespace: str) -> str:
        self.asked["provide"] += 1
        self.has_way = True
        return ""

    # -- the operator --------------------------------------------------------------------------

    def reconciler(self, *rollouts: Object, settle_seconds: float = 0.0, **spec: Any) -> Reconciler:
        cache, all_in_one = Cache(), cast("Any", self)
        cache.observe(AGENT, {**worlds.agent(**spec), "status": {}})
        for rollout in rollouts:
            cache.observe(ROLLOUT, rollout)
        leadership = replace(Leadership.alone(), clock=self.boot)
        sources = Sources(
            all_in_one,
            all_in_one,
            cache,
            Measure(all_in_one),
            worlds.INSTALLATION,
            settle_seconds,
            leadership,
            all_in_one,
        )
        return Reconciler(sources, lambda: self.now)


async def settled(passes: Reconciler, calm: Calm, most: int = 60) -> None:
    """Make passes, each after the time that the one before asked for, until the agent is at rest."""
    for _ in range(most):
        again = await passes.reconcile(KEY)
        assert again is not None
        if passes.memories[KEY].rest:
            calm.asked.clear()
            return
        calm.boot.seconds += again.seconds
    raise AssertionError(f"not at rest after {most} passes: {calm.asked}")
