"""Each source of the control plane's programs works with the others switched off."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock_dev.controlplane import binaries, download

FAKE_GO = """#!/bin/sh
# A stand-in for `go build ... -o <output> <package>`.
echo "compiling"
[ "$GOFLAGS" = "-mod=readonly -buildvcs=false" ] || exit 3
[ -f go.mod ] || exit 4
while [ "$1" != "-o" ]; do shift; done
case "$3" in *kubectl) echo "no required module provides it"; exit 1;; esac
echo "$3" > "$2"; chmod 755 "$2"
"""


def program(directory: Path, name: str, text: str = "#!/bin/sh\n") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def nothing(tmp_path: Path) -> binaries.Sources:
    """All sources switched off."""
    return binaries.Sources(
        path=None, assets=None, cache=tmp_path / "cache", read_cache=False, release=None, go=None
    )


def resolve(sources: binaries.Sources, *names: str, lines: list[str] | None = None):
    report = (lines if lines is not None else []).append
    return asyncio.run(binaries.resolve(sources, report, names))


def test_kubectl_alone_is_taken_from_the_path(nothing, tmp_path: Path) -> None:
    found = program(tmp_path / "bin", "kubectl")
    program(tmp_path / "bin", "etcd")
    sources = replace(nothing, path=str(tmp_path / "bin"))
    assert resolve(sources, "kubectl") == {"kubectl": found}
    with pytest.raises(binaries.BinariesUnavailable, match="cannot get etcd"):
        resolve(sources, "etcd")


def test_the_assets_directory_goes_before_the_cache(nothing, tmp_path: Path) -> None:
    cached = program(nothing.cache, "etcd")
    sources = replace(nothing, read_cache=True)
    assert resolve(sources, "etcd") == {"etcd": cached}
    assets = program(tmp_path / "assets", "etcd")
    assert resolve(replace(sources, assets=tmp_path / "assets"), "etcd") == {"etcd": assets}


def test_what_is_not_executable_is_not_found(nothing) -> None:
    program(nothing.cache, "etcd").chmod(0o644)
    with pytest.raises(binaries.BinariesUnavailable):
        resolve(replace(nothing, read_cache=True), "etcd")


@pytest.fixture
def release(tmp_path: Path) -> Iterator[download.Release]:
    """A server with one Kubernetes program and one etcd archive, and their checksums."""
    site = tmp_path / "site"
    body = program(site, "kube-scheduler", "scheduler").read_bytes()
    (site / "kube-scheduler.sha256").write_text(hashlib.sha256(body).hexdigest())
    with tarfile.open(site / "etcd-v3.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("etcd-v3/etcd")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"etcd"))
    checksum = hashlib.sha256((site / "etcd-v3.tar.gz").read_bytes()).hexdigest()
    (site / "SHA256SUMS").write_text(f"{checksum}  etcd-v3.tar.gz\n")
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}"
        yield download.Release(url, url, "etcd-v3")
        server.shutdown()
        serving.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_a_release_is_downloaded_verified_and_kept(nothing, release) -> None:
    found = resolve(replace(nothing, release=release), "kube-scheduler", "etcd")
    assert found["kube-scheduler"].read_text() == "scheduler"
    assert found["etcd"].read_text() == "etcd"
    again = resolve(replace(nothing, read_cache=True), "kube-scheduler", "etcd")
    assert again == found


def test_a_download_with_another_checksum_is_refused(nothing, release, tmp_path: Path) -> None:
    (tmp_path / "site" / "kube-scheduler").write_text("tampered")
    with pytest.raises(binaries.BinariesUnavailable, match="sha256"):
        resolve(replace(nothing, release=release), "kube-scheduler")
    assert not list(nothing.cache.glob("*kube-scheduler*"))


def test_a_build_puts_programs_into_the_cache_and_says_so(nothing, tmp_path: Path) -> None:
    sources = replace(nothing, go=str(program(tmp_path / "go", "go", FAKE_GO)))
    lines: list[str] = []
    found = resolve(sources, "etcd", "kube-apiserver", lines=lines)
    assert found["etcd"] == nothing.cache / "etcd"
    assert found["kube-apiserver"].read_text().strip() == "k8s.io/kubernetes/cmd/kube-apiserver"
    assert any(line.startswith("built etcd") for line in lines)
    assert sorted(path.name for path in nothing.cache.iterdir()) == [
        ".lock",
        "etcd",
        "kube-apiserver",
    ]


def test_when_nothing_works_the_error_says_what_was_tried_and_what_to_do(
    nothing, tmp_path: Path
) -> None:
    unreachable = download.Release("http://127.0.0.1:1", "http://127.0.0.1:1", "etcd")
    go = str(program(tmp_path / "go", "go", FAKE_GO))
    with pytest.raises(binaries.BinariesUnavailable) as failure:
        resolve(replace(nothing, release=unreachable, go=go), "kubectl")
    said = str(failure.value)
    assert "cannot get kubectl" in said
    assert "download: kubectl: ConnectError" in said
    assert "no required module provides it" in said
    assert "Install Go" in said


def test_two_processes_do_not_build_the_same_program_twice(nothing, tmp_path: Path) -> None:
    counted = FAKE_GO.replace('echo "compiling"', f"echo x >> {tmp_path}/count; sleep 0.3")
    sources = replace(nothing, read_cache=True, go=str(program(tmp_path / "go", "go", counted)))

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(binaries.resolve(sources, lambda _: None, ["etcd"]))

    asyncio.run(both())
    assert (tmp_path / "count").read_text() == "x\n"


def test_the_environment_chooses_the_sources(tmp_path: Path) -> None:
    chosen = binaries.Sources.from_environment(
        {"PENSTOCK_BINARY_SOURCES": "cache", "XDG_CACHE_HOME": str(tmp_path), "PATH": "/bin"}
    )
    assert chosen.cache == tmp_path / "penstock" / binaries.KUBERNETES_VERSION
    assert (chosen.path, chosen.release, chosen.go) == (None, None, None)
    with pytest.raises(binaries.BinariesUnavailable, match="names moon"):
        binaries.Sources.from_environment({"PENSTOCK_BINARY_SOURCES": "moon"})
