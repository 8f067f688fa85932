"""A canary that would refund on its own: seen on copies, before any user has it and before any refund is made."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from penstock import names
from penstock.names import AgentKey
from penstock.task import TaskStatus
from tests import trials
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision

CAP_USD, CAP = "0.25", 250_000
READ = {"name": "look_up", "input": {"order": "A1"}}
REFUND = {"name": "refund", "input": {"order": "A1"}}


@pytest.fixture
def till() -> Iterator[ThreadingHTTPServer]:
    """A server for tools that keeps the paths it was called by."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            server.calls.append(self.path)  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.calls = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def refunds(till: ThreadingHTTPServer) -> int:
    return till.calls.count("/refund")  # type: ignore[attr-defined]


def support(till: ThreadingHTTPServer, words: str, *calls: dict[str, Any]) -> dict[str, Any]:
    def tool(name: str, effect: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{till.server_address[1]}/{name}"
        return {
            "name": name, "inputSchema": {"type": "object"}, "effect": effect,
            "approval": {"mode": "None"}, "http": {"url": url},
        }  # fmt: skip

    tools = [tool("look_up", "ReadOnly"), tool("refund", "Irreversible")]
    return manifests.agent(words, template={"tools": tools}, toolCalls=list(calls))


def policy() -> dict[str, Any]:
    made = manifests.rollout(manifests.PARKED)
    made["spec"]["strategy"]["shadow"] = {
        "percent": 100, "spendCapUSD": CAP_USD, "holdSeconds": 0, "minTasks": 10,
    }  # fmt: skip
    return made


def seen(product: Product, canary: str) -> trials.Seen:
    key = AgentKey(product.namespace, "support")
    return product.background.run(trials.seen(product.store, key, names.hash_of(canary)))


@pytest.mark.timeout(400)
def test_a_canary_that_refunds_is_held_on_copies_without_a_refund_and_a_good_one_goes_on(
    product: Product, till: ThreadingHTTPServer
) -> None:
    product.cluster.apply(support(till, "Answer.", READ), policy())
    stable = product.until_stable()

    def canary_after(before: str) -> str:
        found = product.rollout()
        canary = str(found.get("canaryRevision") or "")
        return canary if canary not in ("", before) and found.get("stage") == "Shadow" else ""

    def held() -> str:
        _, reason, message = product.cluster.condition("agentrollout/support", "Progressing")
        return message if reason == "AnalysisUnclear" else ""

    with product.live_traffic(8) as load:
        product.cluster.apply(support(till, "Refund.", READ, REFUND))
        rash = str(product.until("the canary works on copies", lambda: canary_after(stable)))
        message = str(product.until("too few copies agree", held))
        print(message)
        assert "copies agree (same end, same intended calls)" in message
        assert "That alone rejects nobody" in message
        assert product.share() == 0
        assert not product.rollout().get("verdicts")
        found = seen(product, rash)
        assert found.judged >= 10
        assert found.agreed == 0
        assert {one["stoppedAt"]["tool"] for one in found.differing} == {"refund"}
        assert 0 < found.spent.micro_usd <= CAP

        product.cluster.apply(support(till, "Answer well.", READ))
        good = str(product.until("the next one works on copies", lambda: canary_after(rash)))
        product.until_share(5)
        assert seen(product, good).agreed >= 10
    product.until_all_ended(load)
    assert refunds(till) == 0, "the server has seen no refund, of a copy or of anybody"
    assert set(by_revision(load.accepted)) <= {stable, good}, "nobody was given to who refunds"
    ended = product.tasks(sorted(load.tasks))
    assert {task.status for task in ended} == {TaskStatus.SUCCEEDED}
    assert {row.revision for row in product.log().rows} <= {
        names.hash_of(one) for one in (stable, good)
    }
