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


@pytest.mark.parametrize("missing", ["REDIS_URL", "TOKENS_FILE"])
def test_a_missing_variable_is_named(missing, told, monkeypatch):
    told()
    monkeypatch.delenv(f"PENSTOCK_{missing}")
    with pytest.raises(InvalidResource, match=f"PENSTOCK_{missing}"):
        settings.read_gateway_settings()
