"""Where a request is marked for the vendor's cache."""

from __future__ import annotations

from penstock_dev.model import fields
from penstock_runtime.agent.models import caching
from penstock_runtime.agent.models.anthropic import Prompt

MARK = {"type": "ephemeral"}
TOOLS = ({"name": "a", "input_schema": {}}, {"name": "b", "input_schema": {}})


def user(content):
    return {"role": "user", "content": content}


def model(content):
    return {"role": "assistant", "content": content}


def marks(messages):
    """Where marks stand: (message, block)."""
    return [
        (index, at)
        for index, message in enumerate(messages)
        if isinstance(message["content"], list)
        for at, block in enumerate(message["content"])
        if "cache_control" in block
    ]


def result(name):
    return {"type": "tool_result", "tool_use_id": name, "content": "found"}


def test_the_mark_of_the_prompt_stands_behind_the_system_prompt_and_covers_the_tools():
    marked = caching.marked_prompt(Prompt("m", "Help.", TOOLS).parameters())
    assert marked["system"] == [{"type": "text", "text": "Help.", "cache_control": MARK}]
    assert marked["tools"] == list(TOOLS)


def test_a_system_prompt_without_words_is_left_as_it_is():
    marked = caching.marked_prompt(Prompt("m", " ", TOOLS).parameters())
    assert marked["system"] == " "
    assert [tool.get("cache_control") for tool in marked["tools"]] == [None, MARK]
    assert caching.marked_prompt(Prompt("m", "").parameters()) == {"model": "m", "system": ""}


def test_a_single_question_is_marked_only_where_the_model_may_ask_for_tools():
    assert marks(caching.marked_messages([user("hello")], goes_on=False)) == []
    assert marks(caching.marked_messages([user("hello")], goes_on=True)) == [(0, 0)]


def test_of_a_conversation_the_newest_two_messages_of_the_user_are_marked_at_their_end():
    said = [
        user("one"),
        model([{"type": "tool_use", "id": "a", "name": "a", "input": {}}]),
        user([result("a"), result("b")]),
        model([{"type": "thinking", "thinking": "hm", "signature": "s"}]),
        user("two"),
    ]
    marked = caching.marked_messages(said, goes_on=False)
    assert marks(marked) == [(2, 1), (4, 0)]
    assert marked[2]["content"][1] == {**result("b"), "cache_control": MARK}
    assert marked[:2] == said[:2]


def test_a_turn_that_was_paused_keeps_the_marks_it_had():
    before = [user("one"), model("two"), user("three")]
    paused = [*before, model([{"type": "text", "text": "so far"}])]
    assert marks(caching.marked_messages(paused, goes_on=False)) == marks(
        caching.marked_messages(before, goes_on=False)
    )


def test_there_are_never_more_marks_than_the_vendor_takes():
    many = [each for _ in range(50) for each in (user("u"), model("m"))]
    request = caching.marked_prompt(Prompt("m", "Help.", TOOLS).parameters())
    request["messages"] = caching.marked_messages([*many, user("u")], goes_on=True)
    fields.cache_breakpoints(request)
    assert len(marks(request["messages"])) + 1 < fields.MOST_CACHE_BREAKPOINTS


def test_the_conversation_itself_is_not_changed():
    said = [user([result("a")]), model("m"), user("u")]
    caching.marked_messages(said, goes_on=True)
    assert marks(said) == []
