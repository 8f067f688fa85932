"""requirements.lock pins what pyproject.toml asks for, by hash, and names no place to fetch it from."""

from __future__ import annotations

import itertools
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PIN = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(?P<version>\S+)")


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lock(root):
    return (root / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def entries(lock):
    """The pinned packages: the lines of each, by name."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", lock.partition("\n")[2])
    return {canonicalize_name(PIN.match(block)["name"]): block for block in blocks}


def declared(project):
    """Every requirement of the project, its extras, its groups and its build."""
    tables = [
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    listed = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *itertools.chain.from_iterable(tables),
    ]
    requirements = [Requirement(line) for line in listed if isinstance(line, str)]
    return [requirement for requirement in requirements if requirement.name != "penstock"]


def test_every_requirement_is_pinned_to_a_version_it_allows(project, entries):
    for requirement in declared(project):
        version = PIN.match(entries[canonicalize_name(requirement.name)])["version"]
        assert requirement.specifier.contains(version), (
            f"{requirement} but locked {version}: make lock"
        )


def test_every_package_has_hashes(entries):
    assert len(entries) > 50
    assert not [name for name, block in entries.items() if "--hash=sha256:" not in block]


def test_it_names_no_address_no_file_and_no_option(lock):
    lines = lock.splitlines()[1:]
    assert not [line for line in lines if "://" in line or " @ " in line]
    assert not [line for line in lines if line.startswith("-")]
    assert not [line for line in lines if line.lstrip().startswith("#")]
