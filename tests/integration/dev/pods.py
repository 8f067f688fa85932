"""Small pods for tests, and waiting for what becomes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

DEADLINE_SECONDS = 120.0

SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(open(os.environ["GREETING_FILE"]).read().encode())
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.HTTPServer((os.environ["POD_IP"], 8080), Handler).serve_forever()
"""


def pod(name: str, script: str, **container: Any) -> dict[str, Any]:
    """A pod of one container `main` that runs a Python script."""
    extra = {key: container.pop(key) for key in ("volumes", "restartPolicy") if key in container}
    main = {
        "name": "main",
        "image": "penstock-runtime:dev",
        "command": ["python", "-c", script],
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"automountServiceAccountToken": False, "containers": [main], **extra},
    }


POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def apply(kubectl, *documents: dict[str, Any]) -> None:
    kubectl(
        "apply",
        "-f",
        "-",
        stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": list(documents)}),
    )


def read(kubectl, kind: str, name: str) -> dict[str, Any]:
    return json.loads(kubectl("get", kind, name, "-o", "json"))


def until(
    look: Callable[[], Any],
    wanted: Callable[[Any], Any],
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Any:
    """What `look` sees once `wanted` holds of it; fails with what was seen last."""
    deadline = time.monotonic() + deadline_seconds
    while not wanted(seen := look()):
        assert time.monotonic() < deadline, (
            f"in vain for {deadline_seconds:.0f} s; last seen: {seen}"
        )
        time.sleep(0.05)
    return seen


def container_status(kubectl, name: str) -> dict[str, Any]:
    """The status of a pod's first container; empty before the node has reported it."""
    statuses = read(kubectl, "pod", name)["status"].get("containerStatuses") or [{}]
    return statuses[0]


def is_ready(found: dict[str, Any]) -> bool:
    conditions = found["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
