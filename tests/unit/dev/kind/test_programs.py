"""Where kind, kubectl and helm come from, and what a node may run."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import pytest

from penstock_dev.kind import elf, programs


def executable(path: Path, content: bytes = b"#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache and an empty PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "cache" / "penstock" / "kind"


def test_a_program_on_the_path_goes_before_one_that_was_built(cache, tmp_path):
    built = executable(cache / "programs" / "helm-v4.3.1" / "helm")
    assert programs.find("helm") == built
    assert programs.helm() == built
    installed = executable(tmp_path / "path" / "helm")
    assert programs.find("helm") == installed


def test_a_nodes_programs_are_never_taken_from_the_path(cache, tmp_path):
    executable(tmp_path / "path" / "coredns")
    assert programs.find("coredns") is None


def test_without_go_the_message_says_what_to_install(cache):
    with pytest.raises(programs.ProgramUnavailable, match=r"install helm v4\.3\.1 or newer, or Go"):
        programs.helm()


def test_one_folder_holds_the_programs_by_their_bare_names(cache, tmp_path):
    first, second = executable(tmp_path / "a" / "helm"), executable(tmp_path / "b" / "helm")
    folder = programs.link({"helm": first})
    assert (folder / "helm").resolve() == first
    assert programs.link({"helm": second}) == folder
    assert (folder / "helm").resolve() == second
    assert [path.name for path in folder.iterdir()] == ["helm"]


def test_a_link_is_not_linked_to_itself(cache, tmp_path):
    program = executable(tmp_path / "a" / "helm")
    folder = programs.link({"helm": program})
    programs.link({"helm": folder / "helm"})
    assert (folder / "helm").resolve() == program


def elf_file(*kinds: int) -> bytes:
    """A 64-bit ELF header with program headers of these types (layout: elf(5))."""
    head = b"\x7fELF\x02\x01".ljust(0x20, b"\0") + struct.pack("<Q", 64)
    head = head.ljust(0x38, b"\0") + struct.pack("<H", len(kinds))
    return head.ljust(64, b"\0") + b"".join(struct.pack("<I52x", kind) for kind in kinds)


def test_a_program_is_static_when_it_names_no_loader(tmp_path):
    assert elf.is_static(executable(tmp_path / "static", elf_file(1, 1, 4)))
    assert not elf.is_static(executable(tmp_path / "dynamic", elf_file(6, 3, 1)))
    assert not elf.is_static(executable(tmp_path / "script"))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no ELF programs")
def test_a_program_of_the_system_is_seen_to_need_its_loader():
    shell = shutil.which("sh")
    assert shell is not None
    assert not elf.is_static(Path(shell))
