"""Redis users: who may touch which keys, and the few commands that each kind of process needs.

A worker's user reaches the keys of its own namespace and nothing else, so that whoever can read
the namespace's Secret, or run an image of their own as a worker, has that namespace's tasks and no
other's. Rules are those of Redis 6.2: no selectors, no read-only key patterns.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from penstock_store.connection import Connection

#: What connections do by themselves: ``PING`` when they are tried, ``SELECT`` for a database.
_CONNECTION: Final = ("ping", "select")
#: Scripts are sent whole when Redis has forgotten them, and by workers of another release.
_SCRIPTS: Final = ("eval", "evalsha")
#: What is said inside the scripts that take a task on its way.
_TASKS: Final = (
    "exists", "expire", "hdel", "hget", "hgetall", "hmget", "hset", "lpop", "lpush", "lrange", "lrem",
    "ltrim", "publish", "time", "xack", "xadd", "xdel", "xinfo|groups", "xlen", "zadd", "zrem",
    "del", "srem", "hincrby", "zrange", "zrangebyscore",
)  # fmt: skip
#: Said by ``claim``, ``reclaim``, ``heartbeat``, ``checkpoint``, ``park``, ``release``, ``finish`` beside
#: those, and ``BLPOP`` at the doorbell. A command is taken out one release after its last use:
#: workers of the former release run on until their Deployment has rolled.
WORKER_COMMANDS: Final = (
    *_CONNECTION, *_SCRIPTS, *_TASKS,
    "blpop", "hrandfield", "xclaim", "xgroup|create", "xgroup|delconsumer", "xinfo|consumers",
    "xpending", "xrange", "xreadgroup", "xtrim", "zcard", "pfadd", "wait", "info|server",
)  # fmt: skip
#: ``admit``, ``cancel``, ``recent``, ``escalation``, ``escalations``, ``decide``, ``compensate``, ``erase``, ``kept`` and those of the outbox, reading tasks and
#: events, waiting for news.
GATEWAY_COMMANDS: Final = (
    *_CONNECTION, *_SCRIPTS, *_TASKS,
    "get", "hexists", "info|server", "xinfo|stream", "persist", "pfadd", "rpush", "subscribe", "unsubscribe", "xrange", "zcard",
    "zremrangebyscore",
)  # fmt: skip
#: ``route``, ``look``, ``ends``, ``rehome``, ``sweep``, ``index``, outcome rows, and the users of namespaces.
OPERATOR_COMMANDS: Final = (
    *_CONNECTION, *_SCRIPTS, *_TASKS,
    "persist", "pfcount", "sadd", "scard", "set", "sismember", "smembers", "xpending", "xrange",
    "xrevrange", "zcard", "subscribe", "unsubscribe", "zremrangebyscore", "llen", "xinfo|stream", "info|memory",
    "info|server",
    "acl|deluser", "acl|getuser", "acl|setuser", "acl|users", "client|kill",
)  # fmt: skip

_DNS_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SHORTEST_KEY: Final = 32
_IN_QUERY: Final = ("username", "password")


def user_of(installation: str, namespace: str) -> str:
    """The user of a namespace's workers.

    A namespace has no dot, so the last one says where it begins: no two pairs share a user.

    Raises:
        ValueError: it is no namespace's name, and could widen a pattern.
    """
    return f"penstock-{installation}.{_checked(namespace)}"


def derive_password(key: str, installation: str, namespace: str) -> str:
    """The password of a namespace's user, from the installation's key: HMAC-SHA256, 64 hex digits.

    Nobody has to read it back from anywhere, and another key gives other passwords.

    Raises:
        ValueError: the key has fewer than 32 characters.
    """
    if len(key) < _SHORTEST_KEY:
        raise ValueError(f"a key of at least {_SHORTEST_KEY} random characters is needed")
    about = f"penstock redis user {user_of(installation, namespace)}"
    return hmac.new(key.encode(), about.encode(), hashlib.sha256).hexdigest()


def worker_rules(namespace: str) -> tuple[str, ...]:
    """What a namespace's workers may do: their own agents' keys and channels (``{namespace/…``)."""
    own = f"{{{_checked(namespace)}/*"
    return (f"~{own}", f"&{own}", *_allowed(WORKER_COMMANDS))


def gateway_rules() -> tuple[str, ...]:
    """What the gateway may do: all agents' keys and channels, no administration."""
    return ("~{*", "&{*", *_allowed(GATEWAY_COMMANDS))


def operator_rules() -> tuple[str, ...]:
    """What the operator may do: all agents' keys and channels, and the users of namespaces.

    Who may make users can make one that may do everything: its password is worth all of Redis.
    """
    return ("~{*", "&{*", *_allowed(OPERATOR_COMMANDS))


def acl_file(passwords: Mapping[str, str]) -> str:
    """A Redis ``aclfile`` for an installation: its two users, and nobody without a password.

    Args:
        passwords: of ``penstock-operator`` and ``penstock-gateway``; only their sha256 is written.
    """
    rules = {"penstock-operator": operator_rules(), "penstock-gateway": gateway_rules()}
    lines = ["user default reset off"]
    for name, password in passwords.items():
        lines.append(" ".join((f"user {name}", *_identity([_sha256(password)]), *rules[name])))
    return "\n".join(lines) + "\n"


def with_user(url: str, user: str, password: str) -> str:
    """A Redis URL with another user and password; those it had are dropped."""
    parts = urlsplit(without_user(url))
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=netloc))


