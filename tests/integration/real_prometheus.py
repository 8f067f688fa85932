"""A real Prometheus on a port of its own, which a test ends and starts again."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock_dev.kind import programs
from penstock_store.testing import free_port

DEADLINE_SECONDS = 120.0


class Prometheus:
    """The program, with what it has stored in a folder."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yaml").write_text(json.dumps(config), encoding="utf-8")

    def start(self) -> None:
        """Run it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    programs.prometheus(),
                    f"--config.file={self.folder}/prometheus.yaml",
                    f"--storage.tsdb.path={self.folder}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        self.until_says("/-/ready", "Ready")

    def kill(self) -> None:
        """End it at once; its port refuses from now on."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def says(self, path: str) -> str:
        """What it answers; empty where it does not."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return ""

    def until_says(self, path: str, word: str) -> None:
        """Wait for a word in an answer."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while word not in self.says(path):
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                pytest.fail((self.folder / "log").read_text())
            time.sleep(0.1)


@contextlib.contextmanager
def running(folder: Path, config: dict[str, Any] | None = None) -> Iterator[Prometheus]:
    """One that answers; without a configuration it scrapes nothing, and knows what needs no series."""
    made = Prometheus(folder, config or {})
    try:
        made.start()
        yield made
    finally:
        made.kill()
