"""Who asks, and for what: every call goes through here before it touches a task."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from penstock.names import AgentKey
from penstock_runtime.gateway.identities import ClusterCaller, ClusterTokens, Verb
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.tokens import StaticCaller, TokensFile

_CHALLENGE: Final = 'Bearer realm="penstock"'

Caller = StaticCaller | ClusterCaller


@dataclass(frozen=True)
class Access:
    """The tokens that open the gateway: those of the file first, then those of the cluster."""

    tokens: TokensFile | None = None
    cluster: ClusterTokens | None = None

    async def follow(self) -> None:
        """Take over changes of the tokens file, for ever."""
        if self.tokens:
            await self.tokens.follow()

    async def aclose(self) -> None:
        """Close what is open towards the API server."""
        if self.cluster:
            await self.cluster.aclose()

    async def authenticate(self, request: Request) -> Caller:
        """The caller of a request.

        Raises:
            Problem: unauthorized, too-many-unknown-tokens.
            APIServerAway: only the API server knows, and it does not answer.
        """
        scheme, _, told = request.headers.get("authorization", "").partition(" ")
        token = told.strip()
        if not token or scheme.lower() != "bearer":
            detail = "The header Authorization must be: Bearer <token>."
            raise Problem("unauthorized", detail, {"WWW-Authenticate": _CHALLENGE})
        address = request.client.host if request.client else ""
        caller = await self._find(token, address)
        if caller is None:
            challenge = f'{_CHALLENGE}, error="invalid_token"'
            raise Problem("unauthorized", self._unknown(), {"WWW-Authenticate": challenge})
        return caller

    async def _find(self, token: str, address: str) -> Caller | None:
        static = self.tokens.find(token) if self.tokens else None
        if static or self.cluster is None:
            return static
        return await self.cluster.find(token, address)

    def _unknown(self) -> str:
        if self.cluster is None:
            return "This bearer token is not known here."
        wanted = " or ".join(self.cluster.audiences)
        return f"This bearer token is not known here, nor a valid one of the cluster for {wanted}."

    async def check(self, caller: Caller, verb: Verb, agent: AgentKey) -> None:
        """Let a caller do something with an agent's tasks.

        Raises:
            Problem: agent-forbidden.
            APIServerAway: only the API server knows, and it does not answer.
        """
        match caller:
            case StaticCaller():
                if not caller.may_use(agent):
                    detail = f"The token of {caller.name!r} is not for the agent {agent}."
                    raise Problem("agent-forbidden", detail)
                if verb is Verb.APPROVE and not caller.approve:
                    raise Problem("agent-forbidden", _not_a_person(caller))
                if verb is Verb.PREVIEW and not caller.preview:
                    raise Problem("agent-forbidden", _no_previews(caller))
            case ClusterCaller():
                if self.cluster is None or not await self.cluster.allows(caller, verb, agent):
                    raise Problem("agent-forbidden", _not_allowed(caller, verb, agent))

    async def may(self, caller: Caller, verb: Verb, agent: AgentKey) -> bool:
        """Whether ``check`` lets the caller do it.

        Raises:
            APIServerAway: only the API server knows, and it does not answer.
        """
        try:
            await self.check(caller, verb, agent)
        except Problem:
            return False
        return True

    def forget(self, caller: ClusterCaller, agent: AgentKey) -> None:
        """Ask anew, the next time, what a caller may do with an agent's tasks."""
        if self.cluster is not None:
            self.cluster.forget(caller, agent)

    async def sees_all(self, caller: Caller, agent: AgentKey) -> bool:
        """Whether the caller sees the agent's tasks of all tenants.

        Raises:
            APIServerAway: only the API server knows, and it does not answer.
        """
        match caller:
            case StaticCaller():
                return False
            case ClusterCaller():
                cluster = self.cluster
                return cluster is not None and await cluster.allows(caller, Verb.SEE_ALL, agent)

    async def reads_all(self, caller: Caller, agent: AgentKey) -> bool:
        """Whether the caller reads what is of all tenants; else he reads what is of his own.

        Raises:
            Problem: agent-forbidden, he reads neither.
            APIServerAway: only the API server knows, and it does not answer.
        """
        if await self.sees_all(caller, agent):
            return True
        await self.check(caller, Verb.READ, agent)
        return False


def _not_a_person(caller: StaticCaller) -> str:
    return (
        f"The token of {caller.name!r} decides on no calls: that takes an entry of the tokens file that "
        "names one person as user, with approve: true."
    )


def _no_previews(caller: StaticCaller) -> str:
    return (
        f"The token of {caller.name!r} chooses no revision: that takes an entry of the tokens file that "
        "names one person as user, with preview: true."
    )


def _not_allowed(caller: ClusterCaller, verb: Verb, agent: AgentKey) -> str:
    return (
        f"{caller.name!r} may not {verb} tasks of the agent {agent}: that takes a Role in the "
        f"namespace {agent.namespace} with the verb {verb} on agents/tasks of penstock.dev."
    )
