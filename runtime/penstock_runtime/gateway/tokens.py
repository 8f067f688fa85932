"""Static bearer tokens, each with a tenant and the agents it is for."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from penstock import errors
from penstock.names import AgentKey
from penstock_runtime import logs

RECHECK_SECONDS: Final = 1.0
_NAME: Final = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"


@dataclass(frozen=True)
class StaticCaller:
    """The holder of a token of the file. ``agents`` holds ``*``, ``namespace/*`` and ``namespace/name``.

    ``user`` is the one person whose token it is, empty where it is no single person's; ``approve``:
    that person may decide on calls that wait; ``preview``: and may choose the revision of a task.
    """

    name: str
    tenant: str
    agents: frozenset[str]
    user: str = ""
    groups: tuple[str, ...] = ()
    approve: bool = False
    preview: bool = False

    @property
    def person(self) -> str:
        """Who asks, as records name him."""
        return self.user or f"token:{self.name}"

    def may_use(self, agent: AgentKey) -> bool:
        """Whether the caller's token is for this agent."""
        return not self.agents.isdisjoint(("*", f"{agent.namespace}/*", str(agent)))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    token: Annotated[str, Field(min_length=8, max_length=4096, pattern=r"^[!-~]+$")]
    name: Annotated[str, Field(min_length=1)]
    tenant: Annotated[str, Field(pattern=rf"^{_NAME}$", max_length=63)]
    agents: list[Annotated[str, Field(pattern=rf"^(\*|{_NAME}/(\*|{_NAME}))$")]]
    user: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=256)] = ""
    groups: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=64)
    ] = []
    approve: bool = False
    preview: bool = False

    @model_validator(mode="after")
    def _names_who_approves(self) -> Self:
        if self.approve and not self.user:
            raise ValueError("approve takes the user whose token it is")
        if self.preview and not self.user:
            raise ValueError("preview takes the user whose token it is")
        return self

    def caller(self) -> StaticCaller:
        """Who holds the token."""
        return StaticCaller(
            self.name,
            self.tenant,
            frozenset(self.agents),
            self.user,
            tuple(self.groups),
            self.approve,
            self.preview,
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tokens: list[_Entry]


# Keyed by digest: how long a look-up takes tells nothing of the tokens.
Callers = Mapping[bytes, StaticCaller]


def digest(token: str) -> bytes:
    """What a token is found by."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def parse(content: bytes) -> Callers:
    """The callers of a tokens file ``{"tokens": [{token, name, tenant, agents, user?, groups?, approve?, preview?}]}``.

    Raises:
        InvalidResource: the content is malformed; the message says where and never shows a token.
    """
    try:
        entries = _File.model_validate_json(content).tokens
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise errors.InvalidResource(f"{place}: {first['msg']}") from None
    callers = {digest(entry.token): entry.caller() for entry in entries}
    if len(callers) < len(entries):
        raise errors.InvalidResource("the same token is in the file twice")
    return callers


@dataclass
class TokensFile:
    """The tokens file as last read; ``follow`` reads it again when it changes."""

    path: Path
    _callers: Callers = field(default_factory=dict)
    _seen: tuple[int, int, int] | None = None

    def load(self) -> None:
        """Read the file.

        Raises:
            InvalidResource: it cannot be read or is malformed; the callers stay as they were.
        """
        try:
            seen = self._stamp()
            content = self.path.read_bytes()
        except OSError as error:
            raise errors.InvalidResource(f"{self.path}: {error.strerror}") from error
        self._seen = seen
        try:
            self._callers = parse(content)
        except errors.InvalidResource as error:
            raise errors.InvalidResource(f"{self.path}: {error}") from error

    def find(self, token: str) -> StaticCaller | None:
        """The caller who holds this token."""
        return self._callers.get(digest(token))

    async def follow(self) -> None:
        """Read the file again whenever it changes, for ever; what is malformed changes nothing."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            self._refresh()

    def _refresh(self) -> None:
        try:
            if self._stamp() == self._seen:
                return
            self.load()
        except OSError:
            return  # between two versions of the file; the callers of the old one stay
        except errors.InvalidResource as error:
            logs.get().error("the tokens file was not taken over", reason=str(error))
        else:
            logs.get().info("the tokens file was read again", tokens=len(self._callers))

    def _stamp(self) -> tuple[int, int, int]:
        status = self.path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