def without_user(url: str) -> str:
    """A Redis URL without user and password, also where its query names them."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in _IN_QUERY]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(kept)))


def has_password(url: str) -> bool:
    """Whether a Redis URL carries a password."""
    parts = urlsplit(url)
    return bool(parts.password) or "password" in dict(parse_qsl(parts.query))


class Users:
    """The users of an installation's namespaces, as the operator keeps them."""

    def __init__(self, connection: Connection, installation: str) -> None:
        self._connection = connection
        self._installation = installation

    async def namespaces(self) -> set[str]:
        """Namespaces whose user Redis knows; of a cluster, those that every node knows."""
        answers = await self._connection.read_everywhere("ACL USERS")
        prefix = user_of(self._installation, "x")[:-1]
        known = [{name.decode() for name in names} for names in answers]
        mine = {
            name.removeprefix(prefix)
            for name in set.intersection(*known)
            if name.startswith(prefix)
        }
        return {namespace for namespace in mine if _DNS_LABEL.fullmatch(namespace)}

    async def permit(self, namespace: str, password: str, *, keep_former: bool = False) -> bool:
        """Make a namespace's user, or put it right. Again with the same arguments changes nothing.

        Args:
            keep_former: passwords that it has had so far go on being valid.

        Returns:
            Whether a former password is still valid.
        """
        name = user_of(self._installation, namespace)
        mine = _sha256(password)
        former = (await self._passwords(name)) - {mine} if keep_former else set()
        rules = (*_identity([mine, *sorted(former)]), *worker_rules(namespace))
        await self._connection.change_everywhere("ACL SETUSER", name, *rules)
        return bool(former)

    async def disconnect(self, namespace: str) -> None:
        """Close the connections of a namespace's user; who knows the password comes back."""
        await self._connection.change_everywhere("CLIENT KILL", "USER", self._user(namespace))

    async def dismiss(self, namespace: str) -> None:
        """Remove a namespace's user and close its connections."""
        await self._connection.change_everywhere("ACL DELUSER", self._user(namespace))

    def _user(self, namespace: str) -> str:
        return user_of(self._installation, namespace)

    async def _passwords(self, name: str) -> set[str]:
        """The sha256 of each password, on any node."""
        found: set[str] = set()
        for answer in await self._connection.read_everywhere("ACL GETUSER", name):
            told: dict[bytes, Any] = (
                dict(zip(answer[::2], answer[1::2], strict=True)) if answer else {}
            )
            found |= {one.decode() for one in told.get(b"passwords", ())}
        return found


def _checked(namespace: str) -> str:
    if not _DNS_LABEL.fullmatch(namespace):
        raise ValueError(f"{namespace!r} is no namespace's name")
    return namespace


def _identity(passwords: Iterable[str]) -> tuple[str, ...]:
    """A user with these passwords and no rights; to Redis 6.2 a new one may hear all channels."""
    return ("reset", "resetchannels", "on", *(f"#{one}" for one in passwords))


def _allowed(commands: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"+{command}" for command in commands)


def _sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
