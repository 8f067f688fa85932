"""The part of a container's file tree that lies above its mounts, made of links."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from penstock_dev.node.substitution import Mount, parents

HOST_ROOT = Path("/")


def build(root: Path, mounts: Iterable[Mount], host: Path = HOST_ROOT) -> dict[str, str]:
    """Make the directories above the mounts anew; says which directory stands for which path.

    Each shows its mounts, and beside them what the host has there, as an image would. A mount
    inside another one is a link in the outer one's directory.
    """
    shutil.rmtree(root, ignore_errors=True)
    by_path = {mount.mount_path.rstrip("/"): Path(mount.real_path) for mount in mounts}
    by_path.pop("", None)
    above: dict[str, str] = {}
    for mount_path in sorted(by_path):
        outer = next((path for path in parents(mount_path) if path in by_path), None)
        if outer is not None:
            inside = by_path[outer] / mount_path.removeprefix(f"{outer}/")
            _link(inside, by_path[mount_path])
            continue
        for path in parents(mount_path):
            above[path] = str(root / path[1:])
        _link(root / mount_path[1:], by_path[mount_path])
    for path, directory in above.items():
        _overlay(Path(directory), host / path[1:])
    return above


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(target)


def _overlay(directory: Path, host: Path) -> None:
    """Show what the host has in a directory, where it is not shown already."""
    with contextlib.suppress(OSError):
        for entry in host.iterdir():
            if not os.path.lexists(directory / entry.name):
                (directory / entry.name).symlink_to(entry)
