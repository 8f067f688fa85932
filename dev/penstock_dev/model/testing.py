"""The fake Messages server for tests: one process on a free port, gone when the test process is gone.

with testing.model_server(seed=7) as model:
    client = anthropic.AsyncAnthropic(base_url=model.url, api_key="any")
"""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

START_SECONDS = 60.0


@dataclass(frozen=True)
class ModelServer:
    """A running server; `url` has no trailing slash and no `/v1`."""

    url: str
    pid: int

    def journal(self, last: int = 20) -> dict[str, Any]:
        """Totals per prompt and the newest `last` requests."""
        return self.call(f"/admin/journal?last={last}")

    def reset(self) -> None:
        """Forget all requests and start every sequence of draws anew."""
        self.call("/admin/reset", {})

    def seed(self, seed: int) -> None:
        """Reset with another seed."""
        self.call("/admin/seed", {"seed": seed})

    def call(self, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET a path, or POST a document to it, and return the JSON answer."""
        method = "GET" if document is None else "POST"
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as client:
            response = client.request(method, path, json=document)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


@contextlib.contextmanager
def model_server(seed: int = 1, *arguments: str) -> Iterator[ModelServer]:
    """Start a server on a free port of 127.0.0.1, wait until it answers, stop it afterwards.

    `arguments` are further command line arguments, such as `--require-key`.
    """
    command = [
        sys.executable,
        "-m",
        "penstock_dev.model",
        "--port",
        "0",
        "--seed",
        str(seed),
        "--exit-with-stdin",
    ]
    with subprocess.Popen(
        [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _ready(process)
        finally:
            process.terminate()


def _ready(process: "subprocess.Popen[str]") -> ModelServer:
    line = process.stdout.readline() if process.stdout else ""
    found = re.search(r"http://\S+", line)
    if found is None:
        raise RuntimeError(f"the model server did not start: {line!r}, exit code {process.poll()}")
    running = ModelServer(found[0], process.pid)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            running.call("/healthz")
            return running
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"the model server at {running.url} does not answer: {error}"
                ) from error
            time.sleep(0.02)
