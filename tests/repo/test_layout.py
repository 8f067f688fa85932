"""Where code stands and what it may be called."""

from __future__ import annotations

import re
import sys

NAMES_THAT_SAY_NOTHING = {
    "base", "common", "helper", "helpers", "manager", "misc", "types", "util", "utils",
}  # fmt: skip
PACKAGES = {
    "penstock": "penstock",
    "store": "penstock_store",
    "operator": "penstock_operator",
    "runtime": "penstock_runtime",
    "cli": "penstock_cli",
    "dev": "penstock_dev",
    "bench": "penstock_bench",
}


def test_the_operator_folder_is_no_package(root):
    assert not (root / "operator" / "__init__.py").exists(), (
        "operator/__init__.py shadows the standard library's operator module for every Python started here"
    )


def test_no_other_top_level_name_shadows_the_standard_library(files, root):
    top_level = {path.relative_to(root).parts[0].removesuffix(".py") for path in files}
    assert top_level & sys.stdlib_module_names == {"operator"}


def test_each_code_folder_holds_exactly_one_package(files, root):
    for folder, package in PACKAGES.items():
        place = root if folder == package else root / folder
        assert (place / package / "__init__.py").is_file()
        if place != root:
            inside = {
                path.relative_to(place).parts[0] for path in files if path.is_relative_to(place)
            }
            assert inside == {package}


def test_every_module_is_named_for_what_it_holds(shipped):
    stems = {path: {path.stem, path.parent.name} for path in shipped}
    assert not [path for path, names in stems.items() if names & NAMES_THAT_SAY_NOTHING]


def test_a_test_sends_a_signal_to_a_process_that_it_knows(files, root):
    """`os.kill` takes 0 for everything that the tests were started by; `components.send` refuses it."""
    own = re.compile(r"^[^\"#]*\bos\.kill(pg)?\((?!os\.getpid\(\)|pid, 0\))", re.MULTILINE)
    tests = [path for path in files if path.is_relative_to(root / "tests")]
    calling = {path.name for path in tests if own.search(path.read_text())}
    assert calling == {"components.py"}
