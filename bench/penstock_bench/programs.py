"""Programs the benches need: built from Go where they are not in the cache yet."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock_bench.crew import BenchFailed
from penstock_bench.report import say
from penstock_dev.controlplane import build

ARGO_VERSION: Final = "v1.9.1"
_ARGO_MODULE: Final = "github.com/argoproj/argo-rollouts"
_KIT: Final = Path(__file__).parent / "kit"
_ARGO: Final = Path(__file__).parent / "peers" / "argo"


@dataclass(frozen=True)
class Argo:
    """The controller, and the folder of its resource definitions."""

    program: Path
    definitions: Path


async def kit() -> Path:
    """The fake model, load generator and stand-in for kubelets; built in seconds when it changed."""
    sources = b"".join(path.read_bytes() for path in sorted(_KIT.iterdir()))
    version = hashlib.sha256(sources).hexdigest()[:12]
    return await built(build.Program("benchkit", version, _KIT, "."))


async def argo() -> Argo:
    """The Argo Rollouts controller of the pinned module; the first time takes minutes."""
    package = f"{_ARGO_MODULE}/cmd/rollouts-controller"
    program = await built(build.Program("rollouts-controller", ARGO_VERSION, _ARGO, package))
    definitions = program.parent / "crds"
    if not definitions.exists():
        source = await _module(_ARGO, f"{_ARGO_MODULE}@{ARGO_VERSION}")
        shutil.copytree(source / "manifests" / "crds", definitions)
    return Argo(program, definitions)


async def _module(pinned: Path, module: str) -> Path:
    """Where Go keeps the sources of a module, fetched and checked against go.sum."""
    asking = await asyncio.create_subprocess_exec(
        *("go", "mod", "download", "-json", module),
        cwd=pinned,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asking.communicate()
    if asking.returncode != 0:
        raise BenchFailed(f"{module} cannot be fetched: {said.decode()}")
    return Path(json.loads(said)["Dir"])


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
        return (await build.compile_programs([program], go, folder, say))[program.name]
    except build.BuildFailed as failed:
        raise BenchFailed(f"{program.name} cannot be built: {failed}") from failed


def cache() -> Path:
    """Where built programs are kept, for every checkout of this user."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home).absolute() / "penstock" / "bench"
