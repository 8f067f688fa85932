"""Images written without an engine: what an engine reads from such a file."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from penstock_dev.kind import archive


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF" * 1000)
    return path


def image(program: Path, root: Path | None = None) -> archive.Image:
    return archive.Image(
        tags=("registry.example/a:1", "registry.example/a:2"),
        entrypoint=("/usr/local/bin/program",),
        files={"/usr/local/bin/program": archive.File(program)},
        root=root,
    )


def members(content: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: member for member in tar}


def read(path: Path, name: str) -> bytes:
    with tarfile.open(path) as tar:
        content = tar.extractfile(name)
        assert content is not None
        return content.read()


def written(tmp_path: Path, wanted: archive.Image) -> tuple[dict[str, object], bytes, bytes]:
    target = tmp_path / "image.tar"
    archive.write(wanted, "amd64", target)
    (manifest,) = json.loads(read(target, "manifest.json"))
    (layer,) = manifest["Layers"]
    return manifest, read(target, manifest["Config"]), read(target, layer)


def test_the_configuration_and_the_layer_are_named_by_their_own_digests(tmp_path, program):
    manifest, configuration, layer = written(tmp_path, image(program))
    digest = hashlib.sha256(layer).hexdigest()
    assert manifest["Config"] == f"{hashlib.sha256(configuration).hexdigest()}.json"
    assert manifest["Layers"] == [f"{digest}/layer.tar"]
    assert manifest["RepoTags"] == ["registry.example/a:1", "registry.example/a:2"]
    assert json.loads(configuration)["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_the_container_starts_its_program_on_this_architecture(tmp_path, program):
    configuration = json.loads(written(tmp_path, image(program))[1])
    assert configuration["config"]["Entrypoint"] == ["/usr/local/bin/program"]
    assert (configuration["architecture"], configuration["os"]) == ("amd64", "linux")


def test_a_layer_holds_the_program_and_every_folder_above_it(tmp_path, program):
    found = members(written(tmp_path, image(program))[2])
    assert list(found) == ["usr", "usr/local", "usr/local/bin", "usr/local/bin/program"]
    assert all(found[name].isdir() for name in list(found)[:3])
    assert (found["usr/local/bin/program"].mode, found["usr/local/bin/program"].uid) == (0o755, 0)


def test_a_root_comes_first_with_its_links_and_owners_as_they_are(tmp_path, program):
    root = tmp_path / "root.tar"
    with tarfile.open(root, "w") as tar:
        link = tarfile.TarInfo("./bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        tar.addfile(link)
        owned = tarfile.TarInfo("./etc/shadow")
        owned.size, owned.mode, owned.gid = 3, 0o640, 42
        tar.addfile(owned, io.BytesIO(b"abc"))
    found = members(written(tmp_path, image(program, root))[2])
    assert list(found)[:2] == ["./bin", "./etc/shadow"]
    assert found["./bin"].linkname == "usr/bin"
    assert (found["./etc/shadow"].mode, found["./etc/shadow"].gid) == (0o640, 42)
    assert list(found)[-1] == "usr/local/bin/program"


def test_equal_input_gives_equal_bytes(tmp_path, program):
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    for target in (first, second):
        archive.write(image(program), "amd64", target)
    assert first.read_bytes() == second.read_bytes()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    with pytest.raises(FileNotFoundError):
        archive.write(image(tmp_path / "missing"), "amd64", folder / "image.tar")
    assert list(folder.iterdir()) == []
