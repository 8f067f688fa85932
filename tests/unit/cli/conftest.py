"""A cluster as kubectl shows it, and a gateway that answers what it is asked."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from tests.unit.cli.fake_kubectl import FakeKubectl


class Gateway(http.server.ThreadingHTTPServer):
    """Accepts every task; keeps (path, authorization) of what it was asked. ``port`` is its own."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.answered = threading.Event()
        self.answered.set()

    @property
    def port(self):
        return self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    """A task that has succeeded, whatever it is; a list without items, whichever it is."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Authorization"]))
        body = b'{"items": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.server.answered.wait(30)
        outcome = {"reason": "", "message": ""}
        task = {"id": "task-1", "status": "Queued", "output": "", "outcome": outcome}
        body = json.dumps(task).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: standard error belongs to what is tested."""


@pytest.fixture
def gateway():
    with Gateway() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        serving.start()
        yield server
        server.answered.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def kubectl(tmp_path, gateway):
    fake = FakeKubectl.install(tmp_path / "programs")
    fake.answer("port-forward", {"forwardedPort": gateway.port})
    return fake
