"""The real client library talks to the fake Messages server as to the API."""

from __future__ import annotations

import anthropic
import pytest

from penstock_dev.model import testing


async def test_a_plain_message_is_answered_with_text_and_usage(client, request_for):
    message = await client.messages.create(**request_for("Where is my order?"))
    assert message.content[0].text == "You said: Where is my order?"
    assert (message.role, message.stop_reason, message.stop_details) == (
        "assistant",
        "end_turn",
        None,
    )
    assert message.usage.input_tokens == 7  # 27 characters
    assert message.usage.output_tokens == 7  # 28 characters
    assert message.id.startswith("msg_01")


def test_the_synchronous_client_gets_the_same_answer_plain_and_streamed(sync_client, request_for):
    plain = sync_client.messages.create(**request_for())
    with sync_client.messages.stream(**request_for()) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == plain.content[0].text
    assert streamed.usage.output_tokens == plain.usage.output_tokens
    assert streamed.usage.input_tokens == plain.usage.input_tokens
    assert streamed.stop_reason == plain.stop_reason


async def test_a_stream_has_the_events_of_the_api_in_their_order(client, request_for):
    stream = await client.messages.create(**request_for(text="x" * 40), stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.usage.output_tokens == 1
    assert events[0].message.stop_reason is None
    assert events[-2].usage.output_tokens == 10
    assert "".join(event.delta.text for event in events[2:5]) == "x" * 40


async def test_scripted_tools_are_asked_for_once_and_then_answered_in_text(
    client, with_tool, answered
):
    keys = {"toolCalls": [{"name": "look_up", "input": {"order": "4711"}}]}
    asked = await client.messages.create(**with_tool(**keys))
    assert asked.stop_reason == "tool_use"
    assert (asked.content[0].name, asked.content[0].input) == ("look_up", {"order": "4711"})
    first_turn = [{"role": "user", "content": "Where is order 4711?"}]
    messages = answered(first_turn, asked, "In the post")
    told = await client.messages.create(**with_tool(messages=messages, **keys))
    assert told.stop_reason == "end_turn"
    assert told.content[0].text == "The tools answered: In the post"


async def test_the_next_task_of_the_same_conversation_asks_for_the_tools_again(
    client, with_tool, answered
):
    keys = {"toolCalls": [{"name": "look_up"}]}
    asked = await client.messages.create(**with_tool(**keys))
    messages = [
        *answered([{"role": "user", "content": "Where is order 4711?"}], asked),
        {"role": "assistant", "content": "It is in the post."},
        {"role": "user", "content": "And order 4712?"},
    ]
    again = await client.messages.create(**with_tool(messages=messages, **keys))
    assert again.stop_reason == "tool_use"


@pytest.mark.parametrize("streamed", [False, True])
async def test_several_tools_are_asked_for_in_one_turn_with_their_inputs_whole(
    client, with_tool, streamed
):
    calls = [{"name": "look_up", "input": {"order": f"№ {n}" * 20}} for n in range(3)]
    request = with_tool(toolCalls=calls)
    if streamed:
        async with client.messages.stream(**request) as stream:
            message = await stream.get_final_message()
    else:
        message = await client.messages.create(**request)
    assert [block.input for block in message.content] == [call["input"] for call in calls]
    assert len({block.id for block in message.content}) == 3


async def test_without_parallel_tools_each_turn_asks_for_the_next_one(client, with_tool, answered):
    keys = {"toolCalls": [{"name": "look_up", "input": {"n": n}} for n in range(3)]}
    messages = [{"role": "user", "content": "go"}]
    seen = []
    for _ in range(3):
        reply = await client.messages.create(
            **with_tool(messages=messages, **keys),
            tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        )
        seen.append([block.input for block in reply.content])
        messages = answered(messages, reply)
    assert seen == [[{"n": 0}], [{"n": 1}], [{"n": 2}]]
    last = await client.messages.create(**with_tool(messages=messages, **keys))
    assert last.stop_reason == "end_turn"


async def test_a_loop_tool_is_asked_for_again_after_every_result(client, with_tool, answered):
    messages = [{"role": "user", "content": "go"}]
    inputs, ids = [], []
    for _ in range(5):
        reply = await client.messages.create(**with_tool(messages=messages, loopTool="look_up"))
        inputs += [block.input for block in reply.content]
        ids += [block.id for block in reply.content]
        messages = answered(messages, reply)
    assert inputs == [{}] * 5
    assert len(set(ids)) == 5


async def test_tools_that_are_not_offered_are_not_asked_for(client, request_for, with_tool):
    keys = {"toolCalls": [{"name": "look_up"}]}
    without = await client.messages.create(**request_for(**keys))
    forbidden = await client.messages.create(**with_tool(**keys), tool_choice={"type": "none"})
    assert (without.stop_reason, forbidden.stop_reason) == ("end_turn", "end_turn")


async def test_a_forced_tool_is_used_without_a_script(client, with_tool):
    forced = {"type": "tool", "name": "look_up"}
    message = await client.messages.create(**with_tool(), tool_choice=forced)
    assert message.content[0].name == "look_up"


async def test_a_raw_response_shows_the_headers_of_the_api(client, request_for):
    raw = await client.messages.with_raw_response.create(**request_for())
    headers = raw.headers
    assert headers["request-id"].startswith("req_01")
    assert headers["anthropic-organization-id"]
    for kind in ("requests", "tokens", "input-tokens", "output-tokens"):
        remaining = int(headers[f"anthropic-ratelimit-{kind}-remaining"])
        assert 0 < remaining <= int(headers[f"anthropic-ratelimit-{kind}-limit"])
        assert headers[f"anthropic-ratelimit-{kind}-reset"].endswith("Z")
    assert (await raw.parse()).stop_reason == "end_turn"


async def test_counted_tokens_are_the_tokens_a_message_is_charged(client, with_tool):
    request = with_tool("a question of some length")
    message = await client.messages.create(**request)
    del request["max_tokens"]
    counted = await client.messages.count_tokens(**request)
    assert counted.input_tokens == message.usage.input_tokens > 10


async def test_the_models_are_listed_page_by_page_and_one_by_one(client):
    listed = [model async for model in client.models.list(limit=5)]
    assert len(listed) == len({model.id for model in listed}) > 15
    one = await client.models.retrieve("claude-sonnet-4-5")
    assert one == next(model for model in listed if model.id == one.id)
    assert (one.line, one.lifecycle, one.max_tokens) == ("sonnet", "deprecated", 64_000)
    assert one.retires_at is not None
    assert one.capabilities.effort.low.supported


async def test_the_beta_path_answers_as_well(client, request_for):
    message = await client.beta.messages.create(**request_for(text="beta"))
    assert message.content[0].text == "beta"


async def test_any_path_prefix_leads_to_the_same_server(client, model, request_for):
    async with client.with_options(base_url=f"{model.url}/some/prefix") as prefixed:
        await prefixed.messages.create(**request_for())
        assert [each.id async for each in prefixed.models.list()]
    assert model.journal()["requests"][0]["path"] == "/some/prefix/v1/messages"


async def test_a_required_key_may_come_as_bearer_or_as_x_api_key(request_for):
    with testing.model_server(1, "--require-key", "right") as strict:
        for headers, key in (({}, "right"), ({"x-api-key": "right"}, "right")):
            async with anthropic.AsyncAnthropic(
                base_url=strict.url, api_key=key, default_headers=headers, max_retries=0
            ) as client:
                await client.messages.create(**request_for())
        async with anthropic.AsyncAnthropic(
            base_url=strict.url, api_key="wrong", max_retries=0
        ) as client:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                await client.messages.create(**request_for())
    assert caught.value.type == "authentication_error"


async def test_effort_and_thinking_are_taken_and_sampling_parameters_are_not(client, request_for):
    request = request_for() | {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}}
    await client.messages.create(**request)
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        await client.messages.create(**request_for(), extra_body={"temperature": 0.5})
