"""Tools over real HTTP: what goes out, and what the model reads when things go wrong."""

import json

import pytest

from penstock.api.tool import Tool
from penstock_runtime.agent.tools import http
from penstock_runtime.agent.tools.toolset import ToolRequest, ToolResult


def tool(url, method="POST", **more):
    return Tool.model_validate(
        {
            "name": "look_up",
            "inputSchema": {"type": "object"},
            "http": {"url": url, "method": method},
            **more,
        }
    )


@pytest.fixture
async def call():
    tools = http.HTTPTools(None)

    async def send(asked, given=None, headers=None, seconds=5.0):
        return await tools.call(ToolRequest(asked, given or {}, headers or {}, seconds))

    yield send
    await tools.aclose()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_the_input_goes_out_as_json(call, tool_server, method):
    result = await call(tool(tool_server.url + "/ok", method), {"order": "A1", "n": 2})
    assert result == ToolResult('{"order": "shipped"}', ok=True)
    sent = tool_server.calls[0]
    assert sent["method"] == method
    assert json.loads(sent["body"]) == {"order": "A1", "n": 2}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_the_input_goes_out_as_query_beside_that_of_the_address(call, tool_server, method):
    asked = tool(tool_server.url + "/ok?v=1", method)
    await call(asked, {"q": "a b", "flag": True, "list": [1, 2]})
    sent = tool_server.calls[0]
    assert sent["path"] == "/ok?v=1&q=a+b&flag=true&list=%5B1%2C2%5D"
    assert sent["body"] == ""


async def test_headers_come_from_the_mounted_secret_and_are_read_anew(tool_server, tmp_path):
    mounted = tmp_path / "look_up"
    (mounted / "..data").mkdir(parents=True)
    (mounted / "X-Api-Key").write_text("one\n")
    asked = tool(tool_server.url + "/ok")
    asked = asked.model_validate(
        {**asked.wire(), "http": {**asked.http.wire(), "headersFromSecretRef": {"name": "s"}}}
    )
    tools = http.HTTPTools(tmp_path)
    await tools.call(ToolRequest(asked, {}, {"Idempotency-Key": "t.1.c"}, 5.0))
    (mounted / "X-Api-Key").write_text("two")
    await tools.call(ToolRequest(asked, {}, {}, 5.0))
    await tools.aclose()
    assert [sent["headers"]["x-api-key"] for sent in tool_server.calls] == ["one", "two"]
    assert tool_server.calls[0]["headers"]["idempotency-key"] == "t.1.c"


async def test_a_missing_secret_is_told_and_nothing_is_sent(tool_server, tmp_path):
    asked = tool(tool_server.url + "/ok")
    asked = asked.model_validate(
        {**asked.wire(), "http": {**asked.http.wire(), "headersFromSecretRef": {"name": "s"}}}
    )
    tools = http.HTTPTools(tmp_path)
    result = await tools.call(ToolRequest(asked, {}, {}, 5.0))
    await tools.aclose()
    assert (result.ok, result.known) == (False, True)
    assert tool_server.calls == []


async def test_an_error_status_is_told_with_the_beginning_of_its_body(call, tool_server):
    result = await call(tool(tool_server.url + "/status/503"))
    assert result.text == "HTTP 503 Service Unavailable: the reason"
    assert (result.ok, result.known) == (False, True)


async def test_a_redirect_is_not_followed(call, tool_server):
    result = await call(tool(tool_server.url + "/redirect"))
    assert not result.ok
    assert "not followed" in result.text
    assert len(tool_server.calls) == 1


async def test_long_output_is_cut_and_the_model_is_told(call, tool_server):
    result = await call(tool(tool_server.url + "/big/5000", maxOutputBytes=100))
    assert result.ok
    assert result.text == "x" * 100 + "\n[cut: the output was longer than 100 bytes]"


async def test_output_of_exactly_the_limit_is_not_cut(call, tool_server):
    result = await call(tool(tool_server.url + "/big/100", maxOutputBytes=100))
    assert result.text == "x" * 100


async def test_no_output_is_said_in_words(call, tool_server):
    assert (await call(tool(tool_server.url + "/big/0"))).text == "(no output)"


async def test_a_slow_tool_is_given_up_and_its_effect_is_unknown(call, tool_server):
    result = await call(tool(tool_server.url + "/slow/5"), seconds=1.2)
    assert (result.ok, result.known) == (False, False)
    assert "1.2 s" in result.text


async def test_a_connection_that_breaks_leaves_the_effect_unknown(call, tool_server):
    result = await call(tool(tool_server.url + "/drop"))
    assert (result.ok, result.known) == (False, False)


async def test_nobody_at_the_address_means_that_nothing_happened(call):
    result = await call(tool("http://127.0.0.1:9/"))
    assert (result.ok, result.known) == (False, True)
