"""The Dockerfile, .dockerignore, the images' locks and pyproject.toml speak of the same images."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from penstock_dev.kind import bases, images

PIN = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)==(?P<version>\S+)(?: ; (?P<marker>[^\\]+))?")
WITH_LOCK = ("operator", "runtime")
OF_THE_BUILDING_MACHINE = re.compile(r"^ARG (?:PIP_|PENSTOCK_BUILD_)", re.MULTILINE)


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def stages(root):
    """The lines of each stage of the Dockerfile, by its name."""
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    return {re.match(r"FROM \S+ AS (\S+)", block)[1]: block for block in blocks}


@pytest.fixture(scope="module")
def image_tool(root):
    spec = importlib.util.spec_from_file_location("image", root / "tools" / "image.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entries(root, name):
    text = (root / name).read_text(encoding="utf-8").partition("\n")[2]
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.rstrip("\n"))
    return {canonicalize_name(PIN.match(block)["name"]): block for block in blocks}


def needed(requirements, *, everywhere):
    """Names of all packages that the requirements lead to, by the metadata of what is installed.

    With `everywhere`, also what only other platforms and Pythons need.
    """
    todo, seen = [Requirement(line) for line in requirements], set()
    while todo:
        requirement = todo.pop()
        for extra in ("", *requirement.extras):
            name = canonicalize_name(requirement.name)
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            todo += [one for one in requires(name) if applies(one, extra, everywhere=everywhere)]
    return {name for name, _ in seen}


def requires(name):
    try:
        return [Requirement(line) for line in importlib.metadata.requires(name) or []]
    except importlib.metadata.PackageNotFoundError:  # only on another platform
        return []


def applies(requirement, extra, *, everywhere):
    if requirement.marker is None:
        return True
    if everywhere:
        named = re.search(r'extra == "([^"]+)"', str(requirement.marker))
        return named is None or named[1] == extra
    return requirement.marker.evaluate({"extra": extra})


@pytest.mark.parametrize("image", WITH_LOCK)
def test_an_image_installs_exactly_what_its_extra_leads_to(root, project, image):
    locked = set(entries(root, f"requirements-{image}.lock"))
    asked = [*project["dependencies"], *project["optional-dependencies"][image]]
    assert needed(asked, everywhere=False) <= locked, "make lock"
    assert locked <= needed(asked, everywhere=True), "make lock"


@pytest.mark.parametrize("image", WITH_LOCK)
def test_an_image_installs_the_very_versions_and_hashes_that_are_tested(root, image):
    whole, part = entries(root, "requirements.lock"), entries(root, f"requirements-{image}.lock")
    assert len(part) > 20
    assert {name: whole.get(name) for name in part} == part
    text = (root / f"requirements-{image}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]


def test_the_clients_of_one_deployable_are_not_in_the_image_of_the_other(root):
    operator, runtime = (set(entries(root, f"requirements-{name}.lock")) for name in WITH_LOCK)
    assert {"kopf", "kubernetes"} <= operator
    assert {"kopf", "kubernetes"}.isdisjoint(runtime)
    assert "anthropic" in runtime
    assert "anthropic" not in operator


def test_the_build_context_is_what_the_images_tag_is_computed_from(root):
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    assert let_in == set(images.INPUTS) - {"Dockerfile", ".dockerignore"}
    assert [name for name in images.INPUTS if not (root / name).exists()] == []


def test_the_dockerfile_copies_nothing_else(root, stages):
    copied = set()
    for block in stages.values():
        for line in re.findall(r"^COPY (?!--from)(.+)$", block, re.MULTILINE):
            copied |= set(line.split()[:-1])
    assert copied == set(images.INPUTS) - {"Dockerfile", ".dockerignore"}


@pytest.mark.parametrize("image", images.TARGETS)
def test_each_stage_of_sources_copies_the_packages_its_image_gets(stages, image_tool, image):
    folders = {source.split("/")[0] for source in image_tool.SOURCES[image]}
    block = stages[f"sources-{image}"]
    copied = {
        name.split("/")[0]
        for line in re.findall(r"^COPY (?!--from)(.+)$", block, re.MULTILINE)
        for name in line.split()[:-1]
    }
    assert copied - {"pyproject.toml", "LICENSE"} == folders


def test_every_target_starts_a_module_that_exists(root, stages):
    folders = {
        "penstock_operator": "operator",
        "penstock_runtime": "runtime",
        "penstock_dev": "dev",
    }
    for target in images.TARGETS:
        module = re.search(
            r'^ENTRYPOINT \["python", "-m", "(\S+)"\]$', stages[target], re.MULTILINE
        )
        path = root / folders[module[1].split(".")[0]] / module[1].replace(".", "/")
        assert (path / "__main__.py").is_file()


def test_what_tells_of_the_building_machine_is_in_stages_that_are_thrown_away(stages):
    told = {name for name, block in stages.items() if OF_THE_BUILDING_MACHINE.search(block)}
    assert told == {f"dependencies-{image}" for image in WITH_LOCK}
    results = {"python", *images.TARGETS}
    bases_of_results = {re.match(r"FROM (\S+)", stages[name])[1] for name in results}
    assert bases_of_results == {"${PYTHON_IMAGE}", "python", "runtime"}


def test_the_image_runs_as_a_number_and_names_its_version(project, stages):
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stages["python"], re.MULTILINE)
    for image in WITH_LOCK:
        assert f"ARG VERSION={project['version']}\n" in stages[image]


def test_the_tool_and_the_dockerfile_name_one_base_image(root):
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", text, re.MULTILINE) == [bases.PYTHON_IMAGE]


def test_the_metadata_of_an_image_requires_what_its_extra_asks_for(project, image_tool):
    told = image_tool.metadata(project, "runtime")
    assert told.startswith("Metadata-Version: 2.4\nName: penstock\n")
    for line in (*project["dependencies"], *project["optional-dependencies"]["runtime"]):
        assert f"Requires-Dist: {line}\n" in told
    assert "kopf" not in told


def modules_of(source):
    """Dotted names that a file imports, with what it imports from packages of ours."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("image", ["operator", "runtime", "model"])
def test_whatever_of_ours_an_image_imports_is_in_it(image, root, image_tool):
    own = image_tool.SOURCES[image]
    held = [*own, *image_tool.SOURCES["runtime"]] if image == "model" else own
    inside = [root / place for place in held]
    files = [
        file for place in inside for file in (place.rglob("*.py") if place.is_dir() else [place])
    ]
    assert len(files) > 10
    homes = {
        package: root / folder / package
        for folder, package in (
            (".", "penstock"),
            ("store", "penstock_store"),
            ("operator", "penstock_operator"),
            ("runtime", "penstock_runtime"),
            ("dev", "penstock_dev"),
        )
    }
    missing = set()
    for file in files:
        for name in modules_of(file.read_text(encoding="utf-8")):
            package, *rest = name.split(".")
            if package not in homes:
                continue
            place = homes[package].joinpath(*rest)
            module = place.with_suffix(".py") if place.with_suffix(".py").exists() else place
            if (
                module.exists()
                and module != homes[package]
                and not any(module == one or one in module.parents for one in inside)
            ):
                missing.add(name)
    assert not missing
