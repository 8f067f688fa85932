"""The agent loop with other means: loops.py sdk|sdk-stream|pydantic-ai MODEL_URL LOOPS SKIPPED RESULT.

Each loop is ten model calls with nine calls of a tool, which is a local function.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anthropic

from penstock_bench.counting import Count, leave
from penstock_bench.job import ANSWER, MODEL, MODEL_CALLS, QUESTION, SYSTEM, TOOL

Once = Callable[[], Awaitable[object]]
Ask = Callable[..., Awaitable[Any]]


def client(url: str) -> anthropic.AsyncAnthropic:
    """The SDK with its own defaults, on the fake."""
    return anthropic.AsyncAnthropic(api_key="none", base_url=url, max_retries=0)


def sdk(url: str) -> Once:
    """`messages.create`, the shortest way there is."""
    return _loop(client(url).messages.create)


def sdk_stream(url: str) -> Once:
    """`messages.stream`, as one does who shows words while they come."""
    messages = client(url).messages

    async def ask(**request: Any) -> Any:
        async with messages.stream(**request) as stream:
            return await stream.get_final_message()

    return _loop(ask)


def pydantic_ai(url: str) -> Once:
    """A framework's agent."""
    from pydantic_ai import Agent
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    provider = AnthropicProvider(anthropic_client=client(url))
    agent = Agent(AnthropicModel(MODEL, provider=provider), system_prompt=SYSTEM)

    def lookup(order: str) -> str:  # noqa: ARG001 - the model fills it in
        """Looks up an order."""
        return ANSWER

    agent.tool_plain(lookup)
    return lambda: agent.run(QUESTION)


def _loop(ask: Ask) -> Once:
    request = {"model": MODEL, "max_tokens": 512, "system": SYSTEM, "tools": [TOOL]}

    async def once() -> None:
        messages: list[Any] = [{"role": "user", "content": QUESTION}]
        for number in range(1, MODEL_CALLS + 1):
            message = await ask(messages=messages, **request)
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": ANSWER}
                for block in message.content
                if block.type == "tool_use"
            ]
            if not results and number != MODEL_CALLS:
                leave(3, f"the conversation ended after {number} model calls")
            messages.append({"role": "assistant", "content": message.content})
            messages.append({"role": "user", "content": results})

    return once


async def main(kind: str, url: str, loops: str, skipped: str, result: str) -> None:
    """Run what the command line says."""
    once = {"sdk": sdk, "sdk-stream": sdk_stream, "pydantic-ai": pydantic_ai}[kind](url)
    count = Count(int(skipped), int(loops), Path(result))
    for _ in range(count.skipped + count.counted):
        await once()
        count.one()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
