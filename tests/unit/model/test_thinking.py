"""A thought goes back only as it came, to the model that had it, after the words it was had after."""

from __future__ import annotations

import itertools

import pytest

from penstock_dev.model import chance, conversation, faults, models, reply, script, thinking

HELLO = {"role": "user", "content": "hello"}
NEXT = {"role": "user", "content": "and?"}
BINDING = "claude-haiku-5-5"
LOOSE = "claude-haiku-4-5"


def asked(*messages, **keys):
    return {"messages": list(messages), "system": "You help.", "max_tokens": 100} | keys


def thought_of(model, *messages, **keys):
    """What a model answers that thinks first, as a message of the conversation."""
    request = asked(*messages, **keys)
    turn = reply.Turn(request, models.KNOWN[model], "", conversation.Task("", (), None), 1)
    scripted = script.Script(thinking="Let me see.", text="It is so.")
    answer = reply.decide(turn, scripted, chance.Fate(), map(str, itertools.count()))
    thought, text = answer.blocks
    return {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": thought.thinking, "signature": thought.signature},
            {"type": "text", "text": text.text},
        ],
    }


def refusal(model, request):
    with pytest.raises(faults.Rejected) as caught:
        thinking.check(request, models.KNOWN[model])
    return caught.value.fault.message


@pytest.mark.parametrize("model", [BINDING, LOOSE])
def test_a_conversation_of_thoughts_is_taken_back_as_it_came(model):
    messages = [HELLO]
    for _ in range(3):
        messages += [thought_of(model, *messages), NEXT]
        thinking.check(asked(*messages), models.KNOWN[model])


def test_a_form_that_says_the_same_is_no_change():
    thought = thought_of(BINDING, HELLO)
    cached = {"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}
    request = asked({"role": "user", "content": [cached]}, thought, NEXT)
    request["system"] = [{"type": "text", "text": "You help."}]
    thinking.check(request, models.KNOWN[BINDING])


def test_a_thought_of_another_model_is_refused():
    request = asked(HELLO, thought_of(LOOSE, HELLO), NEXT)
    assert refusal(BINDING, request) == (
        "messages.1.content.0: Invalid `signature` in `thinking` block"
    )


def test_a_changed_thought_is_refused_in_the_latest_answer_and_before():
    first = thought_of(LOOSE, HELLO)
    second = thought_of(LOOSE, HELLO, first, NEXT)
    first["content"][0]["thinking"] += " Perhaps."
    assert "cannot be modified" in refusal(LOOSE, asked(HELLO, first, NEXT))
    assert "messages.1.content.0: Invalid `signature`" in refusal(
        LOOSE, asked(HELLO, first, NEXT, second, NEXT)
    )


CHANGES = {
    "another prompt": {"system": "You hinder."},
    "another tool": {"tools": [{"name": "look", "input_schema": {"type": "object"}}]},
    "other words before": {"messages": [NEXT, thought_of(BINDING, HELLO), NEXT]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_newer_model_refuses_its_thought_in_another_conversation(change):
    request = asked(HELLO, thought_of(BINDING, HELLO), NEXT) | change
    assert "bound to a different conversation" in refusal(BINDING, request)


def test_an_older_model_takes_its_thought_in_another_conversation():
    request = asked(NEXT, thought_of(LOOSE, HELLO), NEXT, system="You hinder.")
    thinking.check(request, models.KNOWN[LOOSE])


def test_a_turn_without_thoughts_takes_any_words_before_it():
    thinking.check(asked(HELLO, {"role": "assistant", "content": "yes"}), models.KNOWN[BINDING])
