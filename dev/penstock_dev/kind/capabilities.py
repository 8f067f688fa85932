"""Kernel capabilities that this machine lacks, and a runtime that does not ask for them.

Docker before 23 asks for every capability the kernel knows when a container is privileged, and
runc refuses what is not in the bounding set. Run as a program, this file is a container runtime:
it takes the missing capabilities out of what the engine asks for and hands over to runc. It needs
nothing but the standard library, because the engine starts it by its path.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# In the order of their numbers in <linux/capability.h>.
NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
_STATUS = Path("/proc/self/status")


def missing(status: str) -> frozenset[str]:
    """Names with the CAP_ prefix that a `/proc/<pid>/status` text's bounding set lacks.

    Empty when the text names no bounding set (there is no such file outside Linux).
    """
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if found is None:
        return frozenset()
    bounding = int(found.group(1), 16)
    return frozenset(f"CAP_{name}" for bit, name in enumerate(NAMES) if not bounding >> bit & 1)


def missing_here() -> frozenset[str]:
    """The same for this process."""
    return missing(_STATUS.read_text(encoding="ascii")) if _STATUS.exists() else frozenset()


def trim(process: dict[str, Any], lacking: Iterable[str]) -> dict[str, Any]:
    """An OCI process description that asks for no lacking capability."""
    unwanted = frozenset(lacking)
    sets = process.get("capabilities") or {}
    kept = {
        kind: [name for name in names or [] if name not in unwanted] for kind, names in sets.items()
    }
    return {**process, "capabilities": kept} if sets else process


def _option(arguments: list[str], *spellings: str) -> str | None:
    for position, argument in enumerate(arguments[:-1]):
        if argument in spellings:
            return arguments[position + 1]
    for argument in arguments:
        name, _, value = argument.partition("=")
        if value and name in spellings:
            return value
    return None


def _rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text("utf-8")))), "utf-8")


def main(runc: str, arguments: list[str]) -> None:
    """Trim the description that this call of runc is about to read, then become runc."""
    lacking = missing_here()
    if lacking and ("create" in arguments or "run" in arguments):
        bundle = Path(_option(arguments, "--bundle", "-b") or ".")
        _rewrite(
            bundle / "config.json",
            lambda spec: {**spec, "process": trim(spec.get("process") or {}, lacking)},
        )
    elif lacking and "exec" in arguments and (process := _option(arguments, "--process", "-p")):
        _rewrite(Path(process), lambda spec: trim(spec, lacking))
    os.execv(runc, [runc, *arguments])  # noqa: S606 (the program is the one named at start)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
