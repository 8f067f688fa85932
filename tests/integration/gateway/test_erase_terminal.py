"""``penstock erase`` against a real gateway: a person's word first, then how much was erased."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys

import pytest

from penstock.task import Outcome, TaskStatus, Usage
from tests.integration.gateway.test_compensations import effect
from tests.integration.gateway.test_escalations import agent, shared
from tests.integration.gateway.test_terminal import ended

__all__ = ["agent", "shared"]
USER = "u 1/ü"


async def erase(shared, agent, *words, typed=None):
    """(exit code, standard output, standard error); ``typed`` on a terminal, None: there is none."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock_cli", "erase", agent.key.name, *words),
        *("-n", agent.key.namespace),
        env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": "the-shop"},
        stdin=theirs if typed is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    if typed is not None:
        os.write(ours, typed.encode())
    try:
        return await ended(process)
    finally:
        os.close(ours)
        os.close(theirs)


async def acted(shared, agent):
    """A task of the user that has ended after a call, and one that has not."""
    async with shared.client("the-shop") as client:
        await client.post(agent.tasks, json={"input": "x", "user": USER, "session": "s"})
        (claim,) = await agent.claim()
        done = [effect("Intended", 1), effect("Done", 1)]
        await agent.store.claims.checkpoint(claim, b"state", Usage(), done)
        assert await agent.store.claims.finish(claim, Outcome(TaskStatus.SUCCEEDED), Usage())
        going_on = await client.post(agent.tasks, json={"input": "y", "user": USER})
        return going_on.json()["id"]


@pytest.mark.parametrize(("typed", "told"), [(None, "say --yes"), ("n\n", "nothing was erased")])
async def test_without_a_persons_word_nothing_is_erased(shared, agent, typed, told):
    await acted(shared, agent)
    code, said, beside = await erase(shared, agent, USER, typed=typed)
    assert (code, said) == (3, "")
    assert told in beside
    code, said, _ = await erase(shared, agent, USER, "--yes", "-o", "json")
    assert (code, json.loads(said)["tasks"]) == (4, 1)


async def test_it_says_how_much_was_erased_and_that_a_task_goes_on(shared, agent):
    going_on = await acted(shared, agent)
    code, said, beside = await erase(shared, agent, USER, typed="y\n")
    assert code == 4
    assert said == (
        f"{USER} was erased from {agent.key.name}: 1 ended task, 1 session, 1 call, 0 cached answers; "
        "calls keep digests, amount and time\n"
    )
    assert "1 task goes on" in beside
    async with shared.client("the-shop") as client:
        assert (await client.delete(f"/v1/tasks/{going_on}")).status_code == 200
    code, said, _ = await erase(shared, agent, USER, "--yes")
    assert (code, "1 ended task, 0 sessions, 0 calls" in said) == (0, True)


async def test_where_nothing_of_a_user_is_found_the_spelling_is_doubted(shared, agent):
    code, said, beside = await erase(shared, agent, "nosuch", "--yes")
    assert (code, said) == (3, "")
    told = f"nothing of a user nosuch was found in {agent.key.name}; check the spelling"
    assert told in beside
    code, said, beside = await erase(shared, agent, "nosuch", "--yes", "-o", "json")
    assert (code, json.loads(said)["tasks"], told in beside) == (3, 0, True)


async def test_an_agent_that_is_not_there_and_nobody_are_refused(shared, agent):
    code, _, beside = await erase(shared, agent, "", "--yes")
    assert (code, "names nobody" in beside) == (2, True)
