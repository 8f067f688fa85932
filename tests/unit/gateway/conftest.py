"""A gateway without a socket, on a store in memory."""

from __future__ import annotations

import json

import httpx
import pytest

from penstock_runtime.gateway import app, state
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.identities import ClusterTokens
from penstock_runtime.gateway.tokens import TokensFile
from tests.unit.gateway.memory_store import MemoryStore
from tests.unit.gateway.reviewers import Reviewer

TOKENS = [
    {"token": "all-agents", "name": "all", "tenant": "acme", "agents": ["*"]},
    {"token": "one-agent", "name": "one", "tenant": "acme", "agents": ["shop/support"]},
    {"token": "one-namespace", "name": "namespace", "tenant": "acme", "agents": ["shop/*"]},
    {"token": "other-tenant", "name": "other", "tenant": "globex", "agents": ["*"]},
]


@pytest.fixture
def tokens_path(tmp_path):
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"tokens": TOKENS}))
    return path


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def gateway(store, tokens_path):
    tokens = TokensFile(tokens_path)
    tokens.load()
    return state.Gateway(store, Access(tokens), ping_seconds=0.05)


@pytest.fixture
async def client(gateway):
    transport = httpx.ASGITransport(app.application(gateway))
    async with httpx.AsyncClient(
        transport=transport,
        base_url="http://gateway",
        headers={"Authorization": "Bearer all-agents"},
    ) as client:
        yield client


@pytest.fixture
def submit(client):
    """Posts a body (a dict as JSON, bytes as they are) to an agent."""

    async def post(body, agent="shop/support", **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        namespace, _, name = agent.partition("/")
        sent = {"Content-Type": "application/json", **headers}
        path = f"/v1/namespaces/{namespace}/agents/{name}/tasks"
        return await client.post(path, content=content, headers=sent)

    return post


@pytest.fixture
def reviewer():
    return Reviewer()


@pytest.fixture
def cluster_gateway(store, gateway, reviewer):
    """The gateway that takes tokens of a cluster besides those of its file."""
    cluster = ClusterTokens(reviewer, ("penstock",), 30, now=lambda: 0)
    return state.Gateway(store, Access(gateway.access.tokens, cluster))


@pytest.fixture
async def cluster_client(cluster_gateway):
    transport = httpx.ASGITransport(app.application(cluster_gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client
