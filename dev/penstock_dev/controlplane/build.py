"""Builds programs from pinned Go modules; the control plane's are pinned in `module/`."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from penstock_dev import processes

MODULE = Path(__file__).parent / "module"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubeadm": "k8s.io/kubernetes/cmd/kubeadm",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
}
_ATTEMPTS = 3  # what a proxy or a network fails to give is asked for twice more
_NETWORK_WORDS = re.compile(
    r"dial tcp|i/o timeout|TLS handshake|connection reset|unexpected EOF"
    r"|(?:^|\s)(?:403|408|429|5\d\d) [A-Z]|temporary failure in name resolution",
    re.IGNORECASE,
)
_REPORT_INTERVAL_SECONDS = 10.0


@dataclass(frozen=True)
class Program:
    """One program: the folder with its go.mod and go.sum, its package, how it is linked."""

    name: str
    version: str
    module: Path
    package: str
    linker_flags: str = "-s -w"


class BuildFailed(Exception):
    """Go could not build a program; the message ends with Go's own last words."""


def control_plane(name: str, version: str) -> Program:
    """A program of the control plane or of a node; `name` is a key of PACKAGES."""
    return Program(name, version, MODULE, PACKAGES[name], _linker_flags(version))


async def compile_programs(
    programs: Iterable[Program], go: str, target: Path, report: Callable[[str], None]
) -> dict[str, Path]:
    """Build each program into `target`; the control plane takes about four minutes on two cores.

    Raises BuildFailed.
    """
    started = time.monotonic()
    wanted = list(programs)
    named = ", ".join(f"{program.name} {program.version}" for program in wanted)
    report(f"building {named} from Go modules (minutes, once)")
    with tempfile.TemporaryDirectory(dir=target, prefix=".build-") as scratch:
        for program in wanted:
            await _compile_with_retries(program, go, Path(scratch), report)
            built = target / program.name
            (Path(scratch) / program.name).replace(built)
            size_mib = built.stat().st_size / 2**20
            elapsed = time.monotonic() - started
            report(f"built {program.name} ({size_mib:.0f} MiB) after {elapsed:.0f} s")
    return {program.name: target / program.name for program in wanted}


async def _compile_with_retries(
    program: Program, go: str, scratch: Path, report: Callable[[str], None]
) -> None:
    """Build, and once more when the network was at fault; what is compiled stays in Go's cache."""
    for left in reversed(range(_ATTEMPTS)):
        log = scratch / "log" / f"{program.name}-{left}.log"
        try:
            await _compile(program, go, scratch, log, report)
        except BuildFailed as failure:
            if not left or not is_network_failure(str(failure)):
                raise
            report(f"  {program.name}: the download failed, trying again ({failure})")
        else:
            return


def is_network_failure(words: str) -> bool:
    """Whether Go's last words tell of a download that failed, not of code that does not build."""
    return _NETWORK_WORDS.search(words) is not None


async def _compile(
    program: Program, go: str, scratch: Path, log: Path, report: Callable[[str], None]
) -> None:
    module = scratch / f"module-{program.module.name}"
    if not module.exists():  # Go wants to lock files beside go.mod; the package may be read-only
        shutil.copytree(program.module, module)
    # What is built is what go.sum pins: a missing or other checksum is an error, not an update.
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    command = [
        *([nice, "-n", "5"] if (nice := shutil.which("nice")) else []),
        *(go, "build", "-v", "-trimpath", "-ldflags", program.linker_flags),
        *("-o", str(scratch / program.name), program.package),
    ]
    child = processes.spawn(
        program.name, command, environment=environment, log_path=log, directory=module
    )
    try:
        code = await _reported(child, program.name, log, report)
    finally:
        await child.stop(grace_seconds=2.0)
    if code != 0:
        raise BuildFailed(f"go build {program.package}: {_last_words(log)}")


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
