"""A canary that acts: stopped at what it may do to the world, and rolled back for what it asks of people without a rule."""

import json
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from penstock import names
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.test_decisions import kept
from tests.integration.acceptance.traffic import by_revision

MAY_DO = 3
#: It is not compared by how long tasks take: on a busy machine that says nothing of them.
PATIENT = {"latencyMeanSeconds": 3600, "errorRatePercent": 100}


class Refunding(BaseHTTPRequestHandler):
    """Pays whatever it is asked for."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"paid")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def refund() -> Iterator[dict[str, Any]]:
    """A tool that cannot be undone, and nobody is asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refunding)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield {
        "name": "refund",
        "inputSchema": {"type": "object", "properties": {"amount": {"type": "number"}}},
        "effect": "Irreversible",
        "approval": {"mode": "None"},
        "amountFrom": "amount",
        "http": {"url": f"http://127.0.0.1:{server.server_address[1]}/"},
    }
    server.shutdown()
    server.server_close()
    thread.join()


def shown(product: Product) -> str:
    """What `penstock get` prints."""
    done = product.terminal("get")
    assert done.returncode == 0, done.stderr
    return done.stdout


def stopped(product: Product) -> str:
    """Why the canary is stopped; "" while it is not."""
    status, reason, message = product.cluster.condition("agentrollout/support", "Stopped")
    return str(message) if (status, reason) == ("True", "HarmBudgetReached") else ""


def effects(product: Product) -> Counter[str]:
    """How many calls each revision has made."""
    path = f"/v1/namespaces/{product.namespace}/agents/support/effects?limit=200"
    items = product.call("GET", path).json()["items"]
    return Counter(one["revision"] for one in items if one["state"] == "Done")


@pytest.mark.timeout(600)
def test_a_canary_is_stopped_at_what_it_may_do_and_rolled_back_for_what_it_asks_of_people(
    product: Product, refund: dict[str, Any]
) -> None:
    tools = {"tools": [refund]}
    policy = manifests.rollout(((20, 3000, 1),), guardrails=PATIENT)
    policy["spec"]["analysis"]["harm"] = {"maxIrreversibleCalls": MAY_DO}
    product.cluster.apply(manifests.agent("Talk.", template=tools), policy)
    stable = product.until_stable()
    calls = [{"name": "refund", "input": {"amount": 12}}]
    with product.live_traffic(5) as load:
        product.cluster.apply(manifests.agent("Refund.", template=tools, toolCalls=calls))
        canary = product.until_canary(stable)
        why = str(product.until("it is stopped", lambda: stopped(product), seconds=240))
    assert "analysis.harm.maxIrreversibleCalls leaves it" in why
    assert (product.share(), product.rollout().get("verdicts") or []) == (0, [])
    assert by_revision(load.accepted)[canary] >= MAY_DO, "the canary really served"
    product.until_all_ended(load, seconds=240)
    assert effects(product)[canary] == MAY_DO
    told = shown(product)
    rows = [line.split() for line in told.splitlines()]
    assert any(row[:1] == ["maxIrreversibleCalls"] and str(MAY_DO) in row for row in rows), told
    decided = [json.loads(text) for text in kept(product, canary)]
    stop = next(one for one in decided if one.get("rule") == "harm.spend_cap")
    used = {one["name"]: one for one in stop["measured"]["checks"]}["maxIrreversibleCalls"]
    assert (stop["move"], used["candidate"], used["limit"]) == ("Suspend", "3", "3")

    asks = [{"name": "escalate", "input": {"reason": "Who is she?"}}]
    unsure = {"oversight": {"handover": True, "timeoutSeconds": 3600}}
    with product.live_traffic(8) as asking:
        product.cluster.apply(manifests.agent("Ask.", template=tools | unsure, toolCalls=asks))
        asker = product.until_canary(canary)

        def rolled_back() -> str:
            verdicts = product.rollout().get("verdicts") or []
            found = [one for one in verdicts if one["revision"] == asker]
            return str(found[0]["reason"]) if found else ""

        reason = product.until("what asks people is rolled back", rolled_back, seconds=240)
    assert reason == "EscalationRateRegression"
    found = [product.read(one.task)["status"] for one in asking.accepted if one.revision == asker]
    assert "WaitingForApproval" in found, "nobody had to decide first"
    ended = product.log().ended_on(names.hash_of(asker))
    assert ended, "each is counted as soon as it waits"
