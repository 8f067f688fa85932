"""A small installation in one process, of which everything that Prometheus would scrape is kept.

The measures are the product's own, set by its own code; only time is not: a scrape is half a minute.
"""

from __future__ import annotations

import importlib
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import httpx
import prometheus_client

import penstock_operator.metrics
import penstock_runtime.gateway.metrics
import penstock_runtime.instrumentation
from penstock.errors import StoreUnavailable
from penstock.names import AgentKey
from penstock_operator.reconcile import reconciler, shown
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.world import World
from penstock_operator.tenancy import pressure
from penstock_runtime.agent.models.model import Failure
from penstock_runtime.gateway import admitting, app, state
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.tokens import TokensFile
from penstock_store.records import Memory
from tests.integration.chart.charts import CHART
from tests.unit.gateway.memory_store import MemoryStore

SCRAPE_SECONDS: Final = 30.0
OPERATOR, GATEWAY, WORKER = "operator", "gateway", "worker"
AGENT: Final = AgentKey("acme", "support")
_TASKS: Final = "/v1/namespaces/acme/agents/support/tasks"
_GATEWAYS: Final = "penstock_gateway_"
_ALERTS: Final = (CHART / "files" / "alerts.yaml").read_text(encoding="utf-8")
_ASKED: Final = frozenset(re.findall(r"\bpenstock_[a-z_]+\b", _ALERTS))
_MODULES: Final = {
    OPERATOR: penstock_operator.metrics,
    GATEWAY: penstock_runtime.gateway.metrics,
    WORKER: penstock_runtime.instrumentation,
}

#: What one target shows: (name, labels, value) of each sample.
Samples = list[tuple[str, dict[str, str], float]]


class Plant:
    """Operator, gateway and worker, each of which can be away or begin anew."""

    def __init__(self) -> None:
        vars(admitting)["_RETRY_SECONDS"] = (0.0, 0.0)  # nobody is waited for here
        self.scrapes: list[dict[str, Samples]] = []
        self.pods = dict.fromkeys(_MODULES, 0)
        self.away: set[str] = set()
        self.leads = True
        self.lists = True
        self.redis: Memory | Exception = Memory(100, 1000)
        self.requests = 0
        self.tasks = 0
        self.world: World | None = None
        self._looked_at: World | None = None
        self.store = MemoryStore()
        self.meter = cast("Any", None)
        self._client = cast("Any", None)
        for target in _MODULES:
            self.begin(target)

    @property
    def now(self) -> float:
        """Seconds since the first scrape."""
        return len(self.scrapes) * SCRAPE_SECONDS

    def begin(self, target: str) -> None:
        """Start a process: all that it has counted is gone."""
        self.pods[target] += 1
        _forget(target)
        importlib.reload(_MODULES[target])
        if target == OPERATOR:
            penstock_operator.metrics.led_by(lambda: self.leads)
            self._looked_at = None
        elif target == GATEWAY:
            self._client = _client(self.store)
        else:
            self.meter = penstock_runtime.instrumentation.Meter(AGENT, "support-1", "claude")
            self.meter.begin(kind.value for kind in Failure)

    async def run(self, minutes: float, each: Callable[[], Any] | None = None) -> None:
        """Let time go by: everybody works as told, and is scraped. Where nobody does, all stays."""
        idle = not (each or self.requests or self.tasks)
        for turn in range(round(minutes * 60 / SCRAPE_SECONDS)):
            if idle and turn > 1:
                self._repeat()
                continue
            await self._work()
            if each:
                each()
            self.scrapes.append({f"{t}-{self.pods[t]}": _samples(t) for t in self._present()})

    def _repeat(self) -> None:
        """One more scrape like the last; only lists go on."""
        listed = "penstock_operator_last_relist_timestamp_seconds"
        if self.lists:
            penstock_operator.metrics.RELISTED.set(self.now)
        self.scrapes.append(
            {
                target: [
                    (name, labels, self.now if name == listed and self.lists else value)
                    for name, labels, value in samples
                ]
                for target, samples in self.scrapes[-1].items()
            }
        )

    def _present(self) -> list[str]:
        return [target for target in _MODULES if target not in self.away]

    async def _work(self) -> None:
        metrics = penstock_operator.metrics
        if self.lists:
            metrics.RELISTED.set(self.now)
        for _ in range(5 if self.leads else 0):
            metrics.RECONCILES.labels("ok").inc()
            metrics.API_REQUESTS.labels("Agent", "GET", "200").inc()
        await pressure.look(cast("Any", self))
        if self.world and self.leads and self.world is not self._looked_at:
            self.look_at(self.world)
            self._looked_at = self.world
        await self._client.get("/readyz")
        await self._client.get("/healthz")
        for _ in range(self.requests):
            await self.ask()
        for _ in range(self.tasks):
            self.meter.model_called(penstock_runtime.instrumentation.ANSWERED, 0.5)
            self.meter.task_ended("Succeeded", "", 1.0)

    async def memory(self) -> Memory:
        """What Redis answers the operator."""
        if isinstance(self.redis, Exception):
            raise self.redis
        return self.redis

    async def ask(self, *failures: Exception) -> int:
        """Submit a task; the status of the answer."""
        self.store.failures = list(failures)
        answer = await self._client.post(_TASKS, json={"input": "x"})
        self.store.failures = []
        return int(answer.status_code)

    def look_at(self, world: World) -> None:
        """One pass of the operator, as far as it is measured."""
        plan = plan_agent(world)
        penstock_operator.metrics.show(AGENT, shown.of_agent(AGENT, world, plan))
        reconciler.count(AGENT, plan)

    def redis_away(self) -> None:
        """Redis answers nobody."""
        self.redis = StoreUnavailable("gone")


def _client(store: MemoryStore) -> httpx.AsyncClient:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.json"
        entry = {"token": "all-agents", "name": "all", "tenant": "acme", "agents": ["*"]}
        path.write_text(json.dumps({"tokens": [entry]}), encoding="utf-8")
        tokens = TokensFile(path)
        tokens.load()
    transport = httpx.ASGITransport(
        app.application(state.Gateway(cast("Any", store), Access(tokens)))
    )
    return httpx.AsyncClient(
        transport=transport,
        base_url="http://gateway",
        headers={"Authorization": "Bearer all-agents"},
    )


def _forget(target: str) -> None:
    """Take what a former process showed out of the registry that gateway and worker share here."""
    own = [value for value in vars(_MODULES[target]).values() if hasattr(value, "_labelnames")]
    for metric in own if target != OPERATOR else []:
        prometheus_client.REGISTRY.unregister(metric)


def _samples(target: str) -> Samples:
    """What a target's page says, as far as an alert asks for it."""
    registry = prometheus_client.REGISTRY
    if target == OPERATOR:
        registry = penstock_operator.metrics.REGISTRY
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in registry.collect()
        for sample in family.samples
        if _is_of(target, sample.name) and sample.name in _ASKED
    ]


def _is_of(target: str, name: str) -> bool:
    if not name.startswith("penstock_"):
        return False
    return target == OPERATOR or name.startswith(_GATEWAYS) == (target == GATEWAY)
