"""The images that ours stand on: the official ones, or, without a registry, ones made here.

What is made here is Debian: its Python in a small root for our images, the same with pip for
building them, and its Redis for the trial installation. They are for development: their packages
come from the archive that this machine's apt uses, at the versions it has today.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from penstock_dev.kind import commands, debian, registry, roots

PYTHON_IMAGE = "docker.io/library/python:3.11-slim-bookworm"
REDIS_IMAGE = "docker.io/library/redis:7.4-alpine"
LOCAL_PYTHON = "penstock-python"
LOCAL_BUILD = "penstock-build"
LOCAL_REDIS = "penstock-redis"

PYTHON_VARIABLE = "PENSTOCK_PYTHON_IMAGE"
REDIS_VARIABLE = "PENSTOCK_REDIS_IMAGE"

_Made = TypeVar("_Made")
_RELEASE = "bookworm"
_PULL_SECONDS = 600.0
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Packages are installed once, while the root is made; then what installs them may go.
_TIDY = (
    'rm -rf "$1"/usr/share/perl* "$1"/usr/lib/*-linux-gnu/perl* "$1"/usr/lib/*-linux-gnu/libperl* '
    '"$1"/usr/bin/perl* "$1"/var/lib/apt "$1"/var/cache/* "$1"/var/log/* "$1"/usr/lib/apt'
)


class BaseUnavailable(commands.CommandFailed):
    """A base image can neither be pulled nor be made here; says what was tried."""


@dataclass(frozen=True)
class Recipe:
    """A root file system of Debian packages, and how a container of it starts."""

    name: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...]
    settings: tuple[str, ...]

    @property
    def tag(self) -> str:
        """Names the image made by exactly this recipe."""
        content = json.dumps([_RELEASE, self.packages, self.hooks, self.settings])
        return f"{self.name}:recipe-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    @property
    def root(self) -> roots.Root:
        """What mmdebstrap makes of it."""
        return roots.Root(self.name, _RELEASE, self.packages, "essential", self.hooks)


PYTHON = Recipe(
    LOCAL_PYTHON,
    packages=("python3-minimal", "libpython3-stdlib", "ca-certificates"),
    hooks=('ln -s python3 "$1"/usr/bin/python', _TIDY),
    settings=(f"ENV {_PATH}", 'CMD ["python3"]'),
)
REDIS = Recipe(
    LOCAL_REDIS,
    packages=("redis-server",),
    hooks=('install -d -o 999 -g 999 "$1"/data', _TIDY),
    settings=(f"ENV {_PATH}", "USER 999:999", "WORKDIR /data", 'CMD ["redis-server"]'),
)


@dataclass(frozen=True)
class PythonBase:
    """The image that ours are made from, and one with the same Python and pip to build them in."""

    image: str
    build_image: str


def python(report: commands.Report) -> PythonBase:
    """The Python image: `PENSTOCK_PYTHON_IMAGE`, the official one, or one made of Debian packages.

    Raises BaseUnavailable.
    """
    wanted = os.environ.get(PYTHON_VARIABLE) or PYTHON_IMAGE
    if why := _unobtainable(wanted, report):
        return _or_made_here(wanted, why, lambda: _local_python(report))
    return PythonBase(wanted, wanted)


def redis(report: commands.Report) -> str:
    """The Redis image: `PENSTOCK_REDIS_IMAGE`, the official one, or one made of Debian packages.

    Raises BaseUnavailable.
    """
    wanted = os.environ.get(REDIS_VARIABLE) or REDIS_IMAGE
    if why := _unobtainable(wanted, report):
        return _or_made_here(wanted, why, lambda: local_redis(report))
    return wanted


def local_redis(report: commands.Report) -> str:
    """`penstock-redis:dev`, made of Debian packages unless the engine has it already."""
    return _named_dev(REDIS, make(REDIS, report))


def _local_python(report: commands.Report) -> PythonBase:
    image = make(PYTHON, report)
    _named_dev(PYTHON, image)
    return PythonBase(image, _with_pip(image, report))


def _or_made_here(wanted: str, why: str, make_here: Callable[[], _Made]) -> _Made:
    try:
        return make_here()
    except commands.CommandFailed as failed:
        raise BaseUnavailable(
            f"{wanted} cannot be pulled ({why}), and no like image can be made here ({failed})"
        ) from failed


def _named_dev(recipe: Recipe, image: str) -> str:
    name = f"{recipe.name}:dev"
    commands.run(["docker", "tag", image, name])
    return name


def exists(image: str) -> bool:
    """Whether the engine has an image of that name."""
    return commands.succeeds(["docker", "image", "inspect", image])


def _unobtainable(image: str, report: commands.Report) -> str | None:
    """Why an image cannot be had from a registry; None when the engine has it now."""
    if exists(image):
        return None
    if image.startswith("docker.io/") and not registry.reachable():
        return "its registry does not answer"
    report(f"pulling {image}")
    try:
        commands.run(["docker", "pull", "--quiet", image], timeout_seconds=_PULL_SECONDS)
    except commands.CommandFailed as failed:
        return str(failed).splitlines()[-1]
    return None


# --- made here


def make(recipe: Recipe, report: commands.Report) -> str:
    """The tag of a recipe's image; makes it, in about 40 s, when the engine lacks it.

    Raises CommandFailed.
    """
    if exists(recipe.tag):
        return recipe.tag
    if shutil.which(roots.TOOL) is None:
        if not debian.can_install():
            raise commands.CommandFailed("it takes root on a Debian machine")
        debian.install((roots.TOOL,), report)
    report(f"making {recipe.name} of Debian {_RELEASE}'s {', '.join(recipe.packages)}")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root.tar"
        roots.build(recipe.root, root, report)
        changes = [word for setting in recipe.settings for word in ("--change", setting)]
        commands.run(["docker", "import", *changes, root, recipe.tag])
    return recipe.tag


def _with_pip(image: str, report: commands.Report) -> str:
    """The same image with Debian's pip, which only the build stages see."""
    tag = f"{LOCAL_BUILD}:{image.rpartition(':')[2]}"
    if exists(tag):
        return tag
    report(f"adding Debian {_RELEASE}'s pip for the build stages")
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        debian.unpack_from(_RELEASE, "python3-pip", context / "pip")
        packages = "usr/lib/python3/dist-packages"
        (context / "Dockerfile").write_text(
            f"FROM {image}\nCOPY pip/{packages} /{packages}/\n", encoding="utf-8"
        )
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        commands.run(["docker", "build", "-q", "-t", tag, scratch], environment=environment)
    return tag
