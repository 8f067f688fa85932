"""A tool's headers come from a Secret in the local environment as in a cluster, and the leader is known."""

from __future__ import annotations

import base64
import http.server
import threading

import httpx
import pytest

from penstock_dev import traffic
from tests.integration.dev import pods

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


@pytest.fixture
def shop():
    """A tool's server; `shop.seen` holds the `authorization` headers of its calls."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.server.seen.append(self.headers["authorization"])
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            """Nothing: the tests look at `seen`."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def secret(value: str):
    data = {"Authorization": base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop"}, "data": data}


def agent(port: int):
    tool = {
        "name": "look_up",
        "description": "Finds an order.",
        "effect": "ReadOnly",
        "inputSchema": {"type": "object"},
        "http": {
            "url": f"http://127.0.0.1:{port}/orders",
            "headersFromSecretRef": {"name": "shop"},
        },
    }
    script = '#fake {"toolCalls": [{"name": "look_up"}]}'
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": "clerk"},
        "spec": {
            "template": {
                "instructions": f"You help.\n{script}",
                "model": {"name": "claude-haiku-5-5"},
                "tools": [tool],
            }
        },
    }


async def ask(environment, namespace: str) -> traffic.Answer:
    target = traffic.Target(environment.gateway_url, environment.token, "clerk", namespace)
    async with target.client() as client:
        return await traffic.ask(client, target, "ann", "Where is order 4711?", wait_seconds=30)


@pytest.mark.usefixtures("operator", "gateway")
async def test_a_tool_sends_the_headers_of_its_secret_and_of_the_secret_as_changed(
    environment, namespace, kubectl, shop
) -> None:
    pods.apply(kubectl, secret("Bearer first"), agent(shop.server_port))
    kubectl("wait", "--for=condition=Ready", "agent/clerk", "--timeout=60s")
    answer = await ask(environment, namespace)
    assert answer.status == "Succeeded", answer
    assert shop.seen == ["Bearer first"]
    pods.apply(kubectl, secret("Bearer second"))
    kubectl("rollout", "restart", "deployment", "-l", "penstock.dev/agent=clerk")
    kubectl("rollout", "status", "deployment", "-l", "penstock.dev/agent=clerk", "--timeout=60s")
    assert (await ask(environment, namespace)).status == "Succeeded"
    assert shop.seen[-1] == "Bearer second"


def test_the_only_operator_says_that_it_leads(operator) -> None:
    metrics = httpx.get(f"{operator}/metrics", trust_env=False).text
    assert "\npenstock_leader 1.0\n" in metrics
