"""The targets that the chart names: where they are, what they are told, whom a link is made for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from penstock.errors import InvalidResource
from penstock.names import AgentKey
from penstock_runtime.gateway.webhooks import template

MOST_TARGETS: Final = 32
EVERY: Final = "*"
_NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_HERE: Final = ("localhost", "127.0.0.1", "::1")
_INSIDE: Final = (".svc", ".svc.cluster.local")
_STRICT: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def check_scheme(url: str) -> str:
    """An address over TLS, or one that does not leave the cluster.

    Raises:
        ValueError: it is neither.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in _HERE or host.endswith(_INSIDE):
        return url
    raise ValueError(f"{host} is reached by https only")


class Approver(BaseModel):
    """The one person a link is made for, by the names that the cluster's roles know."""

    model_config = _STRICT

    user: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
    groups: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=253)], ...], Field(max_length=64)
    ] = ()


class Target(BaseModel):
    """One webhook.

    ``url``: without what is secret of it. ``secret``: a folder with ``signing-key``, and maybe
    ``former-signing-key``, ``path``, ``authorization`` and ``ca.crt``. ``agents``: names, of the
    namespaces; none: all of them. ``body``: a JSON document with placeholders; None: our own.
    """

    model_config = _STRICT

    url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$", max_length=2048)]
    secret: Path
    namespaces: Annotated[tuple[str, ...], Field(min_length=1)]
    agents: tuple[str, ...] = ()
    kinds: Annotated[tuple[Literal["Asked", "Decided"], ...], Field(min_length=1)] = ("Asked",)
    approver: Approver | None = None
    body: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        check_scheme(self.url)
        if self.body is not None:
            template.check(self.body, linked=self.approver is not None)
        return self

    def is_told_of(self, agent: AgentKey) -> bool:
        """Whether it is told of an agent's escalations."""
        near = EVERY in self.namespaces or agent.namespace in self.namespaces
        return near and (not self.agents or agent.name in self.agents)


Targets = Mapping[str, Target]
_TARGETS: Final = TypeAdapter(
    Annotated[
        dict[Annotated[str, Field(pattern=_NAME, max_length=50)], Target],
        Field(max_length=MOST_TARGETS),
    ]
)


def read(text: str) -> Targets:
    """The targets by name, as the chart writes them: JSON; none where nothing is written.

    Raises:
        InvalidResource: it is not what the chart makes; the message shows nothing of a target.
    """
    try:
        return _TARGETS.validate_python(json.loads(text), strict=False) if text else {}
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        reason = f"gateway.webhooks: {where}: {first['msg'].removeprefix('Value error, ')}"
        raise InvalidResource(reason) from None
    except ValueError as error:
        raise InvalidResource(f"gateway.webhooks: it is no JSON: {error}") from None


def told_of(targets: Targets, agent: AgentKey) -> Sequence[tuple[str, Target]]:
    """The targets that are told of an agent, in one order."""
    return [(name, targets[name]) for name in sorted(targets) if targets[name].is_told_of(agent)]
