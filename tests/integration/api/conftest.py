"""The API server's answers as a refusal in words, or None."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from penstock_dev import environment as embedded
from penstock_dev import kube
from tests.integration.api.manifests import Document

Refusal = str | None
PLURALS = {"Agent": "agents", "AgentRollout": "agentrollouts"}


class Api:
    """The API server's answers to one namespace, as a refusal in words or None."""

    def __init__(self, client: kube.KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def path(self, kind: str, name: str = "") -> str:
        place = f"/apis/penstock.dev/v1alpha1/namespaces/{self.namespace}/{PLURALS[kind]}"
        return f"{place}/{name}" if name else place

    async def create(self, document: Document, **parameters: str) -> Refusal:
        path = self.path(document["kind"])
        return await refusal(self.client.call("POST", path, document, **parameters))

    async def would_create(self, document: Document) -> Refusal:
        """A dry run with the strictness of kubectl apply."""
        return await self.create(document, dryRun="All", fieldValidation="Strict")

    async def patch(
        self, kind: str, change: Document, part: str = "", **parameters: str
    ) -> Refusal:
        path = self.path(kind, "support") + part
        return await refusal(self.client.merge(path, change, **parameters))

    async def stored(self, kind: str) -> Document:
        return await self.client.get(self.path(kind, "support"))


async def refusal(call: Awaitable[Any]) -> Refusal:
    """What the server said when it refused, in one line; None when it accepted."""
    try:
        await call
    except kube.ApiError as error:
        return " ".join(str(error).split())
    return None


@pytest.fixture
async def connect(
    environment: embedded.Environment,
) -> AsyncIterator[Callable[[str], Api]]:
    """Gives the API of a namespace; administrator, over one connection."""
    assert environment.kubeconfig
    async with kube.KubeClient.from_kubeconfig(environment.kubeconfig) as client:
        yield lambda namespace: Api(client, namespace)


@pytest.fixture
def trial(connect: Callable[[str], Api]) -> Api:
    """For dry runs: nothing is stored, so no namespace of its own is needed."""
    return connect("default")


@pytest.fixture
def api(connect: Callable[[str], Api], namespace: str) -> Api:
    """In the test's own namespace."""
    return connect(namespace)
