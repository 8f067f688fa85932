"""The API server's part in a review, in memory, and tokens in the form of a JWT."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field

from penstock_runtime.gateway.apiserver import User


def jwt(name, **claims):
    """What has the form of a JWT; the same name and claims are the same token."""
    parts = [{"alg": "none"}, {"sub": name, **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in encoded), "signature"])


def service_account(name, namespace="shop"):
    return User(f"system:serviceaccount:{namespace}:{name}")


@dataclass
class Reviewer:
    """Knows users by token and rights as (user name, verb, agent); counts what it is asked."""

    users: dict[str, User] = field(default_factory=dict)
    rights: set[tuple[str, str, str]] = field(default_factory=set)
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    def knows(self, token, user, *verbs, agent="shop/support"):
        """Let a user with a token do something."""
        self.users[token] = user
        self.rights |= {(user.username, verb, agent) for verb in verbs}
        return {"Authorization": f"Bearer {token}"}

    async def _asked(self, what):
        self.asked.append(what)
        if self.gate:
            await self.gate.wait()
        if self.failure:
            raise self.failure

    async def user_of(self, token, audiences):
        assert audiences == ("penstock",)
        await self._asked("token")
        return self.users.get(token)

    async def allows(self, user, verb, agent):
        await self._asked(f"{verb} {agent}")
        return (user.username, verb, str(agent)) in self.rights

    async def aclose(self):
        self.asked.append("aclose")
