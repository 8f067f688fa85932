"""What is generated from the code is in step with it."""

from __future__ import annotations

import subprocess
import sys


def test_the_definitions_and_the_reference_pages_are_what_the_code_makes(root):
    command = [sys.executable, "tools/generate.py", "--check"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_both_custom_resources_are_there(root):
    assert {path.name for path in (root / "crds").iterdir()} == {
        "agents.yaml",
        "agentrollouts.yaml",
    }
