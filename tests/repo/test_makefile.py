"""`make` explains itself, and everything it explains is there."""

from __future__ import annotations

import re
import subprocess

import pytest

PROMISED = {
    *("help", "setup", "demo", "test", "check", "generate", "lock", "format", "clean"),
    *("kind-up", "kind-down", "kind-node-image", "deploy", "e2e"),
    *("bench", "bench-runtime", "bench-operator", "bench-rollout"),
}


@pytest.fixture(scope="module")
def help_text(root):
    return subprocess.run(["make"], cwd=root, capture_output=True, text=True, check=True).stdout


def test_make_alone_prints_every_promised_command_with_a_sentence(help_text):
    explained = dict(re.findall(r"^  make (\S+) +(\S.*)$", help_text, re.MULTILINE))
    assert explained.keys() >= PROMISED


def test_every_explained_command_can_be_planned(help_text, root):
    for target in re.findall(r"^  make (\S+)", help_text, re.MULTILINE):
        plan = subprocess.run(
            ["make", "-n", target], cwd=root, capture_output=True, text=True, check=False
        )
        assert plan.returncode == 0, plan.stderr


def test_the_ci_script_runs_the_commands_the_readme_names(root):
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    for command in (
        "make check",
        "make test",
        "make demo",
        "make kind-up",
        "make deploy",
        "make e2e",
    ):
        assert re.search(rf"^stage {command}\b", script, re.MULTILINE), command


def test_what_the_ci_script_leaves_out_of_make_test_is_part_of_make_check(root):
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    left_out = set(re.findall(r"--ignore=(\S+?)[\s\"]", script))
    plan = subprocess.run(
        ["make", "-n", "check-tests", "check-tree"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert left_out <= set(plan.stdout.split())
    assert left_out


def test_the_readme_names_the_commands_to_begin_with(root):
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme
