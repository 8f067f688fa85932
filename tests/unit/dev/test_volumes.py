"""Volumes show their files all at once."""

from __future__ import annotations

import base64
from pathlib import Path

from penstock_dev.node import references, volumes


def shown(directory: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in directory.iterdir() if not p.name.startswith("..")}


def test_a_change_replaces_all_files_in_one_step(tmp_path: Path) -> None:
    assert volumes.write(tmp_path, {"a": b"1", "b": b"1"})
    before = (tmp_path / "..data").readlink()
    assert shown(tmp_path) == {"a": b"1", "b": b"1"}
    assert volumes.write(tmp_path, {"a": b"2", "c": b"2"})
    assert shown(tmp_path) == {"a": b"2", "c": b"2"}
    assert (tmp_path / "..data").readlink() != before
    assert not (tmp_path / before).exists()


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    volumes.write(tmp_path, {"a": b"1", "deep/b": b"2"})
    before = (tmp_path / "..data").readlink()
    assert not volumes.write(tmp_path, {"a": b"1", "deep/b": b"2"})
    assert (tmp_path / "..data").readlink() == before
    assert (tmp_path / "deep" / "b").read_bytes() == b"2"


def test_an_emptied_volume_is_an_empty_directory(tmp_path: Path) -> None:
    volumes.write(tmp_path, {"a": b"1"})
    volumes.write(tmp_path, {})
    assert shown(tmp_path) == {}


def test_config_maps_hold_text_and_bytes_and_secrets_base64() -> None:
    encoded = base64.b64encode(b"\xff").decode()
    config = {"kind": "ConfigMap", "data": {"t": "é"}, "binaryData": {"b": encoded}}
    assert references.contents(config) == {"t": "é".encode(), "b": b"\xff"}
    assert references.contents({"kind": "Secret", "data": {"k": encoded}}) == {"k": b"\xff"}
    assert references.contents({"kind": "ConfigMap", "data": None}) == {}
