"""``penstock run`` against a real gateway; the test is the worker."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

from penstock.task import Outcome, OutcomeReason, TaskStatus, Usage
from tests.integration.gateway.conftest import INPUT_CHARS, STABLE, until


@pytest.fixture
def run(shared, agent):
    """Starts ``penstock run`` for the agent; gives the process."""

    async def start(*arguments, stdin=b"", token="all-agents"):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "penstock_cli",
            "run",
            agent.key.name,
            "-n",
            agent.key.namespace,
            *arguments,
            env={**os.environ, "PENSTOCK_GATEWAY_URL": shared.url, "PENSTOCK_TOKEN": token},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        process.stdin.write(stdin)
        process.stdin.close()
        return process

    return start


async def ended(process):
    """(exit code, standard output, standard error) of a process."""
    async with asyncio.timeout(60):
        said, told = await process.communicate()
    return process.returncode, said.decode(), told.decode()


async def test_an_answer_is_printed_and_what_happened_is_told_beside_it(run, agent):
    process = await run("Where is my order?", "--user", "u-1", "--session", "s-1")
    [claim] = await agent.claim()
    assert (claim.task.input, claim.task.user) == ("Where is my order?", "u-1")
    assert claim.task.session == "s-1"
    await agent.finish(claim, "It is on its way.\nTomorrow.")
    code, said, told = await ended(process)
    assert (code, said) == (0, "It is on its way.\nTomorrow.\n")
    kinds = [line.split()[0] for line in told.splitlines()]
    assert kinds == ["queued", "started", "finished"]
    assert f"{agent.key.name}-{STABLE}" in told


async def test_the_input_is_read_from_standard_input_and_the_task_printed_as_json(run, agent):
    process = await run("-", "-o", "json", stdin="Grüße\n".encode())
    [claim] = await agent.claim()
    assert claim.task.input == "Grüße\n"
    await agent.finish(claim)
    code, said, _ = await ended(process)
    assert code == 0
    assert json.loads(said)["status"] == "Succeeded"


async def test_a_task_that_fails_is_a_sentence_and_exit_code_1(run, agent, store):
    process = await run("x")
    [claim] = await agent.claim()
    failed = Outcome(TaskStatus.FAILED, OutcomeReason.TIMEOUT, "the model took too long")
    await store.claims.finish(claim, failed, Usage())
    code, said, told = await ended(process)
    assert (code, said) == (1, "")
    assert told.splitlines()[-1] == (
        "penstock: the task ended as Failed (Timeout: the model took too long): " + claim.task.id
    )


async def test_what_the_gateway_refuses_is_its_problem_in_words_and_exit_code_3(run):
    code, said, told = await ended(await run("-", stdin=b"x" * (INPUT_CHARS + 1)))
    assert (code, said) == (3, "")
    assert "longer than the agent accepts" in told
    code, _, told = await ended(await run("x", token="wrong-token"))
    assert code == 3
    assert "This bearer token is not known here." in told


async def test_a_task_that_takes_longer_than_wait_goes_on_and_exit_code_is_4(run, client):
    code, said, told = await ended(await run("x", "--wait", "5"))
    assert (code, said) == (4, "")
    place = told.split()[-1]
    assert (await client.get(place)).json()["status"] == "Queued"


async def test_with_no_wait_the_task_is_only_submitted_and_its_id_printed(run, client):
    code, said, _ = await ended(await run("x", "--wait", "0"))
    assert code == 0
    assert (await client.get(f"/v1/tasks/{said.strip()}")).json()["status"] == "Queued"


async def test_an_answer_survives_the_restart_of_the_gateway(start, agent):
    """The stream breaks, another gateway takes the address, the stream goes on."""
    first = start()
    address = first.url.removeprefix("http://")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "penstock_cli",
        *("run", agent.key.name, "x", "-n", agent.key.namespace),
        *("--gateway", first.url, "--token", "all-agents"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    [claim] = await agent.claim()
    async with first.client() as client:

        async def streaming():
            return "penstock_gateway_streams 1.0" in (await client.get("/metrics")).text

        await until(streaming, lambda: client.get("/metrics"))
    assert await asyncio.to_thread(first.stop) == 0
    await agent.finish(claim, "Still here.")
    start(PENSTOCK_LISTEN=address)
    code, said, told = await ended(process)
    assert (code, said) == (0, "Still here.\n")
    assert told.count("finished") == told.count("queued") == 1
