"""How long a task waits, how often it tries again and how much it listens to, as declared."""

import json

import pytest

from penstock.task import OutcomeReason, TaskStatus
from tests.integration.runtime.shop import tool

FAILED_IN_TIME = (TaskStatus.FAILED, OutcomeReason.TIMEOUT)
SUCCEEDED = (TaskStatus.SUCCEEDED, OutcomeReason.NONE)
LOOK_UP = {"toolCalls": [{"name": "look_up", "input": {}}]}


@pytest.mark.parametrize(("seconds", "how"), [(1, FAILED_IN_TIME), (60, SUCCEEDED)])
async def test_a_model_is_given_up_after_the_declared_time_and_not_before(shop, seconds, how):
    ended = await shop.run({"latencyMs": 2500}, timeoutSeconds=seconds, retries=0)
    assert (ended.outcome.status, ended.outcome.reason) == how, ended.outcome


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_a_failed_call_is_tried_again_as_often_as_declared(shop, fake_model, retries):
    await shop.run({"errorPercent": 100, "errorStatus": 529}, retries=retries)
    assert len(fake_model.journal()["requests"]) == 1 + retries


@pytest.mark.parametrize(("seconds", "told"), [(1, "did not answer"), (60, "late")])
async def test_a_tool_is_given_up_after_the_declared_time_and_not_before(
    shop, tool_server, seconds, told
):
    slow = tool("look_up", tool_server.url + "/slow/2.5", timeoutSeconds=seconds)
    ended = await shop.run(LOOK_UP, tools=[slow])
    assert told in ended.outcome.output, ended.outcome


@pytest.mark.parametrize("most", [100, 900])
async def test_the_model_reads_as_much_of_a_tools_output_as_declared(
    shop, tool_server, fake_model, most
):
    wordy = tool("look_up", tool_server.url + "/big/5000", maxOutputBytes=most)
    await shop.run(LOOK_UP, tools=[wordy])
    read = json.dumps(fake_model.journal(1)["requests"][-1]["body"]["messages"])
    assert "x" * most in read
    assert "x" * (most + 1) not in read
