"""The scripts as they are composed, without a Redis."""

from __future__ import annotations

import pathlib
import re

import pytest

import penstock_store
from penstock_store import scripts

FOLDER = pathlib.Path(penstock_store.__file__).parent / "scripts"


def test_every_script_is_used_by_a_call_and_every_call_has_its_script():
    code = "".join(path.read_text() for path in FOLDER.parent.glob("*.py"))
    called = set(re.findall(r'(?:\.run|_numbered|\.script|\bEnd)\(\s*"(\w+)"', code))
    assert called == set(scripts.names())


@pytest.mark.parametrize("name", scripts.names())
def test_a_script_says_what_it_does_its_keys_and_its_arguments(name):
    text = (FOLDER / f"{name}.lua").read_text()
    head = text[: text.index("\nlocal")]
    assert all(line.startswith("--") for line in head.splitlines() if "redis." not in line)
    assert "KEYS" in head
    assert "ARGV" in head


@pytest.mark.parametrize("name", scripts.names())
def test_a_script_does_not_read_the_clock_or_choose_at_random_but_once(name):
    text = scripts.Scripts(scripts.Retention())[name].text
    assert text.count('call("TIME")') == 1
    assert "math.random" not in text
    assert "SRANDMEMBER" not in text


def test_the_figures_and_the_ends_without_a_worker_come_from_the_core():
    text = scripts.Scripts(scripts.Retention(max_deaths_alone=3, event_rows=7))["claim"].text
    assert "local EVENT_ROWS = 7\n" in text
    assert "local MAX_DEATHS_ALONE = 3\n" in text
    assert 'dead = {status = "Failed", reason = "Internal", message = "its worker died' in text
    assert 'counting = "Error"' in text
    assert 'counting = "LeftOut"' in text


def test_scripts_of_other_figures_are_other_scripts():
    one, other = (scripts.Scripts(scripts.Retention(event_rows=rows))["finish"] for rows in (1, 2))
    assert one.sha != other.sha
