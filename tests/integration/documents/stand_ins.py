"""Pods by the chart's names and labels that show the logs of the processes that do their work.

The embedded environment runs operator, gateway and Redis as processes; a person with kubectl finds pods.
"""

from __future__ import annotations

import copy
from pathlib import Path

from penstock_dev.components import RUNTIME_IMAGE
from tests.integration.chart.charts import Document

_SHOWS = """\
import pathlib, sys, time
log = pathlib.Path(sys.argv[1])
shown = 0
while True:
    text = log.read_text(errors="replace")
    print(text[shown:], end="", flush=True)
    shown = len(text)
    time.sleep(0.2)
"""
_ENDS = "import sys; print(sys.argv[1]); sys.exit(1)"


def showing(owner: Document, log: Path) -> Document:
    """A Deployment or StatefulSet of the chart whose one pod goes on printing a log."""
    return _with_pod(owner, ["python", "-c", _SHOWS, str(log)])


def ending(owner: Document, words: str) -> Document:
    """One whose pod says something and ends, again and again."""
    return _with_pod(owner, ["python", "-c", _ENDS, words])


def alone(name: str) -> Document:
    """A pod of this name that does nothing."""
    wait = ["python", "-c", "import time; time.sleep(600)"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": _pod("waiting", wait),
    }


def _with_pod(owner: Document, command: list[str]) -> Document:
    made = copy.deepcopy(owner)
    container = made["spec"]["template"]["spec"]["containers"][0]["name"]
    made["spec"]["template"]["spec"] = _pod(container, command)
    made["spec"]["replicas"] = 1
    made["spec"].pop("volumeClaimTemplates", None)
    return made


def _pod(container: str, command: list[str]) -> Document:
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": container, "image": RUNTIME_IMAGE, "command": command}],
    }
