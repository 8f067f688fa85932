"""An agent asks its task's context for the time, for ids and for chance, so that a replay can give it others."""

from __future__ import annotations

import ast

AGENT = "runtime/penstock_runtime/agent/"
SOURCES = {"datetime", "os", "random", "secrets", "time", "uuid"}
#: What of the event loop tells the time, or takes some. A deadline (asyncio.timeout) is neither.
OF_THE_LOOP = {"asyncio.sleep", "asyncio.get_running_loop", "asyncio.get_event_loop"}
ALLOWED = {
    "context.py": {"asyncio.sleep", "random", "secrets", "time"},  # the one place
    "tools/http.py": {"asyncio.get_running_loop"},  # a deadline is moved by the loop's own clock
    "transport/direct.py": {"asyncio.get_running_loop"},  # its connections outlive tasks
}


def asked_for(source):
    """The modules and calls in a source by which it would learn what no task's context told it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names} & SOURCES
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
            found |= names & (SOURCES | OF_THE_LOOP)
        elif isinstance(node, ast.Attribute):
            found |= {ast.unparse(node)} & OF_THE_LOOP
    return found


def test_only_the_context_knows_the_time_and_draws(shipped, root):
    found = {
        str(path.relative_to(root)).removeprefix(AGENT): asked
        for path in shipped
        if path.is_relative_to(root / AGENT)
        and (asked := asked_for(path.read_text(encoding="utf-8")))
    }
    assert found == ALLOWED


def test_the_search_finds_what_it_looks_for():
    for bad, named in (
        ("import time", "time"),
        ("from random import random", "random"),
        ("import os.path", "os"),
        ("from asyncio import sleep", "asyncio.sleep"),
        ("async def f():\n    await asyncio.sleep(1)", "asyncio.sleep"),
        ("now = asyncio.get_running_loop().time()", "asyncio.get_running_loop"),
    ):
        assert asked_for(bad) == {named}, bad
    assert not asked_for("import asyncio\nasync with asyncio.timeout(1): pass")
