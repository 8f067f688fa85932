"""Who wrote what, from the API server's audit log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_NEVER_COUNTED: Final = frozenset({"leases"})
_EVENTS: Final = frozenset({"events"})
#: What the API server is told: everything but its own and the administrator's requests, once each.
POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "None", "users": ["penstock-dev-admin", "system:apiserver"]},
        {"level": "Metadata", "verbs": sorted(_WRITES)},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class Writes:
    """How often each kind of object was written; Events apart."""

    objects: Counter[str]
    events: int

    @property
    def total(self) -> int:
        """Without Events and leases."""
        return self.objects.total()


def count(text: str, users: Collection[str]) -> Writes:
    """The writes of some users; a line that is not complete yet is left out."""
    objects: Counter[str] = Counter()
    events = 0
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        target = entry.get("objectRef", {})
        resource = target.get("resource", "")
        if (
            entry["user"]["username"] not in users
            or entry["verb"] not in _WRITES
            or resource in _NEVER_COUNTED
        ):
            continue
        if resource in _EVENTS:
            events += 1
        else:
            what = "/".join(filter(None, (resource, target.get("subresource"))))
            objects[f"{entry['verb']} {what}"] += 1
    return Writes(objects, events)


@dataclass
class AuditLog:
    """The log as it grows."""

    path: Path

    def mark(self) -> int:
        """Where it ends now."""
        return self.path.stat().st_size if self.path.exists() else 0

    def since(self, mark: int, users: Collection[str]) -> Writes:
        """What was written after a mark."""
        with self.path.open("rb") as log:
            log.seek(mark)
            return count(log.read().decode(), users)
