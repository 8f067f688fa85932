"""The state directory of one environment: where each file is, and who holds it.

<state>/environment.json   what `status` prints, with the phase
<state>/kubeconfig         the administrator's
<state>/run/<name>.json    pid of a running component
<state>/logs/<name>.log    its output
<state>/pki, etcd, redis, node
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from penstock_dev import processes

_MARKER = "penstock-dev.json"


@dataclass(frozen=True)
class StateDirectory:
    """Paths inside a state directory (absolute), and the few records kept there."""

    root: Path

    @classmethod
    def at(cls, path: Path | str) -> StateDirectory:
        """The state directory at a path, which need not exist."""
        return cls(Path(path).expanduser().resolve())

    @property
    def owner(self) -> str:
        """The mark that every process of this environment carries in its environment."""
        return str(self.root)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def environment_file(self) -> Path:
        """What the supervisor publishes: phase, and addresses once ready."""
        return self.root / "environment.json"

    @property
    def supervisor_log(self) -> Path:
        """What `up` says."""
        return self.log("supervisor")

    def log(self, component: str) -> Path:
        """A component's output."""
        return self.root / "logs" / f"{component}.log"

    def run_file(self, component: str) -> Path:
        """Exists while a component runs; holds its pid."""
        return self.root / "run" / f"{component}.json"

    def stopped_file(self, component: str) -> Path:
        """While it exists the component is kept down."""
        return self.root / "run" / f"{component}.stopped"

    def create(self) -> None:
        """Make the directory, private to its owner, and mark it as one of ours."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in ("run", "logs"):
            (self.root / part).mkdir(exist_ok=True)
        write_json(self.root / _MARKER, {"purpose": "a penstock development environment"})

    def remove(self) -> None:
        """Delete the directory, but only when `create` made it."""
        if (self.root / _MARKER).exists():
            shutil.rmtree(self.root, ignore_errors=True)

    def record(self, component: str, identity: processes.Identity, **facts: Any) -> None:
        """Note that a component runs as this process."""
        write_json(
            self.run_file(component),
            {"pid": identity.pid, "startedTicks": identity.started_ticks, **facts},
        )

    def recorded(self) -> dict[str, processes.Identity]:
        """Component name → process, as last written; the process may be dead."""
        found = {}
        for path in sorted((self.root / "run").glob("*.json")):
            if record := read_json(path):
                found[path.stem] = processes.Identity(record["pid"], record["startedTicks"])
        return found

    def lock(self) -> IO[str] | None:
        """Hold the directory for as long as the returned file is open; None when it is held."""
        handle = (self.root / "lock").open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            return None
        return handle

    def is_held(self) -> bool:
        """Whether a supervisor runs on this directory."""
        if not (self.root / "lock").exists():
            return False
        handle = self.lock()
        if handle is None:
            return True
        handle.close()
        return False


def write_text(path: Path, content: str, mode: int = 0o600) -> None:
    """Write a text so that a reader sees the old or the new file, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=mode)
    temporary.write_text(content)
    temporary.replace(path)


def write_json(path: Path, content: Any, mode: int = 0o600) -> None:
    """Write JSON as ``write_text`` does a text."""
    write_text(path, json.dumps(content, indent=2) + "\n", mode)


def read_json(path: Path) -> Any:
    """The parsed file, or None when it is missing or unreadable."""
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        return json.loads(path.read_text())
    return None
