"""A server that answers as it is told, byte by byte, and a real Prometheus that scrapes what a test shows."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from tests.integration import real_prometheus

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"


def body(text, head=OK):
    """A whole answer."""
    data = text if isinstance(text, bytes) else text.encode()
    return head + b"Content-Length: %d\r\n\r\n" % len(data) + data


def number(value="4.5"):
    """What Prometheus says where the query yields one series."""
    sample = {"metric": {}, "value": [1.5, value]}
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": [sample]}})


class Plain:
    """A server that writes to everybody what it is told to, and keeps what it was asked."""

    def __init__(self):
        self.requests = []
        self.answer = body(number())
        self.writes = None  # a coroutine in place of an answer
        self.url = ""
        self.serving = set()

    async def serve(self, reader, writer):
        self.serving.add(asyncio.current_task())
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.writes:
                writing = asyncio.create_task(self.writes(writer))
                await reader.read()  # until who asked has heard enough
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
                return
            writer.write(self.answer)
            await writer.drain()
            writer.write_eof()
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


@pytest.fixture
async def plain():
    made = Plain()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    for task in made.serving:
        task.cancel()
    await asyncio.gather(*made.serving, return_exceptions=True)


#: Two namespaces, the same metrics; scraped from a file of the exposition format.
SERIES = """# TYPE csat gauge
csat{namespace="acme",pod="a"} 4.5
csat{namespace="acme",pod="b"} 3.5
csat{namespace="globex",pod="c"} 1
# TYPE broken gauge
broken{namespace="acme"} NaN
# TYPE calls counter
calls_total{namespace="acme"} 7
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A real Prometheus that has scraped SERIES; it takes some seconds."""
    folder = tmp_path_factory.mktemp("prometheus")
    with _exposing() as target, real_prometheus.running(folder, _config(target)) as made:
        made.until_says("/api/v1/query?query=calls_total", '"calls_total"')
        yield made


def _config(target):
    job = {"job_name": "agents", "honor_labels": True, "static_configs": [{"targets": [target]}]}
    settings = {"scrape_interval": "5s", "scrape_timeout": "5s"}  # one that fails ends all series
    return {"global": settings, "scrape_configs": [job]}


@contextlib.contextmanager
def _exposing():
    """A server of SERIES, on a thread of its own."""
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(SERIES.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
