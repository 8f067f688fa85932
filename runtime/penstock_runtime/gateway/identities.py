"""Callers with a token of the cluster: who they are, which tenant they belong to, what they may."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from penstock.names import AgentKey
from penstock_runtime.gateway.apiserver import APIServer, User
from penstock_runtime.gateway.remembering import Answer, Remembered
from penstock_runtime.gateway.strangers import Strangers
from penstock_runtime.gateway.tokens import digest

REFUSAL_SECONDS: Final = 5.0  # how long a no is repeated; never longer than a yes
MAX_TOKEN_LENGTH: Final = 16_384
MAX_REMEMBERED: Final = 4096
_MAX_TENANT_NAME: Final = 128
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_JWT: Final = re.compile(r"[\w-]+\.([\w-]+)\.[\w-]+", re.ASCII)


class Verb(StrEnum):
    """What a caller does with tasks: the verb on ``agents/tasks`` that allows it."""

    SUBMIT = "create"
    READ = "get"
    SEE_ALL = "list"  # tasks of all tenants; alone, without what was written in them
    CANCEL = "delete"
    PREVIEW = "preview"  # submit a task to a revision that the caller chooses
    APPROVE = "approve"  # decide on calls that wait for a person, of all tenants


@dataclass(frozen=True)
class ClusterCaller:
    """A caller whom the API server knows."""

    user: User

    @property
    def name(self) -> str:
        """The user name."""
        return self.user.username

    @property
    def person(self) -> str:
        """Who asks, as records name him."""
        return self.user.username

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the API server knows him in."""
        return self.user.groups

    @property
    def tenant(self) -> str:
        """Whose tasks the caller shares."""
        return tenant_of(self.user.username)


def tenant_of(username: str) -> str:
    """The tenant of a user of the cluster; it has a colon, which static tenants cannot have.

    Service accounts of one namespace are one tenant; everybody else is a tenant alone.
    """
    if username.startswith(_SERVICE_ACCOUNT):
        namespace = username.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
        return f"kubernetes:namespace:{namespace}"
    name = quote(username, safe="@:", errors="surrogatepass")
    if len(name) <= _MAX_TENANT_NAME:
        return f"kubernetes:user:{name}"
    hashed = hashlib.sha256(username.encode("utf-8", "surrogatepass")).hexdigest()
    return f"kubernetes:user-sha256:{hashed}"


def is_reviewable(token: str) -> bool:
    """Whether the API server is asked at all: only about what has the form of a JWT.

    Service accounts and OIDC have no other tokens; what else is sent here (a static token that was
    taken away, garbage) is no work for the API server, and no secret to show it.
    """
    return len(token) <= MAX_TOKEN_LENGTH and _JWT.fullmatch(token) is not None


def expiry_of(token: str) -> float | None:
    """When a JWT expires, in seconds since 1970; None when it does not say so in a readable way.

    The signature is not looked at: only for tokens that were accepted.
    """
    payload = token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return None
    expiry = claims.get("exp") if isinstance(claims, dict) else None
    return expiry if type(expiry) in (int, float) else None


class ClusterTokens:
    """Tokens and rights as the API server reviews them, remembered for a short time.

    What is remembered goes on while the API server is away, until its time is over.
    """

    def __init__(
        self,
        server: APIServer,
        audiences: tuple[str, ...],
        remember_seconds: float,
        now: Callable[[], float],
    ) -> None:
        """``now`` gives the seconds since 1970, which the expiry of tokens is told in."""
        self._server = server
        self.audiences = audiences
        self._remember_seconds = remember_seconds
        self._now = now
        self._callers: Remembered[bytes, ClusterCaller | None] = Remembered(MAX_REMEMBERED)
        self._rights: Remembered[tuple[User, Verb, AgentKey], bool] = Remembered(MAX_REMEMBERED)
        self._strangers = Strangers()

    async def aclose(self) -> None:
        """Close the connections to the API server."""
        await self._server.aclose()

    async def find(self, token: str, address: str = "") -> ClusterCaller | None:
        """The caller who holds this token; None when it is not valid here.

        Args:
            address: where it comes from.

        Raises:
            APIServerAway: nobody knows.
            Problem: too-many-unknown-tokens.
        """
        if not is_reviewable(token):
            return None
        key = digest(token)
        if not self._callers.is_news(key):
            return await self._callers.get(key, lambda: self._review(token))
        return await self._callers.get(key, lambda: self._review_unknown(token, address))

    async def _review_unknown(self, token: str, address: str) -> Answer[ClusterCaller | None]:
        async with self._strangers.shown(address):
            async with self._strangers.turn():
                answer = await self._review(token)
            if answer.value is None:
                self._strangers.refused(address)
            return answer

    async def _review(self, token: str) -> Answer[ClusterCaller | None]:
        user = await self._server.user_of(token, self.audiences)
        if user is None:
            return Answer(None, self._seconds(yes=False))
        seconds = self._seconds(yes=True)
        if (expiry := expiry_of(token)) is not None:
            seconds = min(seconds, expiry - self._now())
        return Answer(ClusterCaller(user), seconds)

    async def allows(self, caller: ClusterCaller, verb: Verb, agent: AgentKey) -> bool:
        """Whether the caller may do that with the tasks of the agent.

        Raises:
            APIServerAway: nobody knows.
        """

        async def ask() -> Answer[bool]:
            yes = await self._server.allows(caller.user, verb, agent)
            return Answer(yes, self._seconds(yes=yes))

        return await self._rights.get((caller.user, verb, agent), ask)

    def forget(self, caller: ClusterCaller, agent: AgentKey) -> None:
        """Ask anew, the next time, what the caller may do with the tasks of the agent."""
        for verb in Verb:
            self._rights.forget((caller.user, verb, agent))

    def _seconds(self, *, yes: bool) -> float:
        return self._remember_seconds if yes else min(REFUSAL_SECONDS, self._remember_seconds)
