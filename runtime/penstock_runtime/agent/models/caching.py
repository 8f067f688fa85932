"""What the vendor keeps of a request in its cache, so that the next one is read from there.

A mark says: keep everything up to here, in the order tools, system prompt, messages. Reading costs
about a tenth of fresh input, keeping a quarter more than it, for five minutes since its last use.
What is shorter than the vendor's minimum is kept nowhere, and costs no more for its mark.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock_runtime.agent.models.model import Message

_MARK: Final = {"cache_control": {"type": "ephemeral"}}
#: The vendor takes 4 marks. One is for the prompt; two are for the conversation: what is new, and
#: what the request before this one had kept, which it does not find by itself 20 blocks later.
_MARKED_MESSAGES: Final = 2


def marked_prompt(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of every request, with a mark behind the last of them that can have one.

    A system prompt without words can have none; then the mark is the last tool's.
    """
    marked = dict(parameters)
    system, tools = parameters.get("system"), parameters.get("tools")
    if isinstance(system, str) and system.strip():
        marked["system"] = [{"type": "text", "text": system, **_MARK}]
    elif tools:
        marked["tools"] = [*tools[:-1], {**tools[-1], **_MARK}]
    return marked


def marked_messages(messages: Sequence[Message], *, goes_on: bool) -> list[Message]:
    """The conversation with marks behind the user's newest two messages.

    Thinking can have no mark, and stands in the model's messages alone. A first message that
    nothing follows is not marked: nobody would read what is kept.

    Args:
        goes_on: whether the model may ask for tools, so that another request follows.
    """
    marked = list(messages)
    if len(marked) == 1 and not goes_on:
        return marked
    of_user = [index for index, message in enumerate(marked) if message["role"] == "user"]
    for index in of_user[-_MARKED_MESSAGES:]:
        marked[index] = _marked(marked[index])
    return marked


def _marked(message: Message) -> Message:
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return {**message, "content": [*blocks[:-1], {**blocks[-1], **_MARK}]}
