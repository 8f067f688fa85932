"""Builds the control plane's programs from the Go modules pinned in `module/`."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from penstock_dev import processes

MODULE = Path(__file__).parent / "module"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
_REPORT_INTERVAL_SECONDS = 10.0


class BuildFailed(Exception):
    """Go could not build a program; the message ends with Go's own last words."""


async def compile_programs(
    names: Iterable[str],
    version: str,
    go: str,
    target: Path,
    report: Callable[[str], None],
) -> dict[str, Path]:
    """Build each named program into `target`; about four minutes cold on two cores.

    Raises BuildFailed.
    """
    started = time.monotonic()
    wanted = list(names)
    report(f"building {', '.join(wanted)} {version} from Go modules (minutes, once)")
    with tempfile.TemporaryDirectory(dir=target, prefix=".build-") as scratch:
        for name in wanted:
            await _compile(name, version, go, Path(scratch), report)
            (Path(scratch) / name).replace(target / name)
            size_mib = (target / name).stat().st_size / 2**20
            elapsed = time.monotonic() - started
            report(f"built {name} ({size_mib:.0f} MiB) after {elapsed:.0f} s")
    return {name: target / name for name in wanted}


async def _compile(
    name: str, version: str, go: str, scratch: Path, report: Callable[[str], None]
) -> None:
    module = scratch / "module"
    if not module.exists():  # Go wants to lock files beside go.mod; the package may be read-only
        shutil.copytree(MODULE, module)
    log = scratch / "log" / f"{name}.log"
    # What is built is what go.sum pins: a missing or other checksum is an error, not an update.
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    command = [
        *([nice, "-n", "5"] if (nice := shutil.which("nice")) else []),
        *(go, "build", "-v", "-trimpath", "-ldflags", _linker_flags(version)),
        *("-o", str(scratch / name), PACKAGES[name]),
    ]
    child = processes.spawn(name, command, environment=environment, log_path=log, directory=module)
    try:
        code = await _reported(child, name, log, report)
    finally:
        await child.stop(grace_seconds=2.0)
    if code != 0:
        raise BuildFailed(f"go build {PACKAGES[name]}: {_last_words(log)}")


async def _reported(
    child: processes.Child, name: str, log: Path, report: Callable[[str], None]
) -> int:
    """Wait for the end of a build, with a line of progress now and then."""
    started = time.monotonic()
    ended = asyncio.create_task(child.wait())
    try:
        while not (await asyncio.wait({ended}, timeout=_REPORT_INTERVAL_SECONDS))[0]:
            lines = log.read_text("utf-8", "replace").splitlines()
            downloads = sum(line.startswith("go: downloading") for line in lines)
            elapsed = time.monotonic() - started
            report(
                f"  {name}: {len(lines) - downloads} packages compiled, "
                f"{downloads} modules fetched, {elapsed:.0f} s"
            )
        return ended.result()
    finally:
        ended.cancel()


def _last_words(log: Path) -> str:
    return " | ".join(processes.last_lines(log, lines=4).splitlines()) or "no output"


def _linker_flags(version: str) -> str:
    major, minor = version.removeprefix("v").split(".")[:2]
    facts = {
        "k8s.io/component-base/version.gitVersion": version,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": version,
    }
    return "-s -w " + " ".join(f"-X {name}={value}" for name, value in facts.items())
