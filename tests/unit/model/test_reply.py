"""Which fate wins, and what the reference page says about it."""

from __future__ import annotations

import itertools

import pytest

from penstock_dev.model import chance, conversation, models, reply, script


def decided(fate, **keys):
    request = {"max_tokens": 100, "tools": [{"name": "look"}], "messages": []}
    model = models.KNOWN["claude-haiku-4-5"]
    task = conversation.Task("hello", (), None)
    turn = reply.Turn(request, model, "", task, 1)
    scripted = script.Script().model_copy(update=keys)
    return reply.decide(turn, scripted, fate, map(str, itertools.count()))


EVERYTHING = {
    "error": True, "garbage": True, "refusal": True,
    "cut": True, "stream_error": True, "drop": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("without", "outcome"),
    [
        ([], "error 400"),
        (["error"], "garbage"),
        (["error", "garbage"], "stream error"),
        (["error", "garbage", "stream_error"], "stream drop"),
        (["error", "garbage", "stream_error", "drop"], "stream cut"),
        (["error", "garbage", "stream_error", "drop", "cut"], "refusal"),
        (list(EVERYTHING), "tool_use"),
    ],
)
def test_when_several_fates_meet_the_worse_one_wins(without, outcome):
    fate = chance.Fate(**{flag: flag not in without for flag in EVERYTHING})
    calls = (script.ToolCall(name="look"),)
    assert reply.outcome(decided(fate, tool_calls=calls)) == outcome


def test_a_task_spared_the_tools_is_answered_in_text():
    calls = (script.ToolCall(name="look"),)
    answer = decided(chance.Fate(tools=False), tool_calls=calls)
    assert answer.blocks == (reply.Text("You said: hello"),)


def test_the_first_of_two_stop_sequences_in_the_text_ends_it():
    request = {"max_tokens": 100, "stop_sequences": ["c", "b"], "messages": []}
    model = models.KNOWN["claude-haiku-4-5"]
    turn = reply.Turn(request, model, "", conversation.Task("", (), None), 1)
    answer = reply.decide(turn, script.Script(text="abc"), chance.Fate(), iter(()))
    assert (answer.blocks, answer.stop_sequence) == ((reply.Text("a"),), "b")


def test_the_reference_page_tells_every_key_of_the_script(request):
    page = (request.config.rootpath / "docs/reference/fake-model.md").read_text()
    keys = [field.alias for field in script.Script.model_fields.values()]
    assert [key for key in keys if f"`{key}`" not in page] == []
