"""A receiver of webhooks: a real HTTP server that keeps what it gets and answers as it is told."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from dataclasses import dataclass, field

from penstock_runtime.gateway.webhooks import signing

KEY = "k" * 32


@dataclass
class Got:
    """One message."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self):
        return json.loads(self.body)

    def is_signed_by(self, *keys):
        timestamp = int(self.headers[signing.TIMESTAMP])
        wanted = signing.signature([key.encode() for key in keys], timestamp, self.body)
        return self.headers[signing.SIGNATURE] == wanted


@dataclass
class Receiver:
    """What has come, and what is answered: a status, or a function of how many came before."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: object = 200
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None

    def kinds(self):
        return [one.headers["Penstock-Event"] for one in self.got]


@contextlib.contextmanager
def receiver(certificate=None):
    """A receiver on loopback; with (certificate, key) files over TLS."""
    made = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            count = len(made.got)
            made.got.append(Got(self.path, dict(self.headers), body))
            if made.gate:
                made.gate.wait(60)
            status = made.answer(count) if callable(made.answer) else made.answer
            self.send_response(status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if certificate else "http"
    made.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        if made.gate:
            made.gate.set()
        server.shutdown()
        server.server_close()


def secret(folder, **words):
    """A folder as a Secret is mounted; ``signing_key`` is the key signing-key."""
    folder.mkdir(exist_ok=True)
    for name, word in {"signing_key": KEY, **words}.items():
        (folder / name.replace("_", "-")).write_text(word)
    return folder
