"""The terminal says what it can do, quickly, and in one sentence what it cannot."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from penstock_cli import asking, exits

SLOW = {
    *("asyncio", "httpx", "pydantic", "rich", "yaml", "genai_prices", "penstock_dev", "penstock"),
}


def penstock(*arguments, cwd=None, stdin="", python=(), **variables):
    ambient = {name: value for name, value in os.environ.items() if name[:9] != "PENSTOCK_"}
    return subprocess.run(
        [sys.executable, *python, "-m", "penstock_cli", *arguments],
        env={**ambient, **variables},
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
        check=False,
    )


def imported(done):
    """The packages in the report of ``python -X importtime``."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_help_shows_the_commands_and_the_exit_codes():
    done = penstock("--help")
    assert done.returncode == 0
    for word in ("run", "tasks", "dev", "version", "Exit codes"):
        assert word in done.stdout


#: Of each module of commands one, of each group one of its own.
ASKED = ["", "run", "get", "explain", "promote", "plan", "models", "tasks", "tasks get", "budget"]


@pytest.mark.parametrize("command", [*ASKED, "escalations approve", "escalations list"])
def test_help_imports_nothing_slow(command):
    done = penstock(*command.split(), "--help", python=("-X", "importtime"))
    assert done.returncode == 0
    assert "typer" in imported(done), "the report is read"
    assert not imported(done) & SLOW


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_the_version_is_that_of_the_distribution(asked):
    done = penstock(asked)
    assert (done.returncode, done.stdout) == (0, "penstock 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "Missing argument"),
        (["run", "support"], "Missing argument"),
        (["run", "support", "hi", "--wait", "soon"], "--wait"),
        (["run", "support", "hi", "--wait", "-1"], "--wait"),
        (["run", "support", "hi", "-o", "xml"], "must be text, json or yaml"),
        (["run", "support", "hi", "--gateway", "http://127.0.0.1:1"], "no token is known"),
        (["run", "support", "hi"], "no gateway is known"),
        (["tasks", "list"], "Missing argument"),
        (["tasks", "list", "support", "-o", "xml"], "must be text, wide, json or yaml"),
        (["tasks", "get", "x", "-o", "wide"], "must be text, json or yaml"),
        (["tasks", "get", "no-id"], "'no-id' is no task's id"),
        (["escalations", "show", "no-id"], "'no-id' is no escalation's id"),
        (["escalations", "deny", "no-id"], "'no-id' is no escalation's id"),
        (
            ["escalations", "approve", "x", "--remember", "foo"],
            "--remember: 'foo' is not session",
        ),
        (["tasks", "list", "support", "--by", "size"], "--by takes one of reason, user"),
        (["fly"], "fly"),
        (["dev", "fly"], "penstock dev: error: argument verb"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2_and_a_hint(arguments, says, tmp_path):
    done = penstock(*arguments, cwd=tmp_path, PATH="/nowhere")
    assert done.returncode == exits.Exit.USAGE, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_gateway_that_is_not_there_is_a_sentence_with_what_to_check(tmp_path):
    done = penstock(
        "run", "support", "hi", PENSTOCK_GATEWAY_URL="http://127.0.0.1:1", PENSTOCK_TOKEN="t"
    )
    assert done.returncode == exits.Exit.REFUSED
    assert done.stderr.startswith("penstock: the gateway at http://127.0.0.1:1 cannot be reached")
    assert "penstock dev status" in done.stderr


def test_as_a_plugin_of_kubectl_it_goes_by_that_name():
    for arguments, says in (
        (["--help"], "Usage: kubectl penstock [OPTIONS]"),
        (["run", "--help"], "Usage: kubectl penstock run [OPTIONS]"),
        (["dev", "--help"], "usage: kubectl penstock dev"),
        (["run"], "Usage: kubectl penstock run"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", "from penstock_cli.main import plugin; plugin()", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert says in done.stdout + done.stderr


def test_dev_lists_its_verbs_under_its_own_name():
    done = penstock("dev", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: penstock dev")
    for verb in ("up", "status", "down", "logs"):
        assert verb in done.stdout


def test_dev_hands_on_the_exit_code_of_a_verb(tmp_path):
    done = penstock("dev", "status", cwd=tmp_path)
    assert done.returncode == 1
    assert "no environment runs" in done.stderr


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        ({"type": "queued", "data": {"revision": "hello-1"}}, "  queued    hello-1"),
        (
            {"type": "model", "data": {"inputTokens": 7, "outputTokens": 3}},
            "  model     7 tokens in, 3 out",
        ),
        (
            {"type": "model", "data": {"inputTokens": 7, "outputTokens": 3, "cached": True}},
            "  model     7 tokens in, 3 out, out of the cache",
        ),
        ({"type": "tool", "data": {"name": "refund", "ok": False}}, "  tool      refund failed"),
        (
            {"type": "waiting", "data": {"tool": "refund", "escalation": "t.1"}},
            "  waiting   refund: penstock escalations show t.1",
        ),
        ({"type": "moved", "data": {"to": "hello-2"}}, "  moved     to hello-2"),
        ({"type": "something new", "data": {}}, "  something new"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else None,
)
def test_each_event_is_one_line(event, shown):
    assert asking.line(event) == shown
