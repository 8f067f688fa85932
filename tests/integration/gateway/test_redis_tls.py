"""A Redis that speaks TLS under a certificate of a private authority."""

from __future__ import annotations

import datetime

import pytest

from penstock_dev.controlplane import certificates
from penstock_store import testing


@pytest.fixture
def authority(tmp_path):
    authority = certificates.Authority.create(datetime.datetime.now(datetime.UTC))
    authority.pair.write(tmp_path, "ca")
    authority.server(["localhost"], ["127.0.0.1"]).write(tmp_path, "redis")
    return tmp_path


@pytest.fixture
def tls_url(authority):
    port = testing.free_port()
    options = {
        "--tls-port": port,
        "--tls-cert-file": authority / "redis.crt",
        "--tls-key-file": authority / "redis.key",
        "--tls-ca-cert-file": authority / "ca.crt",
        "--tls-auth-clients": "no",
    }
    arguments = [str(part) for option in options.items() for part in option]
    with testing.redis_server("", *arguments):
        yield f"rediss://127.0.0.1:{port}/0"


async def test_it_is_used_when_the_gateway_is_given_the_authority_and_not_otherwise(
    start, tls_url, authority
):
    trusting = start(PENSTOCK_REDIS_URL=tls_url, PENSTOCK_REDIS_CA_FILE=str(authority / "ca.crt"))
    async with trusting.client() as client:
        assert (await client.get("/readyz")).status_code == 200
    async with start(PENSTOCK_REDIS_URL=tls_url).client() as client:
        assert (await client.get("/readyz")).status_code == 503
