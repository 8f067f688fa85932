"""One fake Messages server for these tests, and the real client library on it."""

from __future__ import annotations

import functools
import json

import anthropic
import httpx
import pytest

from penstock_dev.model import testing

MODEL = "claude-haiku-4-5"
LOOK_UP = {
    "name": "look_up",
    "description": "Finds an order.",
    "input_schema": {"type": "object", "properties": {"order": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def running_model():
    with testing.model_server(7) as running:
        yield running


@pytest.fixture
def model(running_model):
    running_model.seed(7)
    return running_model


@pytest.fixture
async def client(model):
    async with anthropic.AsyncAnthropic(
        base_url=model.url, api_key="any", max_retries=0
    ) as connected:
        yield connected


@pytest.fixture
def sync_client(model):
    with anthropic.Anthropic(base_url=model.url, api_key="any", max_retries=0) as connected:
        yield connected


@pytest.fixture
def http(model):
    with httpx.Client(
        base_url=model.url,
        headers={"anthropic-version": "2026-10-21"},
        trust_env=False,
        timeout=60,
    ) as plain:
        yield plain


@pytest.fixture
def request_for():
    """Keyword arguments of a message: what the user says, and the script of the model."""

    def build(says="Where is order 4711?", tools=(), messages=None, max_tokens=1000, **keys):
        request = {
            "model": MODEL,
            "max_tokens": max_tokens,
            "messages": messages or [{"role": "user", "content": says}],
            "system": f"You help.\n#fake {json.dumps(keys)}" if keys else "You help.",
        }
        return request | ({"tools": list(tools)} if tools else {})

    return build


@pytest.fixture
def with_tool(request_for):
    return functools.partial(request_for, tools=[LOOK_UP])


@pytest.fixture
def answered():
    """The messages of a conversation after every tool call of a reply has been answered."""

    def extend(messages, reply, content="found"):
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": content}
            for block in reply.content
            if block.type == "tool_use"
        ]
        said = [block.model_dump(exclude_none=True) for block in reply.content]
        return [
            *messages,
            {"role": "assistant", "content": said},
            {"role": "user", "content": results},
        ]

    return extend
