# ruff: noqa: INP001, S310, T201, TID251 - a script of its own, inside a pod
"""What `helm test` runs: the gateway is ready and, with the demo, an Agent answers a task."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

GATEWAY = os.environ["GATEWAY"]
TOKEN = os.environ.get("TOKEN", "")
AGENT = os.environ.get("AGENT", "")  # namespace/name; empty: no task
DEADLINE_SECONDS = 100.0


def ask(path: str, body: dict[str, object] | None = None) -> tuple[int, str]:
    """Status and text of an answer; status 0 when there was none."""
    headers = {"Content-Type": "application/json"}
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(GATEWAY + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def until(what: str, look: Callable[[], tuple[str, bool]]) -> None:
    """Look until there is something to show; exit 1 saying what was seen last."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        seen, good = look()
        print(f"{what}: {seen}", flush=True)
        if good:
            return
        if time.monotonic() > deadline:
            sys.exit(f"not within {DEADLINE_SECONDS:.0f} s: {what}")
        time.sleep(2)


def ready() -> tuple[str, bool]:
    """Whether the gateway can store tasks."""
    status, text = ask("/readyz")
    return f"{status} {text.strip()}", status == 200


def answered() -> tuple[str, bool]:
    """Whether the Agent answers a question."""
    namespace, name = AGENT.split("/")
    body: dict[str, object] = {"input": "What can you do?", "user": "helm-test", "wait": 30}
    status, text = ask(f"/v1/namespaces/{namespace}/agents/{name}/tasks", body)
    good = status == 200 and json.loads(text).get("status") == "Succeeded"
    return f"{status} {text}", good


until("the gateway is ready", ready)
if AGENT:
    until(f"agent {AGENT} answers", answered)
