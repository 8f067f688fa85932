"""Fills an image's root: run by the Dockerfile, in its build stages, by the Python that the image will have.

    image.py dependencies <lock> <prefix> <staging>  a virtual environment with the locked packages, and nothing else
    image.py sources <image> <prefix> <staging>      the packages of ours that one image runs

What an image gets is below <staging>, to be copied over its root, so that also the folders on the way have a fixed time.

What is written depends on the arguments alone: no time stamps, no paths of the build, byte code that is checked by
nobody because it cannot be stale. Nothing but the standard library is needed.
"""

from __future__ import annotations

import base64
import compileall
import hashlib
import importlib
import os
import pathlib
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
#: Image → what of this repository it runs. The model is added to the runtime's image.
SOURCES = {
    "operator": ("penstock", "store/penstock_store", "operator/penstock_operator"),
    "runtime": ("penstock", "store/penstock_store", "runtime/penstock_runtime"),
    "model": (
        "dev/penstock_dev/__init__.py",
        "dev/penstock_dev/signals.py",
        "dev/penstock_dev/model",
    ),
}
CERTIFICATES_VARIABLE = "PENSTOCK_BUILD_CERTIFICATES"
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
# Thousands of classes that are looked up by name when first used; the operator speaks plain JSON and uses none. Compiled
# they would be a fifth of the image; whoever uses one compiles that one.
_NOT_COMPILED = re.compile(r"/kubernetes/(aio/)?client/(api|models)/(?!__init__)")
_NEVER_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc")
_IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
"""


# --- dependencies


def install_dependencies(lock: pathlib.Path, prefix: pathlib.Path, staging: pathlib.Path) -> None:
    """Makes a virtual environment without pip that holds what the lock pins, each file checked by its hash.

    It stands at the prefix, where later stages import from it, and by hard links below staging.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(prefix)
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            *(sys.executable, "-m", "pip", "--python", str(prefix / "bin" / "python")),
            *("install", "--quiet", "--no-cache-dir", "--no-compile", "--no-deps"),
            *("--disable-pip-version-check", "--root-user-action=ignore"),
            *("--only-binary=:all:", "--require-hashes", "--requirement", str(lock)),
        ]
        done = subprocess.run(command, check=False, env=pip_environment(pathlib.Path(scratch)))
    if done.returncode:
        # pip has said why; a traceback after it would be all that a short report shows.
        sys.exit(f"pip could not install {lock}: exit {done.returncode}")
    remove_programs(prefix)
    compile_below(site_packages(prefix))
    staged = staging / prefix.relative_to("/")
    shutil.copytree(prefix, staged, symlinks=True, copy_function=os.link)
    settle_times(staging)


def pip_environment(scratch: pathlib.Path) -> dict[str, str]:
    """The environment of pip: with certificates that the builder's machine trusts beside the public ones."""
    environment = {name: value for name, value in os.environ.items() if value}
    if extra := environment.pop(CERTIFICATES_VARIABLE, ""):
        # Only a build stage has pip. What it trusts by itself stays trusted.
        trusted = pathlib.Path(importlib.import_module("pip._vendor.certifi").where())
        bundle = scratch / "certificates.pem"
        bundle.write_text(trusted.read_text("utf-8") + "\n" + extra, "utf-8")
        environment["PIP_CERT"] = str(bundle)
    return environment


def remove_programs(prefix: pathlib.Path) -> None:
    """Leaves nothing but Python itself among a virtual environment's programs."""
    for program in (prefix / "bin").iterdir():
        if not program.name.startswith("python"):
            program.unlink()


def site_packages(prefix: pathlib.Path) -> pathlib.Path:
    """Where the packages of a virtual environment made by this Python are."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return prefix / "lib" / version / "site-packages"


# --- our own packages


def place_sources(image: str, prefix: pathlib.Path, staging: pathlib.Path) -> None:
    """Puts the image's own packages below staging, with metadata, and imports every module of them once."""
    site = staging / site_packages(prefix).relative_to("/")
    for source in SOURCES[image]:
        place = pathlib.Path(source)
        target = site / (place if place.parts[0] == "penstock" else pathlib.Path(*place.parts[1:]))
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=_NEVER_SHIPPED)
        else:
            shutil.copyfile(ROOT / source, target)
    if image != "model":
        write_metadata(image, site)
    compile_below(site, stripped=staging)
    settle_times(staging)
    import_all(image, prefix, site)


def write_metadata(image: str, site: pathlib.Path) -> None:
    """Describes what is installed, as an installer would: name, version, requirements, files with their hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    folder = site / f"{project['name']}-{project['version']}.dist-info"
    (folder / "licenses").mkdir(parents=True)
    shutil.copyfile(ROOT / "LICENSE", folder / "licenses" / "LICENSE")
    (folder / "INSTALLER").write_text("penstock-image\n", "utf-8")
    (folder / "METADATA").write_text(metadata(project, image), "utf-8")
    files = sorted(path for path in site.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(site)},{digest(path)},{path.stat().st_size}" for path in files]
    record = [*lines, f"{folder.name}/RECORD,,"]
    (folder / "RECORD").write_text("\n".join(record) + "\n", "utf-8")


def metadata(project: dict[str, Any], image: str) -> str:
    """The core metadata of the project as one image has it: what its extra asks for is simply required."""
    required = [*project["dependencies"], *project["optional-dependencies"][image]]
    fields = [
        ("Metadata-Version", "2.4"),
        ("Name", project["name"]),
        ("Version", project["version"]),
        ("Summary", project["description"]),
        ("License-Expression", project["license"]),
        ("License-File", "LICENSE"),
        ("Requires-Python", project["requires-python"]),
        *(("Requires-Dist", line) for line in required),
    ]
    return "".join(f"{name}: {value}\n" for name, value in fields)


def digest(path: pathlib.Path) -> str:
    """A file's hash as RECORD writes it."""
    found = hashlib.sha256(path.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(found).rstrip(b"=").decode()


def import_all(image: str, prefix: pathlib.Path, site: pathlib.Path) -> None:
    """Imports every module that the image adds; fails where a package it needs is not in its lock."""
    names = sorted(path.name for path in site.iterdir() if (path / "__init__.py").exists())
    command = [str(prefix / "bin" / "python"), "-B", "-c", _IMPORT_ALL, *names]
    # The model's packages stand beside the runtime's, which are in the prefix already.
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(site)}, check=True)
    print(f"{image}: every module of {', '.join(names)} can be imported")


# --- the same bytes every time


def compile_below(folder: pathlib.Path, stripped: pathlib.Path | None = None) -> None:
    """Compiles every module; the byte code names the path without `stripped`, and no time."""
    done = compileall.compile_dir(
        folder,
        maxlevels=50,
        quiet=2,
        workers=1,
        rx=_NOT_COMPILED,
        stripdir=stripped,
        prependdir="/" if stripped else None,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        print(f"some modules below {folder} cannot be compiled and will be at each start")


def settle_times(folder: pathlib.Path) -> None:
    """Gives every file and folder the same time: SOURCE_DATE_EPOCH, else the first second of 1980."""
    seconds = int(os.environ.get(EPOCH_VARIABLE) or 315532800)
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def main(arguments: list[str]) -> int:
    """Does what the first argument names."""
    match arguments:
        case ["dependencies", lock, *folders] if len(folders) == 2:
            install_dependencies(pathlib.Path(lock), *map(pathlib.Path, folders))
        case ["sources", image, prefix, staging]:
            place_sources(image, pathlib.Path(prefix), pathlib.Path(staging))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
