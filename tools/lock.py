"""Writes requirements.lock, and of it the part that each image installs.

requirements.lock holds every package of every extra and group, pinned by version and hash, for all platforms.
requirements-<image>.lock holds those entries of it, word for word, that the extra of the same name needs. What the benches
compare with has a lock of its own beside its list. The files name no index, no file and no folder: whoever installs from
them uses the index their own machine is set up for.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PEERS = ROOT / "bench" / "penstock_bench" / "peers"
IMAGES = ("operator", "runtime")
HEADER = "# Written by `make lock` from pyproject.toml. Do not edit.\n"
IMAGE_HEADER = "# Written by `make lock`: what the image {image} installs of {lock}. Do not edit.\n"

PEERS_HEADER = "# Written by `make lock` from requirements.in. Do not edit.\n"

COMPILE = (
    "pip",
    "compile",
    "--universal",
    "--python-version=3.11",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--no-annotate",
    "--no-header",
    "--quiet",
)
PROJECT = "pyproject.toml"
EVERYTHING = (
    PROJECT,
    "--all-extras",
    "--group=dev",
    "--generate-hashes",
    f"--output-file={LOCK.name}",
)

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==[^\s;\\]+", re.MULTILINE)


class CompileFailed(Exception):
    """uv could not find versions that go together; it has said why."""


def entries(lock: str) -> dict[str, str]:
    """The lines of each package in a lock, by its name, in their order."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", f"\n{lock}")
    return {
        pin.group(1): block.rstrip("\n") + "\n" for block in blocks if (pin := _PIN.match(block))
    }


def pins(lock: str) -> str:
    """The lock as constraints: name and version of each package alone."""
    found = (_PIN.match(block) for block in entries(lock).values())
    return "".join(f"{pin.group().replace(pin.group(2) or '', '')}\n" for pin in found if pin)


def excerpt(lock: str, wanted: str) -> str:
    """The entries of a lock for the packages that another list pins."""
    locked = entries(lock)
    return "".join(locked[name] for name in locked if name in entries(wanted))


def environment() -> dict[str, str]:
    """The caller's environment without the settings that would add local folders of packages to the search."""
    folders = ("UV_FIND_LINKS", "PIP_FIND_LINKS")
    return {name: value for name, value in os.environ.items() if name not in folders}


def compile_lock(*arguments: str) -> str:
    """What uv prints when it compiles a list of requirements. Raises CompileFailed."""
    uv = pathlib.Path(sysconfig.get_path("scripts")) / "uv"
    run = subprocess.run(
        [str(uv), *COMPILE, *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise CompileFailed
    return run.stdout


def write_image_locks() -> None:
    """Writes the part of requirements.lock that each image installs."""
    lock = LOCK.read_text(encoding="utf-8")
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as constraints:
        constraints.write(pins(lock))
        constraints.flush()
        for image in IMAGES:
            wanted = compile_lock(PROJECT, f"--extra={image}", f"--constraints={constraints.name}")
            header = IMAGE_HEADER.format(image=image, lock=LOCK.name)
            part = ROOT / f"requirements-{image}.lock"
            part.write_text(header + excerpt(lock, wanted), encoding="utf-8")


def write_peers_lock(*arguments: str) -> None:
    """Writes what the benches install beside the product, keeping the versions it already holds."""
    lock = PEERS / "requirements.lock"
    compile_lock(
        str((PEERS / "requirements.in").relative_to(ROOT)),
        "--generate-hashes",
        f"--output-file={lock.relative_to(ROOT)}",
        *arguments,
    )
    lock.write_text(PEERS_HEADER + lock.read_text(encoding="utf-8"), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Compiles the locks, keeping the versions they already hold; `--upgrade` takes the newest ones."""
    try:
        compile_lock(*EVERYTHING, *arguments)
        LOCK.write_text(HEADER + LOCK.read_text(encoding="utf-8"), encoding="utf-8")
        write_image_locks()
        write_peers_lock(*arguments)
    except CompileFailed:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
