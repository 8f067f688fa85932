"""What a person is shown of a call that waits: what is wanted, why, and the conversation before it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from penstock.api.agent import AgentTemplate
from penstock.api.oversight import OnTimeout, Oversight
from penstock.escalation import Asked
from penstock_runtime import redaction
from penstock_runtime.agent import endings, remembered
from penstock_runtime.agent.keeper import Keeper
from penstock_runtime.agent.models.model import Message
from penstock_runtime.agent.step import Park, Run
from penstock_runtime.agent.tools.toolbox import Toolbox

MAX_ARGUMENT_CHARACTERS: Final = 32_768  # of the call, as it is shown
MAX_CONTEXT_CHARACTERS: Final = 16_384  # of the conversation, the newest
_MAX_PART_CHARACTERS: Final = 4096  # of one message
_MAX_TEXT_CHARACTERS: Final = 1000  # of one text among arguments that are too long
_NOT_WHOLE: Final = "its arguments are too long to be shown whole"
_UNDECLARED: Final = Oversight()


def asked(template: AgentTemplate, toolbox: Toolbox, run: Run, wanted: Park) -> Asked:
    """A call that waits for a person, as it is kept; nothing in what is shown holds a credential.

    With arguments that a person has put forward it is not made for want of somebody else's word.
    """
    call, proposed = wanted.call, wanted.proposed
    oversight = template.oversight or _UNDECLARED
    arguments, whole = _arguments(call.input if proposed is None else proposed)
    ask = wanted.ask if whole else replace(wanted.ask, why=f"{wanted.ask.why}; {_NOT_WHOLE}")
    kept = remembered.memory(toolbox, call, ask)
    return Asked(
        ask=ask,
        tool=call.name,
        place=call.place,
        arguments=arguments,
        digest=toolbox.digest(call),
        schema=_json(toolbox.tools[call.name].input_schema),
        context=_json(_context(run)),
        timeout_seconds=oversight.timeout_seconds,
        on_timeout=oversight.on_timeout if proposed is None else OnTimeout.DENY,
        proposed="" if proposed is None else _json(proposed),
        memory=kept.text() if kept and whole and proposed is None else "",
    )


async def park(
    template: AgentTemplate, toolbox: Toolbox, run: Run, wanted: Park, keeper: Keeper
) -> Run:
    """Put the task down until a person has decided; its end where too many wait already.

    Raises:
        Interrupted: it waits by now, or must be put down for another reason.
    """
    await keeper.park(run, asked(template, toolbox, run, wanted))
    call = wanted.call
    return run.ended(endings.too_many_wait(call.name, wanted.ask, call.input))


def _arguments(given: Mapping[str, Any]) -> tuple[str, bool]:
    """What a call is made with, as it is shown, and whether that is all of it.

    Long texts are cut before anything else is: none of them pushes another argument out of sight.
    """
    told = redaction.redact_all(given)
    written = _json(told)
    if len(written) <= MAX_ARGUMENT_CHARACTERS:
        return written, True
    return _cut(_json(_clipped(told)), MAX_ARGUMENT_CHARACTERS), False


def _clipped(value: Any) -> Any:
    match value:
        case str() if len(value) > _MAX_TEXT_CHARACTERS:
            return f"{value[:_MAX_TEXT_CHARACTERS]}… ({len(value):,} characters)"
        case Mapping():
            return {key: _clipped(inner) for key, inner in value.items()}
        case list():
            return [_clipped(inner) for inner in value]
        case _:
            return value


def _context(run: Run) -> list[dict[str, str]]:
    """The newest of the conversation, oldest first, within the bound."""
    said: list[dict[str, str]] = []
    room = MAX_CONTEXT_CHARACTERS
    for message in reversed(run.transcript.messages):
        text = _cut(redaction.redact("\n".join(_parts(message))), _MAX_PART_CHARACTERS)
        if len(text) > room:
            break
        room -= len(text)
        said.insert(0, {"role": message["role"], "text": text})
    return said


def _parts(message: Message) -> Iterator[str]:
    """What a message says to a reader: without what the model thought."""
    content = message["content"]
    if isinstance(content, str):
        yield content
        return
    for block in content:
        match block["type"]:
            case "text":
                yield block["text"]
            case "tool_use":
                yield f"[calls {block['name']} with {_json(block['input'])}]"
            case "tool_result":
                yield f"[result: {_text_of(block)}]"


def _text_of(block: Mapping[str, Any]) -> str:
    said = block.get("content", "")
    return said if isinstance(said, str) else _json(said)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _cut(text: str, most: int) -> str:
    return redaction.shortened(text, most)
