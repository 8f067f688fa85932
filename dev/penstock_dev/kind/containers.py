"""What the build of an image needs of the engine beyond a plain command."""

from __future__ import annotations

import contextlib
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from penstock_dev.kind import archive, commands


@contextlib.contextmanager
def running(name: str, image: str) -> Iterator[None]:
    """A privileged container that sleeps; removed with its volumes afterwards."""
    command = ["docker", "run", "--detach", "--privileged", "--network=none", f"--name={name}"]
    commands.run([*command, "--security-opt=seccomp=unconfined", image, "sleep", "infinity"])
    try:
        yield
    finally:
        commands.succeeds(["docker", "rm", "--force", "--volumes", name])


def copy_into(name: str, files: Mapping[str, archive.File]) -> None:
    """Write files, with the folders above them, into a container. Raises CommandFailed."""
    with (
        _piped(["docker", "cp", "-", f"{name}:/"]) as sink,
        tarfile.open(fileobj=sink.stdin, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        archive.add_files(tar, files)
    if sink.returncode:
        raise commands.CommandFailed(f"docker cp into {name}: exit {sink.returncode}")


@contextlib.contextmanager
def _piped(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE) as sink:
        try:
            yield sink
        except BrokenPipeError:  # it ended first, and has said why
            sink.kill()


def save(image: str, target: Path) -> None:
    """Write an image as one zstd file, whole or not at all. Raises CommandFailed."""
    partial = target.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            _pipe(["docker", "save", image], ["zstd", "--quiet", "-3", "-T0"], file)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load(source: Path) -> None:
    """Put the image of a zstd file into the engine. Raises CommandFailed."""
    _pipe(
        ["zstd", "--quiet", "-dc", str(source)], ["docker", "load", "--quiet"], subprocess.DEVNULL
    )


def _pipe(first: list[str], second: list[str], output: object) -> None:
    """Run two commands with a pipe between them. Raises CommandFailed."""
    try:
        with (
            subprocess.Popen(first, stdout=subprocess.PIPE) as writer,
            subprocess.Popen(second, stdin=writer.stdout, stdout=output) as reader,  # type: ignore[call-overload]
        ):
            pass
    except FileNotFoundError as missing:
        raise commands.CommandFailed(f"{missing.filename} is not installed") from missing
    for process, command in ((writer, first), (reader, second)):
        if process.returncode:
            raise commands.CommandFailed(f"{' '.join(command)}: exit {process.returncode}")
