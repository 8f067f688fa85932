"""What the API would not take, the server does not take, and says where."""

from __future__ import annotations

import contextlib
import copy
import typing

import anthropic
import pytest
from anthropic.types import message_create_params

from penstock_dev.model import faults, fields, models, validate

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


CACHED = {"cache_control": {"type": "ephemeral"}}


def answered(identifier):
    return assistant(use(identifier)), user(result(identifier))


def thought(words, signature):
    return {"type": "thinking", "thinking": words, "signature": signature}


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
    "an empty system prompt": {"system": ""},
    "a blank system prompt": {"system": " "},
    "a result without words": {
        "messages": [user(), assistant(use()), user(result() | {"content": ""})]
    },
    "a result without content": {
        "messages": [user(), assistant(use()), user({"type": "tool_result", "tool_use_id": "a"})]
    },
    "fields that only few send": {
        "metadata": {"user_id": "u1"},
        "service_tier": "auto",
        "stop_sequences": ["END"],
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
    },
    "four breakpoints": {"messages": [user(*[text() | CACHED] * 4)]},
    "an answer that ends in white space": {"messages": [user(), assistant(text("yes ")), user()]},
    "a tool's own schema keywords": {
        "tools": [TOOL | {"input_schema": {"type": "object", "x-order": 1, "required": None}}]
    },
    "combinations below the top": {
        "tools": [
            TOOL | {"input_schema": {"type": "object", "properties": {"a": {"anyOf": [{}, {}]}}}}
        ]
    },
    "keys the pattern has no word on below the top": {
        "tools": [
            TOOL
            | {
                "input_schema": {
                    "type": "object",
                    "properties": {"a": {"type": "object", "properties": {"order id": {}}}},
                }
            }
        ]
    },
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
    "empty text": (
        {"messages": [user(text(""))]},
        "messages: text content blocks must be non-empty",
    ),
    "empty text of the model": (
        {"messages": [user(), assistant(text(""), text("yes")), user()]},
        "messages: text content blocks must be non-empty",
    ),
    "white space": (
        {"messages": [user(text(" \n\t\u2003"))]},
        "messages: text content blocks must contain non-whitespace text",
    ),
    "white space alone": (
        {"messages": [{"role": "user", "content": " \n"}]},
        "messages: text content blocks must contain non-whitespace text",
    ),
    "white space before a tool call": (
        {"messages": [user(), assistant(text("\n\n"), use()), user(result())]},
        "messages: text content blocks must contain non-whitespace text",
    ),
    "empty text in a result": (
        {"messages": [user(), assistant(use()), user(result() | {"content": [text("")]})]},
        "messages: text content blocks must be non-empty",
    ),
    "empty text to be cached": (
        {"messages": [user(text("") | CACHED)]},
        "messages.0.content.0.text: cache_control cannot be set for empty text blocks",
    ),
    "empty system block": ({"system": [text("")]}, "system: text content blocks must be non-empty"),
    "blank system block": ({"system": [text(" ")]}, "system: text content blocks must contain"),
    "no content": ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    "content of a number": ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
    "empty list": ({"messages": [{"role": "user", "content": []}]}, "user messages must have"),
    "empty turn of the model in the middle": (
        {"messages": [user(), {"role": "assistant", "content": []}, user()]},
        "messages.1: all messages must have non-empty content except for the optional final",
    ),
    "trailing white space of a prefill": (
        {"model": "claude-haiku-4-5", "messages": [user(), assistant(text("yes "))]},
        "messages: final assistant content cannot end with trailing whitespace",
    ),
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
        "messages.1.content.1: `tool_use` ids must be unique",
    ),
    "an id that an earlier turn had": (
        {"messages": [user(), *answered("a"), *answered("b"), *answered("a")]},
        "messages.5.content.0: `tool_use` ids must be unique",
    ),
    "an id with a space": (
        {"messages": [user(), *answered("a b")]},
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    "an empty id": ({"messages": [user(), *answered("")]}, "tool_use.id: String should match"),
    "a long name of a call": (
        {"messages": [user(), assistant(use() | {"name": "x" * 201}), user(result())]},
        "messages.1.content.0.tool_use.name: String should have at most 200 characters",
    ),
    "an input that is a text": (
        {"messages": [user(), assistant(use() | {"input": "{}"}), user(result())]},
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    "an error without words": (
        {
            "messages": [
                user(),
                assistant(use()),
                user(result() | {"content": "", "is_error": True}),
            ]
        },
        "messages.2.content.0.tool_result: content cannot be empty if `is_error` is true",
    ),
    "is_error of a text": (
        {"messages": [user(), assistant(use()), user(result() | {"is_error": "yes"})]},
        "messages.2.content.0.tool_result.is_error: Input should be a valid boolean",
    ),
    "a result of a number": (
        {"messages": [user(), assistant(use()), user(result() | {"content": 3})]},
        "messages.2.content.0.tool_result.content",
    ),
    "a result that calls": (
        {"messages": [user(), assistant(use()), user(result() | {"content": [use("b")]})]},
        "messages.2.content.0.tool_result.content.0",
    ),
    "unknown field": ({"frequency": 1}, "frequency: Extra inputs are not permitted"),
    "unknown field of a message": (
        {"messages": [user() | {"name": "ann"}]},
        "messages.0.name: Extra inputs are not permitted",
    ),
    "unknown field of a text": (
        {"messages": [user(text() | {"index": 0})]},
        "messages.0.content.0.text.index: Extra inputs are not permitted",
    ),
    "citations of a user": ({"messages": [user(text() | {"citations": []})]}, "text.citations"),
    "unknown field of a call": (
        {"messages": [user(), assistant(use() | {"partial": ""}), user(result())]},
        "messages.1.content.0.tool_use.partial: Extra inputs are not permitted",
    ),
    "unknown field of a result": (
        {"messages": [user(), assistant(use()), user(result() | {"name": "look"})]},
        "messages.2.content.0.tool_result.name: Extra inputs are not permitted",
    ),
    "unknown field of a tool": (
        {"tools": [TOOL | {"parameters": {}}]},
        "tools.0.custom.parameters: Extra inputs are not permitted",
    ),
    "five breakpoints": (
        {
            "messages": [user(*[text() | CACHED] * 3)],
            "system": [text() | CACHED],
            "tools": [TOOL | CACHED],
        },
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "another kind of cache": (
        {"system": [text() | {"cache_control": {"type": "forever"}}]},
        "system.0.cache_control",
    ),
    "another time to live": (
        {"system": [text() | {"cache_control": {"type": "ephemeral", "ttl": "2h"}}]},
        "system.0.cache_control.ephemeral.ttl",
    ),
    "user id": ({"metadata": {"user_id": "x" * 257}}, "metadata.user_id"),
    "user name": ({"metadata": {"name": "x"}}, "metadata.name: Extra inputs are not permitted"),
    "a thought nobody signed": (
        {"messages": [user(), assistant(thought("hm", "c2lnbmVk"), text()), user()]},
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "a thought without a signature": (
        {"messages": [user(), assistant({"type": "thinking", "thinking": "hm"}, text()), user()]},
        "messages.1.content.0.thinking.signature: Field required",
    ),
    "a redacted thought": (
        {
            "messages": [
                user(),
                assistant({"type": "redacted_thinking", "data": "x"}, text()),
                user(),
            ]
        },
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    ),
    "tools object": ({"tools": {}}, "tools"),
    "tool name": (
        {"tools": [TOOL | {"name": "look up"}]},
        "tools.0.custom.name: String should match",
    ),
    "tool without a name": (
        {"tools": [{"input_schema": {}}]},
        "tools.0.custom.name: Field required",
    ),
    "tool name with a dot": ({"tools": [TOOL | {"name": "a.b"}]}, "'^[a-zA-Z0-9_-]{1,128}$'"),
    "tool name with a line break": ({"tools": [TOOL | {"name": "a\n"}]}, "tools.0.custom.name"),
    "long tool name": (
        {"tools": [TOOL | {"name": "x" * 129}]},
        "tools.0.custom.name: String should have at most 128 characters",
    ),
    "empty tool name": ({"tools": [TOOL | {"name": ""}]}, "tools.0.custom.name"),
    "tool description": ({"tools": [TOOL | {"description": 1}]}, "tools.0.custom.description"),
    "tool without schema": ({"tools": [{"name": "look"}]}, "tools.0.custom.input_schema: Field"),
    "tool schema of a list": (
        {"tools": [TOOL | {"input_schema": {"type": "array"}}]},
        "tools.0.custom.input_schema.type: Input should be 'object'",
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
    "a budget of thought that leaves nothing to say": (
        {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 2048},
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
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


SCHEMAS = {
    "anyOf": ({"type": "object", "anyOf": [{"required": ["id"]}]}, "oneOf, allOf, or anyOf"),
    "allOf": ({"type": "object", "allOf": []}, "oneOf, allOf, or anyOf at the top level"),
    "oneOf": ({"type": "object", "oneOf": [{}]}, "oneOf, allOf, or anyOf at the top level"),
    "no type": ({"properties": {}}, ".type: Field required"),
    "two types": ({"type": ["object", "null"]}, ".type: Input should be 'object'"),
    "a property with a space": ({"type": "object", "properties": {"order id": {}}}, "{1,64}$"),
    "a property with brackets": ({"type": "object", "properties": {"f[x]": {}}}, "Property keys"),
    "an umlaut": ({"type": "object", "properties": {"größe": {}}}, "Property keys should match"),
    "a long property": ({"type": "object", "properties": {"x" * 65: {}}}, "Property keys"),
    "a property without a name": ({"type": "object", "properties": {"": {}}}, "Property keys"),
    "draft 4": (
        {"type": "object", "properties": {"n": {"minimum": 0, "exclusiveMinimum": True}}},
        "JSON schema is invalid. It must match JSON Schema draft 2020-12",
    ),
    "a named draft 7": (
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        "draft 2020-12",
    ),
    "an unknown type": ({"type": "object", "properties": {"a": {"type": "int"}}}, "draft 2020-12"),
    "required as a flag": ({"type": "object", "properties": {"a": {"required": True}}}, "invalid"),
    "a text": ("{}", "valid dictionary"),
}


@pytest.mark.parametrize(("schema", "named"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_the_api_refuses_is_refused_at_the_tool_that_has_it(schema, named):
    tools = [TOOL, {"name": "other", "input_schema": schema}]
    with pytest.raises(faults.Rejected) as caught:
        validate.messages_request(request(tools=tools))
    assert caught.value.fault.message.startswith("tools.1.custom.input_schema")
    assert named in caught.value.fault.message


@pytest.mark.parametrize("schema_draft", ["", "#"])
def test_the_draft_may_be_named(schema_draft):
    named = {"$schema": f"https://json-schema.org/draft/2020-12/schema{schema_draft}"}
    validate.messages_request(request(tools=[TOOL | {"input_schema": {"type": "object"} | named}]))


def test_a_schema_that_refers_elsewhere_is_checked_without_a_look_there():
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/nothing"}}}
    validate.messages_request(request(tools=[TOOL | {"input_schema": schema}]))


def test_a_beta_brings_fields_of_its_own_but_no_sampling_parameters():
    assert validate.messages_request(request(betas=["x"], mcp_servers=[]), beta=True)
    with pytest.raises(faults.Rejected, match="temperature: Extra inputs are not permitted"):
        validate.messages_request(request(temperature=1), beta=True)


def test_a_count_takes_no_max_tokens():
    with pytest.raises(faults.Rejected, match="max_tokens: Extra inputs are not permitted"):
        validate.count_request(request())
    assert validate.count_request(request(max_tokens=...))


def test_a_prompt_longer_than_the_window_is_refused_with_both_numbers():
    model = models.KNOWN["claude-haiku-4-5"]
    validate.prompt_length(200_000, model)
    with pytest.raises(faults.Rejected) as caught:
        validate.prompt_length(200_001, model)
    assert caught.value.fault.message == "prompt is too long: 200001 tokens > 200000 maximum"


HEADERS = {"user_profile_id", "workspace_id"}


def parameters_of(*of_the_client):
    """The fields of a body, as the client library types them."""
    return {name for each in of_the_client for name in typing.get_type_hints(each)} - HEADERS


def test_the_known_fields_are_those_of_the_client_library():
    library = anthropic.types
    message = parameters_of(
        message_create_params.MessageCreateParamsNonStreaming,
        message_create_params.MessageCreateParamsStreaming,
    )
    assert message == fields.MESSAGE
    assert parameters_of(library.MessageCountTokensParams) == fields.COUNT
    assert parameters_of(library.ToolParam) == fields.TOOL
    for kind, of_the_client in {
        "text": library.TextBlockParam,
        "tool_use": library.ToolUseBlockParam,
        "tool_result": library.ToolResultBlockParam,
        "thinking": library.ThinkingBlockParam,
        "redacted_thinking": library.RedactedThinkingBlockParam,
    }.items():
        assert fields.BLOCKS[kind] == parameters_of(of_the_client), kind


def test_an_unknown_model_is_not_found():
    with pytest.raises(faults.Rejected) as caught:
        validate.messages_request(request(model="claude-2"))
    assert (caught.value.fault.status, caught.value.fault.message) == (404, "model: claude-2")


@pytest.mark.parametrize("name", models.KNOWN)
def test_every_known_model_takes_its_own_limit(name):
    most = models.KNOWN[name].max_tokens
    assert validate.messages_request(request(model=name, max_tokens=most)).id == name


WHOLE = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "system": [text() | CACHED],
    "messages": [
        user(text() | CACHED),
        assistant(thought("hm", "c2lnbmVk"), text(), use()),
        user(result() | {"content": [text()], "is_error": True}, text()),
    ],
    "tools": [TOOL | CACHED | {"description": "x"}],
    "tool_choice": {"type": "tool", "name": "look"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "x"},
    "stop_sequences": ["x"],
    "stream": True,
}
ODD = [None, True, 0, -1, 1.5, "", " ", "x", [], {}, [None], [[]], {"type": []}, {"type": {}}]


def places(document, path=()):
    yield path
    match document:
        case dict():
            inner = document.items()
        case list():
            inner = enumerate(document)
        case _:
            inner = ()
    for key, value in inner:
        yield from places(value, (*path, key))


def with_odd(path, odd):
    document = copy.deepcopy(WHOLE)
    if not path:
        return odd
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = odd
    return document


@pytest.mark.parametrize("path", list(places(WHOLE)), ids=str)
def test_whatever_stands_anywhere_is_taken_or_refused_and_never_breaks_the_check(path):
    for odd in ODD:
        with contextlib.suppress(faults.Rejected):
            validate.messages_request(with_odd(path, odd))
