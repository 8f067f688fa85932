"""The test data beside the health scripts, in Argo CD's layout: `python -m tests.unit.gitops.kept` writes it."""

from __future__ import annotations

import pathlib
from typing import Any

import yaml

from tests.unit.gitops import agents, lua, rollouts

KINDS = {"Agent": agents, "AgentRollout": rollouts}
HEADER = "# Written by `python -m tests.unit.gitops.kept` from the code. Do not edit.\n"


def script(kind: str, root: pathlib.Path) -> str:
    """The health script of a kind."""
    return (root / lua.CUSTOMIZATIONS / kind / "health.lua").read_text(encoding="utf-8")


def files(root: pathlib.Path) -> dict[pathlib.Path, str]:
    """Every file of test data by its path below `root`: the objects, and what is said of each."""
    found = {}
    for kind, module in KINDS.items():
        folder = lua.CUSTOMIZATIONS / kind
        tests = []
        for name in module.KEPT:
            build, state = module.CASES[name]
            document = build()
            path = f"testdata/{state.lower()}_{name}.yaml"
            message = lua.health(script(kind, root), document)[1]
            tests.append({"healthStatus": {"status": state, "message": message}, "inputPath": path})
            found[folder / path] = _written(document)
        found[folder / "health_test.yaml"] = _written({"tests": tests})
    return found


def _written(document: dict[str, Any]) -> str:
    return HEADER + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    here = pathlib.Path.cwd()
    for path, text in files(here).items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(text, encoding="utf-8")
