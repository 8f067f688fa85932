"""Programs the benches need: built from Go where they are not in the cache yet."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from penstock_bench.crew import BenchFailed
from penstock_dev.controlplane import build

_KIT = Path(__file__).parent / "kit"


async def kit() -> Path:
    """The fake model, load generator and stand-in for kubelets; built in seconds when it changed."""
    sources = b"".join(path.read_bytes() for path in sorted(_KIT.iterdir()))
    version = hashlib.sha256(sources).hexdigest()[:12]
    return await built(build.Program("benchkit", version, _KIT, "."))


async def built(program: build.Program) -> Path:
    """A program from the cache, or built into it. Raises BenchFailed."""
    folder = cache() / f"{program.name}-{program.version}"
    found = folder / program.name
    if os.access(found, os.X_OK):
        return found
    go = shutil.which("go")
    if go is None:
        raise BenchFailed(f"no Go on the PATH to build {program.name}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return (await build.compile_programs([program], go, folder, print))[program.name]
    except build.BuildFailed as failed:
        raise BenchFailed(f"{program.name} cannot be built: {failed}") from failed


def cache() -> Path:
    """Where built programs are kept, for every checkout of this user."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home).absolute() / "penstock" / "bench"
