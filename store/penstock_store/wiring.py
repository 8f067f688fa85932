"""What a connection to Redis is made of: where it is, how long it may take, whom it trusts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection as SingleConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_READ_HERE: Final = (
    "ACL GETUSER", "ACL USERS", "BLPOP", "HEXISTS", "HGETALL", "INFO", "PING", "TIME", "XRANGE",
)  # fmt: skip
_Client = TypeVar("_Client", Redis, RedisCluster)


@dataclass(frozen=True)
class Durability:
    """How many replicas must confirm a write that is to be replicated, and how long it waits for them."""

    replicas: int = 0
    timeout_ms: int = 1000


@dataclass(frozen=True)
class Wiring:
    """What a connection is made of: where Redis is, how long it may take, whom it trusts.

    ``ca_file`` holds the certificates (PEM) by which a rediss:// server is known; empty: the
    system's.
    """

    url: str
    timeout_seconds: float
    cluster: bool = False
    ca_file: str = ""
    durability: Durability = Durability()


def client(
    wiring: Wiring,
    connections: int,
    *,
    blocking: bool = False,
    greet: Callable[[SingleConnection], Awaitable[None]] | None = None,
) -> "Redis | RedisCluster":
    """A client with so many connections at most, not connected yet.

    Args:
        blocking: its commands may wait for as long as they say.
        greet: how a connection is opened.
    """
    timeout = None if blocking else wiring.timeout_seconds
    options: dict[str, Any] = {
        "protocol": 2,
        "encoding_errors": "replace",  # half a surrogate pair in a model's answer ends no worker
        "socket_timeout": timeout,
        "socket_connect_timeout": wiring.timeout_seconds,
        "retry": Retry(NoBackoff(), 0),  # who may ask again is decided here, not in the client
        "driver_info": None,  # naming the library would take a right that workers do not have
    }
    if wiring.ca_file and urlsplit(wiring.url).scheme == "rediss":
        options["ssl_ca_certs"] = wiring.ca_file
    if wiring.cluster:
        return _raw(RedisCluster.from_url(wiring.url, max_connections=connections, **options))
    pool = BlockingConnectionPool.from_url(
        wiring.url,
        max_connections=connections,
        timeout=wiring.timeout_seconds,
        redis_connect_func=greet,
        **options,
    )
    return _raw(Redis.from_pool(pool))


def _raw(client: _Client) -> _Client:
    """The client without its own reading of answers: the codec reads them, for scripts too."""
    for command in _READ_HERE:
        client.response_callbacks.pop(command, None)
    return client


def place(url: str) -> str:
    """Host and port of an address, to be told; without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"
