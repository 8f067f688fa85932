"""What a package imports is what its extra installs: an image with that extra alone can run it."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Folder of the code: the extras of its image.
EXTRAS = {
    "penstock": [],
    "store": ["operator", "runtime"],
    "operator": ["operator"],
    "runtime": ["runtime"],
    "cli": ["cli", "dev"],
    "dev": ["dev"],
}


def imported(path):
    """The top-level packages that a module imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition(".")[0]


@pytest.fixture(scope="module")
def declared(root):
    """The distributions each extra asks for, by itself or through another extra of ours."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name: list(map(Requirement, lines))
        for name, lines in project["optional-dependencies"].items()
    }

    def names(extra):
        ours = [r for r in extras[extra] if r.name == "penstock"]
        direct = {canonicalize_name(r.name) for r in extras[extra]}
        return direct.union(*(names(other) for r in ours for other in r.extras))

    always = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    return {extra: names(extra) | always for extra in extras} | {"": always}


@pytest.mark.parametrize("folder", EXTRAS)
def test_a_package_imports_only_what_every_image_with_it_has(folder, shipped, root, declared):
    code = [path for path in shipped if path.relative_to(root).parts[0] == folder]
    names = {name for path in code for name in imported(path)}
    foreign = {
        n for n in names if n not in sys.stdlib_module_names and not n.startswith("penstock")
    }
    homes = importlib.metadata.packages_distributions()
    wanted = {canonicalize_name(home) for name in foreign for home in homes[name]}
    for extra in EXTRAS[folder] or [""]:
        assert not wanted - declared[extra], f"not in the extra {extra or 'of the core'}"
