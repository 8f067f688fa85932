"""Models and tools over TLS: whom a worker believes, and what it sends before it does."""

import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penstock_runtime.agent.models import anthropic
from penstock_runtime.agent.models.model import Failure, ModelFailed, Request
from penstock_runtime.agent.tools import http
from penstock_runtime.agent.tools.toolset import ToolRequest
from penstock_runtime.agent.transport import direct
from tests.integration.runtime import raw
from tests.integration.runtime.test_hostile_tools import tool


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A server's certificate for 127.0.0.1, signed by itself, in one file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *plain))
    return path


@pytest.fixture
def context(certificate):
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    return served


def believing(certificate):
    return lambda: direct.Direct(ssl.create_default_context(cafile=certificate))


async def test_a_model_and_a_tool_answer_over_tls(context, certificate):
    async with raw.Raw(
        raw.says(raw.text("hello")), raw.response(b"shipped"), tls=context
    ) as server:
        model = anthropic.AnthropicModel(
            anthropic.Prompt("m", "Help."), server.url, anthropic.no_key, believing(certificate)
        )
        reply = await model.reply(Request([{"role": "user", "content": "Hi"}], 10, 10.0))
        await model.aclose()
        tools = http.HTTPTools(None, believing(certificate))
        told = await tools.call(ToolRequest(tool(server.url), {}, {}, 10.0))
        await tools.aclose()
    assert reply.content[0]["text"] == "hello"
    assert told.text == "shipped"


async def test_a_certificate_that_nobody_vouches_for_gets_no_request(context):
    async with raw.Raw(raw.response(b"x"), tls=context) as server:
        tools = http.HTTPTools(None)
        told = await tools.call(ToolRequest(tool(server.url), {}, {}, 10.0))
        await tools.aclose()
        model = anthropic.AnthropicModel(
            anthropic.Prompt("m", "Help."), server.url, anthropic.no_key
        )
        with pytest.raises(ModelFailed) as failed:
            await model.reply(Request([{"role": "user", "content": "Hi"}], 10, 10.0))
        await model.aclose()
    assert (told.ok, told.known) == (False, True)
    assert failed.value.kind == Failure.CONNECTION
    assert "certificate" in told.text
    assert "certificate" in failed.value.message
    assert server.requests == []


async def test_certificates_that_the_environment_names_are_believed(
    context, certificate, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with raw.Raw(raw.response(b"shipped"), tls=context) as server:
        tools = http.HTTPTools(None)
        assert (await tools.call(ToolRequest(tool(server.url), {}, {}, 10.0))).text == "shipped"
        await tools.aclose()
