"""A server that a test has started is its own."""

from __future__ import annotations

import pytest

from penstock_store import testing

pytestmark = pytest.mark.redis


def test_one_whose_port_another_one_has_is_not_taken_for_that_one(server, tmp_path):
    late = testing.RedisServer(server.binary, tmp_path, port=server.port)
    with pytest.raises(TimeoutError, match="Address already in use"):
        late.start()
