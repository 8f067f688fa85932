"""The Redis of the page on production: its users as printed, on a real server."""

from __future__ import annotations

import re

import pytest
import yaml
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from penstock.guard import unguarded
from penstock.names import AgentKey
from penstock_store import testing, users
from penstock_store.store import Store
from tests.integration.documents import pages

pytestmark = pytest.mark.redis
PAGE = "docs/operating/production.md"
PASSWORD = "a" * 32


@pytest.fixture
def server(tmp_path):
    """A redis-server with the users file that the page describes."""
    found = yaml.safe_load((pages.ROOT / "charts/penstock/files/redis-users.yaml").read_text())
    file = tmp_path / "users.acl"
    file.write_text(
        re.sub(
            "<rules of ([a-z-]+)>",
            lambda match: found[match[1]],
            pages.block(PAGE, "user default reset off").replace("PASSWORD", PASSWORD),
        )
    )
    options = ("--aclfile", str(file), "--maxmemory-policy", "noeviction")
    with testing.redis_server("", *options) as running:
        yield running


async def test_the_operator_makes_users_and_nobody_else_may(server):
    as_user = lambda name: users.with_user(server.url, name, PASSWORD)
    operator = Store.connect(as_user("penstock-operator"), guard=unguarded)
    gateway = Redis.from_url(as_user("penstock-gateway"))
    nobody = Redis.from_url(server.url)
    try:
        await operator.users.permit("acme", users.derive_password("k" * 64, "penstock", "acme"))
        assert await operator.users.namespaces() == {"acme"}
        await operator.routes.look(AgentKey("acme", "support"), [])
        with pytest.raises(NoPermissionError):
            await gateway.execute_command("ACL", "SETUSER", "penstock-gateway", "+@all")
        with pytest.raises(NoPermissionError):
            await gateway.keys("*")
        with pytest.raises(AuthenticationError):
            await nobody.get("x")
    finally:
        await operator.aclose()
        await gateway.aclose()
        await nobody.aclose()
