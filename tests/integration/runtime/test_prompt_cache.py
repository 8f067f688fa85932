"""What the vendor's cache saves: a task's requests against a server that charges as the vendor does."""

from __future__ import annotations

import pytest

from penstock_runtime.agent.models import anthropic
from penstock_runtime.agent.models.model import Request
from penstock_runtime.agent.transcript import Transcript

TOOL = {"name": "look_up", "description": "Looks up an order.", "input_schema": {"type": "object"}}
REQUESTS = 6
INSTRUCTIONS = "You help customers of a shop. " * 400  # about 3,000 tokens
#: What a token costs beside a fresh one, as the vendor's price list has it.
READ, WRITTEN = 0.1, 1.25


@pytest.fixture
async def endpoint(fake_model):
    script = '#fake {"thinking": "Let me see.", "loopTool": "look_up"}'
    prompt = anthropic.Prompt("claude-sonnet-5-5", f"{INSTRUCTIONS}\n{script}", (TOOL,))
    model = anthropic.AnthropicModel(prompt, fake_model.url, anthropic.no_key)
    yield model
    await model.aclose()


async def talk(model, says, history=()):
    """A task of some requests: the model asks for a tool each time, and is answered."""
    told = Transcript.start(history, says)
    for _ in range(REQUESTS):
        told = told.with_reply(await model.reply(Request(told.messages, 500, 30)))
        told = told.with_results([(call, "a" * 800) for call in told.pending], is_error=False)
    return told.messages


def charged(fake_model):
    return [each["usage"] for each in fake_model.journal(100)["requests"]]


def cost(usages):
    """Of the input alone, in fresh tokens; and what it would be without a cache."""
    fresh = sum(each["input_tokens"] for each in usages)
    read = sum(each["cache_read_input_tokens"] for each in usages)
    written = sum(each["cache_creation_input_tokens"] for each in usages)
    return fresh + READ * read + WRITTEN * written, fresh + read + written


async def test_a_later_request_of_a_task_reads_all_that_came_before_it(fake_model, endpoint):
    await talk(endpoint, "Where is A1?")
    first, *later = charged(fake_model)
    assert len(later) == REQUESTS - 1
    assert first["cache_creation_input_tokens"] > 3000
    before = first
    for each in later:
        known = before["cache_read_input_tokens"] + before["cache_creation_input_tokens"]
        assert each["cache_read_input_tokens"] == known
        assert each["input_tokens"] == 0
        before = each


async def test_another_task_reads_the_prompt(fake_model, endpoint):
    await talk(endpoint, "Where is A1?")
    so_far = len(charged(fake_model))
    await talk(endpoint, "I have another question.")
    assert charged(fake_model)[so_far]["cache_read_input_tokens"] > 3000


async def test_a_session_reads_its_history(fake_model, endpoint):
    history = await talk(endpoint, "Where is A1?")
    last = charged(fake_model)[-1]
    so_far = len(charged(fake_model))
    await talk(endpoint, "And B2?", history)
    known = last["cache_read_input_tokens"] + last["cache_creation_input_tokens"]
    assert charged(fake_model)[so_far]["cache_read_input_tokens"] == known


async def test_the_input_costs_as_the_documents_say(fake_model, endpoint, record_property):
    """The figures of docs/operating/models.md."""
    await talk(endpoint, "Where is A1?")
    cold = charged(fake_model)
    await talk(endpoint, "Where is C3?")
    warm = charged(fake_model)[len(cold) :]
    for name, usages in (("the first task", cold), ("a later one", warm)):
        paid, whole = cost(usages)
        print(f"{name}: {whole} tokens of input at the price of {paid:.0f}")
        record_property(name, round(paid / whole, 3))
    assert cost(cold)[0] / cost(cold)[1] < 0.33
    assert cost(warm)[0] / cost(warm)[1] < 0.17
