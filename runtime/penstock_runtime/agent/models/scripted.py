"""A model that answers from a list, for tests of what stands around it."""

from collections.abc import Iterable
from typing import Any

from penstock.money.prices import Tokens
from penstock_runtime.agent.models.model import Block, ModelFailed, Reply, Request

_FEW = Tokens(10, 5)


def text(words: str, stop_reason: str = "end_turn", tokens: Tokens = _FEW) -> Reply:
    """A reply that says something."""
    content: tuple[Block, ...] = ({"type": "text", "text": words},) if words else ()
    return Reply(content, stop_reason, tokens)


def tool_use(*calls: tuple[str, str, dict[str, Any]], tokens: Tokens = _FEW) -> Reply:
    """A reply that asks for tools; each call is (id, name, input)."""
    content = tuple(
        {"type": "tool_use", "id": identifier, "name": name, "input": given}
        for identifier, name, given in calls
    )
    return Reply(content, "tool_use", tokens)


class ScriptedModel:
    """Answers with the given replies in order and keeps the requests; fails the test when out."""

    def __init__(self, replies: Iterable[Reply | ModelFailed]) -> None:
        self._replies = iter(replies)
        self.requests: list[Request] = []

    async def reply(self, request: Request) -> Reply:
        """The next reply of the list; a failure is raised."""
        self.requests.append(request)
        answer = next(self._replies, None)
        if answer is None:
            raise AssertionError(f"request {len(self.requests)} has no scripted reply")
        if isinstance(answer, ModelFailed):
            raise answer
        return answer

    async def count_tokens(self, request: Request) -> int | None:  # noqa: ARG002 - it counts nothing
        """Nobody says."""
        return None

    def renew_credentials(self) -> bool:
        """There is no credential."""
        return False

    async def aclose(self) -> None:
        """Nothing is open."""
