"""A Redis that speaks TLS under a certificate of a private authority."""

from __future__ import annotations

from tests.integration import redis_tls


async def test_it_is_used_when_the_gateway_is_given_the_authority_and_not_otherwise(
    start, tmp_path
):
    with redis_tls.running(tmp_path) as url:
        authority = str(tmp_path / "ca.crt")
        trusting = start(PENSTOCK_REDIS_URL=url, PENSTOCK_REDIS_CA_FILE=authority)
        async with trusting.client() as client:
            assert (await client.get("/readyz")).status_code == 200
        async with start(PENSTOCK_REDIS_URL=url).client() as client:
            assert (await client.get("/readyz")).status_code == 503
