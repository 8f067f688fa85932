"""Whoever reads a worker's log finds why each task that did not succeed ended, and no credential in it."""

from __future__ import annotations

import json

import pytest
import structlog

from penstock_runtime import redaction
from penstock_runtime.worker import crew
from tests.integration.runtime.shop import tool

pytestmark = pytest.mark.redis
SECRET = "tok-9f8e7d6c5b4a-in-the-log"


def ends(lines):
    return [line for line in lines if line["event"] == "task ended"]


async def test_a_failure_is_a_warning_with_its_reason_in_words_and_where_to_find_it(shop):
    cut = await shop.release({"errorPercent": 100, "errorStatus": 400})
    worker = shop.worker(cut)
    failed = await shop.ended(await shop.submit())
    worker.terminate()
    out, _ = worker.communicate(timeout=30)
    [line] = ends(json.loads(line) for line in out.splitlines() if line.startswith("{"))
    assert (line["level"], line["status"], line["reason"]) == ("warning", "Failed", "ModelError")
    assert line["message"] == failed.outcome.message
    assert "400" in line["message"]
    assert (line["task"], line["trace_id"]) == (failed.id, failed.trace_id)
    assert line["revision"] == cut.name


async def test_a_success_is_no_warning(shop):
    with structlog.testing.capture_logs() as lines:
        await shop.run({"text": "done"})
    [line] = ends(lines)
    assert line["log_level"] == "info"
    assert "message" not in line


async def test_a_message_is_filtered_and_has_an_end(shop, tool_server):
    redaction.learn(SECRET)
    call = {"name": "refund", "input": {"to": SECRET, "note": "x" * 2000}}
    once = tool("refund", tool_server.url + "/ok", "Irreversible")
    with structlog.testing.capture_logs() as lines:
        await shop.run({"toolCalls": [call]}, tools=[once], limits={"identicalActions": 1})
    [line] = ends(lines)
    assert (line["log_level"], line["reason"]) == ("warning", "LimitIdenticalActions")
    assert "of tool refund with" in line["message"]
    assert SECRET not in line["message"]
    assert len(line["message"]) <= crew.MESSAGE_CHARACTERS
