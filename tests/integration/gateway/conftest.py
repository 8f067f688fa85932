"""Gateway processes on a real Redis; the tests themselves act as the workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from penstock.guard import unguarded
from penstock.names import AgentKey
from penstock.task import Outcome, TaskStatus, Usage
from penstock.traffic import RevisionLimits, Route, RoutedRevision, Split, Standing
from penstock_store import testing
from penstock_store.store import Store
from tests.integration.cluster import Cluster
from tests.integration.gateway.rights import GATEWAY_RULES, rights
from tests.routes import changed

STABLE, CANARY = "aaaa0000", "bbbb1111"
INPUT_CHARS = 20_000
TOKENS = [
    {"token": "all-agents", "name": "all", "tenant": "acme", "agents": ["*"]},
    {
        "token": "ann-previews",
        "name": "ann",
        "tenant": "acme",
        "agents": ["*"],
        "user": "ann",
        "preview": True,
    },
    {"token": "one-agent", "name": "one", "tenant": "acme", "agents": ["shop/support"]},
    {"token": "other-tenant", "name": "other", "tenant": "globex", "agents": ["*"]},
]
DEADLINE_SECONDS = 120.0
START_SECONDS = 180.0  # a second of work, where twenty others want the same processor


@dataclass
class GatewayProcess:
    """A running gateway."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str

    def client(self, token="all-agents"):
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=DEADLINE_SECONDS,
            trust_env=False,
        )

    def stop(self):
        """SIGTERM; the exit code. Callers may wait for 300 s: it leaves long before."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def launch(redis_url, directory, **settings):
    """Start a gateway on a free port; return it once it listens."""
    tokens = directory / "tokens.json"
    if not tokens.exists():
        tokens.write_text(json.dumps({"tokens": TOKENS}))
    log = directory / f"gateway-{uuid.uuid4().hex[:6]}.log"
    variables = {
        "PENSTOCK_REDIS_URL": redis_url,
        "PENSTOCK_TOKENS_FILE": str(tokens),
        "PENSTOCK_LISTEN": "127.0.0.1:0",
        **settings,
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock_runtime.gateway"],
            env={**os.environ, **variables},
            stdout=out,
            stderr=out,
        )
    deadline = time.monotonic() + START_SECONDS
    while not (line := _complete_line("the gateway listens", said := log.read_text())):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the gateway does not listen: {said}")
        time.sleep(0.02)
    return GatewayProcess(process, log, f"http://{json.loads(line)['address']}")


def _complete_line(event, said):
    lines = said.splitlines(keepends=True)
    return next((line for line in lines if event in line and line.endswith("\n")), None)


@pytest.fixture(scope="module")
def redis():
    with testing.redis_server() as server:
        yield server


@pytest.fixture
def start(redis, tmp_path):
    """Starts gateways; what still runs at the end of the test is stopped, and must stop well."""
    started = []

    def launched(**settings):
        started.append(launch(redis.url, tmp_path, **settings))
        return started[-1]

    yield launched
    for running in started:
        if running.process.poll() is None:
            assert running.stop() == 0, running.log.read_text()


@pytest.fixture(scope="module")
def shared(redis, tmp_path_factory):
    """One gateway for all tests of a module that leave it as it is."""
    running = launch(redis.url, tmp_path_factory.mktemp("gateway"))
    yield running
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture
async def client(shared):
    async with shared.client() as client:
        yield client


@pytest.fixture
async def store(redis):
    store = Store.connect(redis.url, guard=unguarded, timeout_seconds=30)
    yield store
    await store.aclose()


@pytest.fixture
def cluster(kubectl):
    return Cluster(kubectl)


@pytest.fixture
def reviewing(environment, kubectl, cluster, namespace, tmp_path):
    """What a gateway is told so that it reviews with an account of its own."""
    kubectl("create", "serviceaccount", "gateway")
    cluster.apply(*rights(namespace, "gateway", GATEWAY_RULES, "ClusterRole"))
    own = tmp_path / "own-token"
    own.write_text(kubectl("create", "token", "gateway"))
    server = kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    yield {
        "PENSTOCK_KUBERNETES_AUTH": "true",
        "PENSTOCK_KUBERNETES_URL": server,
        "PENSTOCK_KUBERNETES_CA_FILE": str(environment.state_dir / "pki" / "ca.crt"),
        "PENSTOCK_KUBERNETES_TOKEN_FILE": str(own),
    }
    for kind in ("clusterrolebinding", "clusterrole"):
        kubectl("delete", kind, f"{namespace}-gateway")


@dataclass
class Agent:
    """An agent with a route, and a worker's part in the life of its tasks."""

    store: Store
    key: AgentKey
    version: int = 0
    versions: dict[str, str] = field(default_factory=dict)  # declared, by hash

    @property
    def tasks(self):
        return f"/v1/namespaces/{self.key.namespace}/agents/{self.key.name}/tasks"

    async def set_route(self, **changes):
        self.version += 1
        limits = RevisionLimits(INPUT_CHARS, 600, 600)
        revisions = {
            name: RoutedRevision(name, Standing.OPEN, limits, self.versions.get(name, ""))
            for name in (STABLE, CANARY)
        }
        route = changed(
            Route("uid", 1, self.version, Split(STABLE), revisions=revisions), **changes
        )
        await self.store.routes.put(self.key, route)

    async def claim(self, limit=1):
        """As many claims as asked for, once there are so many."""
        claims = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(claims) < limit:
                claims += await self.store.claims.take(
                    self.key, STABLE, "worker", limit - len(claims)
                )
                if len(claims) < limit:
                    await self.store.queue.wait_for_work(self.key, STABLE, 0.2)
        return claims

    async def finish(self, claim, output="It is on its way."):
        done = Outcome(TaskStatus.SUCCEEDED, output=output)
        assert await self.store.claims.finish(claim, done, Usage(1, 0, 10, 5, 250, 40))


@pytest.fixture
async def agent(store):
    agent = Agent(store, AgentKey("shop", f"support-{uuid.uuid4().hex[:8]}"))
    await agent.set_route()
    return agent


async def until(condition, seen, seconds=DEADLINE_SECONDS):
    """Return the first true value of an asynchronous condition, with a deadline."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not (value := await condition()):  # noqa: ASYNC110 - nothing rings
                await asyncio.sleep(0.02)
            return value
    pytest.fail(f"it never came to that: {await seen()}")
