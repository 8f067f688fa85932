"""The tree under test: the files that are, or would be, in the repository."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NEVER_OURS = {".bench", ".git", ".venv", "build", "dist", "__pycache__"}


def tracked_or_new():
    """The files git tracks or would add; None where there is no git or no repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [ROOT / name for name in listing.decode().split("\0") if name]


def everything():
    """The files of an unpacked archive: all but what the tools have made."""
    files = [path for path in ROOT.rglob("*") if not NEVER_OURS & set(path.relative_to(ROOT).parts)]
    return [path for path in files if not any(part.endswith("_cache") for part in path.parts)]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def files():
    """Every file of the repository that exists, sorted."""
    found = tracked_or_new()
    return sorted(path for path in (everything() if found is None else found) if path.is_file())


@pytest.fixture(scope="session")
def texts(files):
    """The content of every file of the repository, by its path relative to the root."""
    return {path.relative_to(ROOT): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def shipped(files):
    """The Python files of all packages: the code the measures of the tidy tests are about."""
    code = [path for path in files if path.suffix == ".py"]
    return [path for path in code if path.relative_to(ROOT).parts[0] not in {"tests", "tools"}]
