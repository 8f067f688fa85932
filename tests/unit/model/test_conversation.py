"""What a request says: its task, its system prompt, its length."""

from __future__ import annotations

from penstock_dev.model import conversation


def called(*ids):
    content = [{"type": "tool_use", "id": each, "name": "look", "input": {}} for each in ids]
    return {"role": "assistant", "content": content}


def answered(*ids):
    content = [
        {"type": "tool_result", "tool_use_id": each, "content": f"of {each}"} for each in ids
    ]
    return {"role": "user", "content": content}


def asked(text):
    return {"role": "user", "content": text}


def test_a_task_begins_at_the_last_user_message_without_tool_results():
    first, second = (conversation.tool_use_id(number, number) for number in (1, 2))
    messages = [
        asked("one"),
        called(first),
        answered(first),
        {"role": "assistant", "content": "done"},
        asked("two"),
        called(second),
        answered(second),
    ]
    task = conversation.current_task(messages)
    assert task == conversation.Task("two", (f"of {second}",), 2)
    assert conversation.current_task(messages[:5]) == conversation.Task("two", (), None)


def test_a_task_of_many_turns_keeps_its_results_in_order_and_its_first_number():
    ids = [conversation.tool_use_id(9, serial) for serial in range(3)]
    messages = [asked("go"), called(ids[0]), answered(ids[0]), called(*ids[1:]), answered(*ids[1:])]
    task = conversation.current_task(messages)
    assert task.tool_results == tuple(f"of {each}" for each in ids)
    assert task.drawn == 9


def test_ids_of_another_server_carry_no_number():
    messages = [
        asked("go"),
        called("toolu_01D7FLrfh4GYq7yT1ULFeyMV"),
        answered("toolu_01D7FLrfh4GYq7yT1ULFeyMV"),
    ]
    assert conversation.current_task(messages).drawn is None


def test_an_id_looks_like_one_of_the_api_and_carries_its_number():
    identifier = conversation.tool_use_id(2**64 - 1, 2**24)
    assert len(identifier) == len("toolu_01D7FLrfh4GYq7yT1ULFeyMV")
    assert conversation.drawn_of(identifier) == 2**64 - 1


def test_a_system_prompt_may_come_in_blocks():
    assert conversation.system_text({}) == ""
    assert conversation.system_text({"system": "a"}) == "a"
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert conversation.system_text({"system": blocks}) == "a\nb"


def test_tokens_count_what_is_said_and_not_how_it_is_wrapped():
    plain = {"messages": [asked("x" * 40)]}
    blocks = {"messages": [asked([{"type": "text", "text": "x" * 40}])]}
    assert conversation.input_tokens(plain) == conversation.input_tokens(blocks) == 10
    assert conversation.input_tokens(plain | {"system": "y" * 5}) == 12
    assert conversation.input_tokens({"messages": []}) == 1
