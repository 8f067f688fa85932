"""Writes what is generated: crds/, its copies in charts/, the reference pages, models with a price.

`--check` writes nothing and fails when a file differs from what the code makes.
"""

from __future__ import annotations

import difflib
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import yaml

import chart
import cli_reference
import http_reference
import models
import reference
from penstock.api import crd

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = "# Generated from penstock.api by `make generate`. Do not edit.\n"


class Dumper(yaml.SafeDumper):
    """YAML without anchors, and with text of several lines as a block."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the name is pyyaml's
        """The same object twice is written twice: people read these files."""
        return True


def text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """A string; as a block when it has several lines."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, text_node)


def as_yaml(document: Mapping[str, Any]) -> str:
    """One document in the form in which it is kept in the repository."""
    body = yaml.dump(document, Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True)
    return HEADER + body


def files() -> dict[pathlib.Path, str]:
    """Every generated file, by its path under the root of the repository."""
    pages = pathlib.Path("docs/reference")
    made = {
        pages / "metrics.md": reference.metrics_page(),
        pages / "http-api.md": http_reference.http_page(),
        pages / "outcomes.md": http_reference.outcomes_page(),
        pages / "cli.md": cli_reference.page(),
        pathlib.Path("penstock/api/models.py"): models.page(),
    }
    definitions = {}
    for definition in crd.documents():
        words = definition["spec"]["names"]
        definitions[f"{words['plural']}.yaml"] = as_yaml(definition)
        made[pages / f"{words['singular']}.md"] = reference.resource_page(definition)
    made |= {pathlib.Path("crds") / name: text for name, text in definitions.items()}
    return made | chart.files(ROOT, definitions)


def difference(path: pathlib.Path, wanted: str) -> str:
    """The difference between a file and what the code makes, empty when there is none."""
    file = ROOT / path
    found = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = difflib.unified_diff(
        found.splitlines(keepends=True),
        wanted.splitlines(keepends=True),
        f"{path} (in the repository)",
        f"{path} (from the code)",
    )
    return "".join(lines)


def stale() -> dict[pathlib.Path, str]:
    """The generated files that are not what the code makes, each with the difference."""
    differences = {path: difference(path, wanted) for path, wanted in files().items()}
    return {path: text for path, text in differences.items() if text}


def write() -> None:
    """Writes every generated file."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path)


def main(arguments: list[str]) -> int:
    """Writes the generated files, or with `--check` says which of them are out of date."""
    if arguments != ["--check"]:
        write()
        return 0
    found = stale()
    for text in found.values():
        print(text)
    if found:
        print(f"out of date: {', '.join(map(str, found))}; run `make generate`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
