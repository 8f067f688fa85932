"""What the API would not take, the server does not take, and says where."""

from __future__ import annotations

import pytest

from penstock_dev.model import faults, models, validate

TOOL = {"name": "look", "input_schema": {"type": "object"}}


def user(*content):
    return {"role": "user", "content": list(content) or "hi"}


def assistant(*content):
    return {"role": "assistant", "content": list(content) or "yes"}


def text(content="and"):
    return {"type": "text", "text": content}


def use(identifier="a"):
    return {"type": "tool_use", "id": identifier, "name": "look", "input": {}}


def result(identifier="a"):
    return {"type": "tool_result", "tool_use_id": identifier, "content": "ok"}


def request(**keys):
    usual = {"model": "claude-haiku-5-5", "max_tokens": 10, "messages": [user()]}
    return {name: value for name, value in (usual | keys).items() if value is not ...}


ACCEPTED = {
    "minimal": {},
    "tools answered": {"messages": [user(), assistant(text(), use()), user(result())]},
    "results in any order": {
        "messages": [user(), assistant(use("a"), use("b")), user(result("b"), result("a"), text())]
    },
    "results over two user messages": {
        "messages": [user(), assistant(use("a"), use("b")), user(result("a")), user(result("b"))]
    },
    "system message inside": {"messages": [user(), {"role": "system", "content": "be brief"}]},
    "consecutive user messages": {"messages": [user(), user()]},
    "prefill where it is supported": {
        "model": "claude-haiku-4-5",
        "messages": [user(), assistant()],
    },
    "forced tool": {"tools": [TOOL], "tool_choice": {"type": "any"}},
    "effort": {"output_config": {"effort": "xhigh"}},
    "json schema": {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
    "server tool": {"tools": [{"type": "web_search_20260318", "name": "web_search"}]},
    "null options": dict.fromkeys(("system", "tools", "tool_choice", "thinking", "output_config")),
}

REFUSED = {
    "no model": ({"model": ...}, "model: Field required"),
    "no max_tokens": ({"max_tokens": ...}, "max_tokens: Field required"),
    "zero max_tokens": ({"max_tokens": 0}, "max_tokens"),
    "true max_tokens": ({"max_tokens": True}, "max_tokens"),
    "too many max_tokens": ({"max_tokens": 128_001}, "128001 > 128000"),
    "temperature": ({"temperature": 1}, "temperature"),
    "top_p": ({"top_p": 1}, "top_p"),
    "top_k": ({"top_k": 1}, "top_k"),
    "stream": ({"stream": "yes"}, "stream"),
    "stop sequences": ({"stop_sequences": [" "]}, "stop_sequences"),
    "system": ({"system": 3}, "system"),
    "system block": ({"system": [{"type": "image"}]}, "system.0"),
    "no messages": ({"messages": ...}, "messages: Field required"),
    "empty messages": ({"messages": []}, "at least one message"),
    "messages object": ({"messages": {}}, "valid list"),
    "message text": ({"messages": ["hi"]}, "messages.0"),
    "role": ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
    "assistant first": ({"messages": [assistant(), user()]}, '"user" role'),
    "empty content": ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
    "empty text": ({"messages": [user(text(""))]}, "messages.0.content.0"),
    "unknown block": ({"messages": [user({"type": "poem"})]}, "'poem'"),
    "block without type": ({"messages": [user({"text": "x"})]}, "messages.0.content.0.type"),
    "tool_use by the user": ({"messages": [user(use())]}, "'tool_use'"),
    "tool_use without input": (
        {"messages": [user(), assistant({"type": "tool_use", "id": "a", "name": "b"}), user()]},
        "tool_use.input",
    ),
    "prefill": ({"messages": [user(), assistant()]}, "prefill"),
    "tool_use unanswered": (
        {"messages": [user(), assistant(use()), user()]},
        "without `tool_result`",
    ),
    "tool_use at the end": ({"messages": [user(), assistant(use())]}, "without `tool_result`"),
    "one of two unanswered": (
        {"messages": [user(), assistant(use("a"), use("b")), user(result("a"))]},
        "immediately after: b",
    ),
    "answered twice": (
        {"messages": [user(), assistant(use()), user(result(), result())]},
        "single",
    ),
    "answered late": (
        {"messages": [user(), assistant(use()), user(result()), assistant(), user(result())]},
        "unexpected `tool_use_id`",
    ),
    "result of nothing": ({"messages": [user(result())]}, "unexpected `tool_use_id`"),
    "text before result": (
        {"messages": [user(), assistant(use()), user(text(), result())]},
        "before any other content",
    ),
    "equal ids": (
        {"messages": [user(), assistant(use("a"), use("a")), user(result("a"))]},
        "unique",
    ),
    "tools object": ({"tools": {}}, "tools"),
    "tool name": ({"tools": [TOOL | {"name": "look up"}]}, "tools.0.name"),
    "tool without schema": ({"tools": [{"name": "look"}]}, "tools.0.input_schema"),
    "tool schema of a list": (
        {"tools": [TOOL | {"input_schema": {"type": "array"}}]},
        "tools.0.input_schema.type",
    ),
    "equal tools": ({"tools": [TOOL, TOOL]}, "unique"),
    "choice of what": ({"tools": [TOOL], "tool_choice": {"type": "some"}}, "tool_choice"),
    "choice without tools": ({"tool_choice": {"type": "auto"}}, "tool_choice"),
    "choice of another": (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}},
        "'other' not found",
    ),
    "forced tool": (
        {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
        "not supported on claude-opus-5-5",
    ),
    "thinking disabled": (
        {"model": "claude-fable-5-1", "thinking": {"type": "disabled"}},
        "cannot be disabled",
    ),
    "thinking budget": ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "budget_tokens"),
    "thinking of what": ({"thinking": {"type": "hard"}}, "thinking"),
    "effort": ({"output_config": {"effort": "extreme"}}, "output_config.effort"),
    "output config key": ({"output_config": {"style": "x"}}, "output_config.style"),
    "output format": ({"output_config": {"format": {"type": "xml"}}}, "output_config.format"),
}


@pytest.mark.parametrize("keys", ACCEPTED.values(), ids=ACCEPTED)
def test_a_request_the_api_takes_is_taken(keys):
    assert validate.messages_request(request(**keys)).id == keys.get("model", "claude-haiku-5-5")


@pytest.mark.parametrize(("keys", "named"), REFUSED.values(), ids=REFUSED)
def test_a_request_the_api_refuses_is_refused_with_the_place(keys, named):
    with pytest.raises(faults.Rejected) as caught:
        validate.messages_request(request(**keys))
    assert caught.value.fault.status == 400
    assert named in caught.value.fault.message


def test_an_unknown_model_is_not_found():
    with pytest.raises(faults.Rejected) as caught:
        validate.messages_request(request(model="claude-2"))
    assert (caught.value.fault.status, caught.value.fault.message) == (404, "model: claude-2")


@pytest.mark.parametrize("name", models.KNOWN)
def test_every_known_model_takes_its_own_limit(name):
    most = models.KNOWN[name].max_tokens
    assert validate.messages_request(request(model=name, max_tokens=most)).id == name
