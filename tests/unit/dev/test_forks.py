"""Programs that are started as forks of a process that has loaded them: they are what they would be by themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from penstock_dev import processes
from penstock_dev.node import forks, launch
from penstock_dev.state import write_json
from tests import components

#: A program that says what it was started with; its import is slow, and told.
PROGRAM = """
import json, os, sys, time
import parts.loaded
print(json.dumps({
    "arguments": sys.argv[1:], "environment": dict(os.environ), "directory": os.getcwd(),
    "leads": os.getsid(0) == os.getpid(), "parent": os.getppid(), "loaded": parts.loaded.BY,
    "input": sys.stdin.read(),
}), flush=True)
sys.exit(int(sys.argv[1])) if sys.argv[1] != "stay" else time.sleep(60)
"""
LOADED = "import os\nBY = os.getpid()\n"
#: Who asks: it starts one fork after another, and tells of each.
ASKER = """
import asyncio, json, os, sys
from pathlib import Path
from penstock_dev import processes
from penstock_dev.node.forks import Forks

async def main():
    processes.collects_orphans()
    told = json.loads(Path(sys.argv[1]).read_text())
    place = Path(told["directory"])
    base = {name: os.environ[name] for name in ("PATH", "PYTHONPATH")}
    some = Forks({**base, "OURS": "secret"}, place, {"parts": told["loaded"]})
    given = {**base, "GIVEN": "yes", **told["variables"]}
    if told["cancelled"]:
        await some.spawn("fork", [sys.executable, "-m", "parts", "0"], given, place / "x.log", place)
    for number, arguments in enumerate(told["forks"] if told["cancelled"] else ()):
        command = [sys.executable, "-m", "parts", *arguments]
        asked = asyncio.create_task(some.spawn("fork", command, given, place / "x.log", place))
        await asyncio.sleep(number / 500)
        asked.cancel()
        await asyncio.wait([asked])
        if not asked.cancelled():
            asked.result().end()
    if told["cancelled"]:
        while len(asyncio.all_tasks()) > 1:  # what was cancelled is still made, and then ended
            await asyncio.sleep(0.05)
        left = [pid for pid in processes._children() if processes.identify(pid)]
        print(json.dumps({"left": len(left)}), flush=True)
        return
    for number, arguments in enumerate(told["forks"]):
        command = [sys.executable, "-m", "parts", *arguments]
        log = place / f"{number}.log"
        child = await some.spawn("fork", command, given, log, place)
        print(json.dumps({"pid": child.pid, "me": os.getpid()}), flush=True)
        print(json.dumps({"code": await child.wait()}), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def asked(tmp_path):
    """Starts who asks for such forks."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "parts" / "loaded.py").write_text(LOADED)
    (tmp_path / "asker.py").write_text(ASKER)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    started = []

    def ask(*arguments, loaded="parts.loaded", cancelled=False, **variables):
        told = {"directory": str(tmp_path), "loaded": loaded, "forks": arguments}
        told |= {"variables": variables, "cancelled": cancelled}
        write_json(tmp_path / "told.json", told)
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "asker.py"), str(tmp_path / "told.json")],
            env={**os.environ, "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield ask
    for process in started:
        process.kill()
        process.communicate()


def lines(process):
    out, _ = process.communicate(timeout=60)
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def said(tmp_path, number=0):
    return json.loads((tmp_path / f"{number}.log").read_text())


def test_a_fork_has_what_it_was_given_and_nothing_of_its_template(asked, tmp_path):
    process = asked(["3", "two words"])
    begun, ended = lines(process)
    assert ended == {"code": 3}
    found = said(tmp_path)
    assert found["arguments"] == ["3", "two words"]
    assert set(found["environment"]) == {"PATH", "PYTHONPATH", "GIVEN"}
    assert found["environment"]["GIVEN"] == "yes"
    assert found["directory"] == str(tmp_path)
    assert (found["leads"], found["parent"]) == (True, begun["me"])
    assert found["input"] == ""


def test_what_it_imports_was_imported_once_by_another_process(asked, tmp_path):
    begun = lines(asked(["0"], ["0"]))[::2]
    first, second = said(tmp_path), said(tmp_path, 1)
    assert first["loaded"] == second["loaded"]
    assert first["loaded"] not in [one["pid"] for one in begun]


def test_where_nothing_can_be_loaded_it_is_started_by_itself(asked, tmp_path):
    process = asked(["4"], loaded="parts.missing")
    begun, ended = lines(process)
    assert ended == {"code": 4}
    assert said(tmp_path)["loaded"] == begun["pid"]


@pytest.mark.parametrize(
    ("name", "value"), [("PYTHONHASHSEED", "7"), ("LD_LIBRARY_PATH", "/nowhere")]
)
def test_what_is_read_before_its_first_line_makes_it_start_by_itself(asked, tmp_path, name, value):
    begun, ended = lines(asked(["4"], **{name: value}))
    assert ended == {"code": 4}
    assert said(tmp_path)["loaded"] == begun["pid"]
    assert said(tmp_path)["environment"][name] == value


def test_a_program_whose_sources_have_changed_is_loaded_anew(asked, tmp_path):
    source = tmp_path / "parts" / "loaded.py"
    process = asked(["stay"], ["0"], ["0"], ["0"])
    first = json.loads(process.stdout.readline())["pid"]
    until((tmp_path / "0.log").read_text)
    before = said(tmp_path)["loaded"]
    os.utime(source, ns=(0, 0))  # an edit and the import before it may share a tick
    components.send(first, signal.SIGTERM)
    begun = [line["pid"] for line in lines(process) if "pid" in line]
    alone, second, third = (said(tmp_path, number)["loaded"] for number in (1, 2, 3))
    assert alone == begun[0]
    assert second == third
    assert second not in [before, *begun]


def test_one_that_is_not_waited_for_any_more_is_ended(asked):
    process = asked(*[["stay"]] * 12, cancelled=True)
    assert lines(process) == [{"left": 1}], "the template alone"


def test_what_every_container_has_is_no_reason_to_start_by_itself():
    base = launch.base_environment("owner")
    container = {**base, "HOSTNAME": "pod", "PENSTOCK_AGENT": "support"}
    assert forks._read_at_start(container) == forks._read_at_start(base)
    assert "PYTHONUNBUFFERED" in forks._read_at_start(base)


def alive(pid):
    return processes.identify(pid) is not None


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_its_end_by_a_signal_is_told_to_who_asked(asked, number):
    process = asked(["stay"])
    pid = json.loads(process.stdout.readline())["pid"]
    until(lambda: alive(pid))
    components.send(pid, number)
    assert lines(process) == [{"code": -number}]


def test_it_ends_with_who_asked_and_so_does_the_template(asked, tmp_path):
    process = asked(["stay"])
    pid = json.loads(process.stdout.readline())["pid"]
    until((tmp_path / "0.log").read_text)
    template = said(tmp_path)["loaded"]
    assert alive(pid)
    assert alive(template)
    process.kill()
    until(lambda: not alive(pid) and not alive(template))


def test_only_the_programs_that_are_worth_it_are_forked():
    python = sys.executable
    assert forks.module_of([python, "-m", "penstock_runtime.worker", "--suspects"]) in forks.LOADED
    assert forks.module_of([python, "-c", "pass"]) == ""
    assert forks.module_of(["/bin/sh", "-m", "penstock_runtime.worker"]) == ""
    assert forks.module_of([python]) == ""
