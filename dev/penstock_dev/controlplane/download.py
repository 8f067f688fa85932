"""Fetches the control plane's programs from their projects' releases (Linux only).

The checksums are not pinned in this file: they are read over HTTPS from the file each project
publishes beside its programs, so a broken or cut download is noticed; the publisher is trusted
as far as its certificate. The Go build, by contrast, is pinned by go.sum.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx

_TIMEOUT = httpx.Timeout(20.0, connect=3.0)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class DownloadFailed(Exception):
    """A program or its checksum could not be fetched, or they do not agree."""


@dataclass(frozen=True)
class Release:
    """Addresses of one Kubernetes release and one etcd release, without trailing slashes."""

    kubernetes_url: str
    etcd_url: str
    etcd_archive: str


def release(kubernetes_version: str, etcd_version: str) -> Release | None:
    """The release for this machine, or None where there are no server binaries."""
    architecture = _ARCHITECTURES.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        return None
    return Release(
        f"https://dl.k8s.io/release/{kubernetes_version}/bin/linux/{architecture}",
        f"https://github.com/etcd-io/etcd/releases/download/{etcd_version}",
        f"etcd-{etcd_version}-linux-{architecture}",
    )


async def fetch(
    names: Iterable[str], source: Release, target: Path, report: Callable[[str], None]
) -> dict[str, Path]:
    """Download and verify each named program into `target`. Raises DownloadFailed."""
    fetched = {}
    async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=True) as client:
        for name in names:
            try:
                await _fetch_program(client, name, source, target, report)
            except httpx.HTTPError as error:
                raise DownloadFailed(f"{name}: {type(error).__name__} {error}".strip()) from error
            fetched[name] = target / name
    return fetched


async def _fetch_program(
    client: httpx.AsyncClient,
    name: str,
    source: Release,
    target: Path,
    report: Callable[[str], None],
) -> None:
    if name == "etcd":
        url = f"{source.etcd_url}/{source.etcd_archive}.tar.gz"
        sums = await _text(client, f"{source.etcd_url}/SHA256SUMS")
        expected = _listed_checksum(sums, f"{source.etcd_archive}.tar.gz")
    else:
        url = f"{source.kubernetes_url}/{name}"
        expected = (await _text(client, f"{url}.sha256")).split()[0]
    temporary = target / f".{name}.download"
    try:
        await _download(client, url, temporary, expected, report)
        if name == "etcd":
            _extract(temporary, f"{source.etcd_archive}/etcd")
        temporary.chmod(0o755)
        temporary.replace(target / name)
    finally:
        temporary.unlink(missing_ok=True)


async def _text(client: httpx.AsyncClient, url: str) -> str:
    response = await client.get(url)
    response.raise_for_status()
    if not response.text.strip():
        raise DownloadFailed(f"{url} is empty")
    return response.text


def _listed_checksum(sums: str, file_name: str) -> str:
    for line in sums.splitlines():
        checksum, _, listed = line.partition(" ")
        if listed.strip().lstrip("*") == file_name:
            return checksum
    raise DownloadFailed(f"no published checksum for {file_name}")


async def _download(
    client: httpx.AsyncClient,
    url: str,
    target: Path,
    expected: str,
    report: Callable[[str], None],
) -> None:
    started = time.monotonic()
    digest, size_bytes = hashlib.sha256(), 0
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        with target.open("wb") as file:
            async for chunk in response.aiter_bytes(1 << 20):
                file.write(chunk)
                digest.update(chunk)
                size_bytes += len(chunk)
    if digest.hexdigest() != expected:
        raise DownloadFailed(f"{url}: sha256 {digest.hexdigest()}, published is {expected}")
    elapsed = time.monotonic() - started
    report(f"fetched {url} ({size_bytes / 2**20:.0f} MiB) in {elapsed:.0f} s")


def _extract(archive: Path, member: str) -> None:
    """Replace a .tar.gz by one of its members."""
    with tarfile.open(archive) as opened:
        content = opened.extractfile(member)
        if content is None:
            raise DownloadFailed(f"{archive.name} holds no {member}")
        data = content.read()
    archive.write_bytes(data)
