"""What the operator writes to its log, as its settings say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from penstock_operator.settings import Settings

_SAYS = """
import logging, structlog
from penstock_operator import main
async def run(settings):
    for name in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), name)("said")
    logging.getLogger("kopf").warning("library")
    return 0
main.run = run
raise SystemExit(main.main())
"""
_LEVELS = ["debug", "info", "warning", "error"]


def logged(level: str) -> list[dict[str, str]]:
    """What a process writes that says one thing in each level."""
    environment = {**os.environ, "PENSTOCK_LOG_LEVEL": level}
    done = subprocess.run(
        [sys.executable, "-c", _SAYS], env=environment, capture_output=True, check=True, timeout=60
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("level", "own", "library"),
    [("DEBUG", _LEVELS, True), ("", _LEVELS[1:], True), ("ERROR", ["error"], False)],
)
def test_the_least_severe_line_is_the_one_that_the_settings_name(
    level: str, own: list[str], library: bool
) -> None:
    lines = logged(level)
    assert [line["level"] for line in lines if line["event"] == "said"] == own
    assert any(line["event"] == "library" for line in lines) == library


def test_a_level_that_there_is_not_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_LOG_LEVEL", "info")
    with pytest.raises(ValidationError, match="log_level"):
        Settings()
