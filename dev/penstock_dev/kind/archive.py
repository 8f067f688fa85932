"""Writes images as docker-archives, so that none needs an engine to be built.

The format is the one `docker save` writes: a tar of `manifest.json`, a configuration named by its
SHA-256 and the layers (Docker Image Specification v1.2). Equal input gives equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

_EPOCH = "1970-01-01T00:00:00Z"
_SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class File:
    """What a file holds and its permissions; its owner is root."""

    source: Path
    mode: int = 0o755


@dataclass(frozen=True)
class Image:
    """An image of one layer: the files (by absolute place) on top of `root`, a tar."""

    tags: tuple[str, ...]
    entrypoint: tuple[str, ...]
    files: Mapping[str, File]
    root: Path | None = None


def write(image: Image, architecture: str, target: Path) -> None:
    """Write the image to `target`, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".image-") as scratch:
        layer, whole = Path(scratch) / "layer.tar", Path(scratch) / "image.tar"
        with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as tar:
            if image.root is not None:
                _copy_members(image.root, tar)
            add_files(tar, image.files)
        with layer.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with tarfile.open(whole, "w", format=tarfile.GNU_FORMAT) as archive:
            for name, content in documents(image, architecture, digest).items():
                _add(archive, name, len(content), io.BytesIO(content), mode=0o644)
            with layer.open("rb") as file:
                size_bytes = layer.stat().st_size
                _add(archive, f"{digest}/layer.tar", size_bytes, file, mode=0o644)
        whole.replace(target)


def documents(image: Image, architecture: str, layer_digest: str) -> dict[str, bytes]:
    """The manifest and the configuration of an image whose only layer has this SHA-256 (hex)."""
    configuration = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": _EPOCH,
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": [_SEARCH_PATH],
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
            "history": [{"created": _EPOCH}],
        }
    )
    name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [
        {"Config": name, "RepoTags": list(image.tags), "Layers": [f"{layer_digest}/layer.tar"]}
    ]
    return {"manifest.json": _json(manifest), name: configuration}


def add_files(layer: tarfile.TarFile, files: Mapping[str, File]) -> None:
    """Add files with the folders above them, in the order of their places."""
    _add_folders(layer, files)
    for place, file in sorted(files.items()):
        with file.source.open("rb") as content:
            size_bytes = file.source.stat().st_size
            _add(layer, place.lstrip("/"), size_bytes, content, mode=file.mode)


def _copy_members(root: Path, layer: tarfile.TarFile) -> None:
    with tarfile.open(root) as members:
        for member in members:
            layer.addfile(member, members.extractfile(member) if member.isreg() else None)


def _add_folders(layer: tarfile.TarFile, places: Iterable[str]) -> None:
    parents = {parent for place in places for parent in PurePosixPath(place.lstrip("/")).parents}
    for folder in sorted(parents - {PurePosixPath(".")}):
        entry = tarfile.TarInfo(f"{folder}/")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        layer.addfile(entry)


def _add(
    archive: tarfile.TarFile, name: str, size_bytes: int, content: IO[bytes], *, mode: int
) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size_bytes, mode
    archive.addfile(entry, content)


def _json(document: Mapping[str, object] | Sequence[object]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
