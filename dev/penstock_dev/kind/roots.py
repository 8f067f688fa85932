"""Root file systems of Debian packages, as tars, made by mmdebstrap from this machine's archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock_dev.kind import commands, debian

TOOL = "mmdebstrap"  # the program, and its Debian package
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 900.0
_LEFT_OUT = ("doc", "man", "locale", "info")


@dataclass(frozen=True)
class Root:
    """A root file system: a base of mmdebstrap's, these packages, and what hooks do to it."""

    name: str
    release: str
    packages: tuple[str, ...]
    variant: str = "minbase"
    hooks: tuple[str, ...] = ()


def build(root: Root, target: Path, report: commands.Report) -> None:
    """Write the root's tar to `target`; half a minute or more, three attempts.

    Raises CommandFailed.
    """
    command = commandline(root, debian.archive(), partial := target.with_suffix(".partial.tar"))
    for left in reversed(range(_ATTEMPTS)):
        try:
            commands.run(command, timeout_seconds=_TIMEOUT_SECONDS)
        except commands.CommandFailed as failed:
            partial.unlink(missing_ok=True)
            if not left:
                raise
            report(f"  the {root.name} root failed, trying again ({failed})")
        else:
            partial.replace(target)
            return


def commandline(root: Root, archive: str, target: Path) -> list[str]:
    """How mmdebstrap is called; nothing that only people read is unpacked."""
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _LEFT_OUT]
    return [
        *(TOOL, "--quiet", f"--variant={root.variant}", *excluded),
        f"--include={','.join(root.packages)}",
        *(f"--customize-hook={hook}" for hook in root.hooks),
        *(root.release, str(target), archive),
    ]
