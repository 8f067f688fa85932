"""Settings of a gateway: what is missing or malformed is named by its variable."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidResource
from penstock_runtime.gateway import settings


@pytest.fixture
def told(monkeypatch):
    def tell(**variables):
        given = {"REDIS_URL": "redis://r:6379/0", "TOKENS_FILE": "tokens.json"} | variables
        for name, value in given.items():
            monkeypatch.setenv(f"PENSTOCK_{name}", value)

    return tell


@pytest.mark.parametrize(
    ("listen", "address"),
    [("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:8080", ("::1", 8080)), ("h:0", ("h", 0))],
)
def test_the_address_is_read_from_host_and_port(listen, address, told):
    told(LISTEN=listen)
    assert settings.read_gateway_settings().address == address


@pytest.mark.parametrize("listen", ["8080", ":8080", "host:", "host:http", "host:70000"])
def test_an_address_that_is_none_is_refused_with_an_example(listen, told):
    told(LISTEN=listen)
    with pytest.raises(InvalidResource, match=r"PENSTOCK_LISTEN.*host:port"):
        settings.read_gateway_settings()


def test_a_missing_variable_is_named(told, monkeypatch):
    told()
    monkeypatch.delenv("PENSTOCK_REDIS_URL")
    with pytest.raises(InvalidResource, match="the environment variable PENSTOCK_REDIS_URL"):
        settings.read_gateway_settings()


def test_a_gateway_that_nobody_could_call_is_refused_with_what_to_set(told):
    told(TOKENS_FILE="")
    with pytest.raises(InvalidResource) as refusal:
        settings.read_gateway_settings()
    assert str(refusal.value) == (
        "nobody could call this gateway: give it static tokens (PENSTOCK_TOKENS_FILE) or let it "
        "accept tokens of the cluster (PENSTOCK_KUBERNETES_AUTH=true), or both"
    )


def test_in_a_pod_the_api_server_is_found_without_being_told(told, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    told()
    assert settings.read_gateway_settings().api_server is None, "only when it is asked for"
    told(TOKENS_FILE="", KUBERNETES_AUTH="true")
    read = settings.read_gateway_settings()
    assert (read.tokens_file, read.audiences) == (None, ("penstock",))
    assert read.api_server.url == "https://[fd00::1]:6443"
    assert str(read.api_server.token_file).startswith("/var/run/secrets/kubernetes.io/")


def test_another_api_server_other_files_and_several_audiences_can_be_told(told, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    told(
        KUBERNETES_AUTH="true",
        KUBERNETES_URL="https://127.0.0.1:6443",
        KUBERNETES_CA_FILE="/x/ca.crt",
        KUBERNETES_TOKEN_FILE="/x/token",
        TOKEN_AUDIENCES=" penstock, https://penstock.example ,",
    )
    read = settings.read_gateway_settings()
    assert read.api_server.url == "https://127.0.0.1:6443"
    assert str(read.api_server.ca_file) == "/x/ca.crt"
    assert str(read.api_server.token_file) == "/x/token"
    assert read.audiences == ("penstock", "https://penstock.example")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "no pod of a cluster"),
        ({"KUBERNETES_URL": "http://10.0.0.1"}, "PENSTOCK_KUBERNETES_URL"),
        ({"KUBERNETES_URL": "https://h", "TOKEN_AUDIENCES": " , "}, "names no audience"),
        ({"KUBERNETES_URL": "https://h", "REVIEW_SECONDS": "61"}, "PENSTOCK_REVIEW_SECONDS"),
    ],
)
def test_settings_under_which_no_token_could_be_reviewed_are_refused(
    variables, says, told, monkeypatch
):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    told(KUBERNETES_AUTH="true", **variables)
    with pytest.raises(InvalidResource, match=says):
        settings.read_gateway_settings()


def test_a_certificate_file_for_redis_that_is_not_there_is_named(told, tmp_path):
    told(REDIS_CA_FILE=str(tmp_path / "ca.crt"))
    with pytest.raises(InvalidResource, match=r"PENSTOCK_REDIS_CA_FILE.*not point to a file"):
        settings.read_gateway_settings()
    (tmp_path / "ca.crt").touch()
    assert settings.read_gateway_settings().redis_ca_file == tmp_path / "ca.crt"


LINKED = {
    "KUBERNETES_AUTH": "true",
    "KUBERNETES_URL": "https://api",
    "LINKS_URL": "https://agents.example.com",
    "LINKS_SECRET": "/etc/penstock/links",
}
FOR_ANN = '{"ann": {"url": "https://h", "secret": "/s", "namespaces": ["*"], "approver": {"user": "ann"}}}'


def test_links_are_made_where_people_reach_the_gateway(told):
    told(WEBHOOKS=FOR_ANN, **LINKED)
    read = settings.read_gateway_settings()
    assert (read.links.url, read.links.seconds) == ("https://agents.example.com", 86_400)
    assert read.targets["ann"].approver.user == "ann"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"LINKS_URL": ""}, "webhook ann names an approver"),
        ({"LINKS_URL": "http://agents.example.com"}, "https only"),
        ({"LINKS_SECRET": ""}, "PENSTOCK_LINKS_SECRET"),
        ({"KUBERNETES_AUTH": "false"}, "PENSTOCK_KUBERNETES_AUTH"),
        ({"WEBHOOKS": "{"}, "no JSON"),
        ({"WEBHOOKS": "[]"}, "gateway.webhooks"),
    ],
)
def test_links_that_nobody_could_open_and_webhooks_that_cannot_be_read_are_refused(
    told, changed, words
):
    told(**{"WEBHOOKS": FOR_ANN, **LINKED, **changed})
    with pytest.raises(InvalidResource, match=words):
        settings.read_gateway_settings()
