"""Which proxies carry an Agent's traffic: those it declares."""

import pytest

from penstock import errors
from penstock.api.tool import Tool
from penstock_runtime.agent.tools import http
from penstock_runtime.agent.tools.toolset import ToolRequest
from penstock_runtime.agent.transport import proxies
from tests.integration.runtime import raw


def tool(url="http://shop.example/order", **more):
    declared = {"name": "t", "inputSchema": {"type": "object"}, "http": {"url": url}, **more}
    return Tool.model_validate(declared)


async def call(environment, url="http://shop.example/order"):
    tools = http.HTTPTools(None, proxies.carrier(environment))
    try:
        return await tools.call(ToolRequest(tool(url), {}, {}, 5.0))
    finally:
        await tools.aclose()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_declared_proxy_is_asked(name):
    async with raw.Raw(raw.response(b"through")) as proxy:
        assert (await call({name: proxy.url})).text == "through"
    assert proxy.requests[0][0] == "POST http://shop.example/order HTTP/1.1"


async def test_a_proxy_that_only_the_process_knows_is_not_asked(monkeypatch):
    async with raw.Raw(raw.response(b"no")) as proxy, raw.Raw(raw.response(b"direct")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await call({}, server.url)).text == "direct"
        assert (await call({"HTTP_PROXY": proxy.url, "NO_PROXY": "127.0.0.1"}, server.url)).ok
    assert proxy.requests == []


async def test_an_irreversible_call_has_a_connection_to_the_proxy_of_its_own():
    async with raw.Raw(raw.response(b"x")) as proxy:
        tools = http.HTTPTools(None, proxies.carrier({"HTTP_PROXY": proxy.url}))
        effects = ["ReadOnly", "ReadOnly", "Irreversible", "Irreversible", "ReadOnly"]
        for effect in effects:
            await tools.call(ToolRequest(tool(effect=effect), {}, {}, 5.0))
        await tools.aclose()
    assert (len(proxy.requests), proxy.connections) == (5, 3)


async def test_what_is_done_before_sending_keeps_no_connection_to_the_proxy_waiting():
    seen = []
    async with raw.Raw(raw.response(b"x")) as proxy:

        async def before():
            seen.append((proxy.connections, len(proxy.requests)))
            return 60.0

        tools = http.HTTPTools(None, proxies.carrier({"HTTP_PROXY": proxy.url}))
        assert (await tools.call(ToolRequest(tool(effect="Irreversible"), {}, {}, 5.0, before))).ok
        await tools.aclose()
    assert seen == [(0, 0)]


async def test_a_proxy_that_is_not_there_leaves_the_call_unmade():
    async with raw.closed_port() as port:
        result = await call({"HTTP_PROXY": f"http://127.0.0.1:{port}"})
    assert (result.ok, result.known) == (False, True)


async def test_a_proxy_that_makes_no_tunnel_leaves_the_call_unmade():
    async with raw.Raw(raw.response(b"", "403 No")) as proxy:
        result = await call({"HTTPS_PROXY": proxy.url}, "https://shop.example/")
    assert (result.ok, result.known) == (False, True)
    assert proxy.requests[0][0].startswith("CONNECT shop.example:443")


def test_a_proxy_that_cannot_be_used_is_told():
    with pytest.raises(errors.InvalidResource, match=r"spec\.template\.worker\.env"):
        proxies.carrier({"HTTP_PROXY": "ftp://127.0.0.1:1"})
