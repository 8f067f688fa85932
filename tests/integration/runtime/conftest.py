"""Real parts for the runtime: the fake Messages server, and a small server for tools."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from penstock_dev.model import testing
from penstock_store import testing as store_testing
from tests.integration.runtime.shop import Shop


@pytest.fixture(scope="session")
def messages_server():
    with testing.model_server(seed=7) as server:
        yield server


@pytest.fixture
def fake_model(messages_server):
    messages_server.reset()
    return messages_server


class ToolHandler(BaseHTTPRequestHandler):
    """Answers by path: /ok, /slow/<seconds>, /status/<code>, /big/<bytes>, /redirect, /drop."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.connection.settimeout(10)

    def do_GET(self):
        length = int(self.headers.get("content-length", 0))
        call = {
            "method": self.command,
            "path": self.path,
            "body": self.rfile.read(length).decode(),
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        self.server.calls.append(call)
        kind, _, value = self.path.partition("?")[0].strip("/").partition("/")
        match kind:
            case "slow":
                self.server.gate.wait(float(value))
                self.answer(200, b"late")
            case "status":
                self.answer(int(value), b"the reason")
            case "big":
                self.answer(200, b"x" * int(value))
            case "redirect":
                self.answer(302, b"", location="/ok")
            case "drop":
                self.close_connection = True
            case _:
                self.answer(200, json.dumps({"order": "shipped"}).encode())

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names of the standard library

    def answer(self, status, body, **headers):
        try:
            self.send_response(status)
            for name, value in {**headers, "content-length": len(body)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


class ToolServer(ThreadingHTTPServer):
    """Keeps the calls it got; ``gate`` lets slow calls answer at once."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ToolHandler)
        self.calls = []
        self.gate = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def wait_for_calls(self, count, seconds=240):
        deadline = time.monotonic() + seconds
        while len(self.calls) < count:
            assert time.monotonic() < deadline, f"{len(self.calls)} calls: {self.calls}"
            time.sleep(0.01)


@pytest.fixture
def tool_server():
    server = ToolServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()


# -------------------------------------------------------------------- a shop with one agent


@pytest.fixture(scope="session")
def redis_server():
    with store_testing.redis_server() as server:
        yield server


@pytest.fixture
async def shop(redis_server, fake_model, tmp_path):
    running = Shop(redis_server.url, fake_model.url, tmp_path)
    yield running
    await running.close()
