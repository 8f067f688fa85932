"""Writes requirements.lock: every package of every extra and group, pinned by version and hash, for all platforms.

The file names no index, no file and no folder: whoever installs from it uses the index their own machine is set up for.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
HEADER = "# Written by `make lock` from pyproject.toml. Do not edit.\n"

COMPILE = (
    "pip",
    "compile",
    "pyproject.toml",
    "--all-extras",
    "--group=dev",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--quiet",
    "--output-file=requirements.lock",
)


def environment() -> dict[str, str]:
    """The caller's environment without the settings that would add local folders of packages to the search."""
    folders = ("UV_FIND_LINKS", "PIP_FIND_LINKS")
    return {name: value for name, value in os.environ.items() if name not in folders}


def main(arguments: list[str]) -> int:
    """Compiles the lock, keeping the versions it already holds; `--upgrade` takes the newest ones."""
    uv = pathlib.Path(sysconfig.get_path("scripts")) / "uv"
    run = subprocess.run([str(uv), *COMPILE, *arguments], cwd=ROOT, env=environment(), check=False)
    if run.returncode == 0:
        LOCK.write_text(HEADER + LOCK.read_text(encoding="utf-8"), encoding="utf-8")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
