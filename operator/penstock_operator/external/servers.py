"""The Prometheus servers that the chart names, and which query of whom goes to which."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from penstock.analysis import promql
from penstock.analysis.gates import Answer, Said, Unresolved
from penstock.api.external import ExternalGate
from penstock.errors import PenstockError

EVERY_NAMESPACE: Final = "*"
_MOST_NAMES: Final = 8


class ServersUnreadable(PenstockError):
    """PENSTOCK_PROMETHEUS is not what the chart makes of operator.prometheus."""


class Server(BaseModel):
    """One Prometheus.

    ``namespaces``: whose AgentRollouts may ask it; ``*`` is all. ``namespace_label``: the label
    that must have the AgentRollout's namespace for a value in every selector; empty: none.
    ``credentials``: a folder with ``token``, or ``username`` and ``password``, and maybe ``ca.crt``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")]
    namespaces: tuple[str, ...]
    namespace_label: Annotated[str, Field(pattern=r"^([a-zA-Z_][a-zA-Z0-9_]*)?$")] = ""
    credentials: Path | None = None

    def serves(self, namespace: str) -> bool:
        """Whether an AgentRollout of a namespace may ask it."""
        return EVERY_NAMESPACE in self.namespaces or namespace in self.namespaces


Servers = Mapping[str, Server]
_SERVERS: Final = TypeAdapter(dict[str, Server])


def read(text: str) -> Servers:
    """The servers by name, as the chart writes them: JSON; none where nothing is written.

    Raises:
        ServersUnreadable: it is not what the chart makes.
    """
    try:
        return _SERVERS.validate_python(json.loads(text)) if text else {}
    except ValidationError as error:  # whose own text has what was written, with a password maybe
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ServersUnreadable(
            f"PENSTOCK_PROMETHEUS cannot be read: {where}: {first['msg']}"
        ) from None
    except ValueError as error:
        raise ServersUnreadable(f"PENSTOCK_PROMETHEUS cannot be read: {error}") from None


def query_for(servers: Servers, namespace: str, gate: ExternalGate) -> str | Answer:
    """The query of a gate as its server gets it; an answer with the remedy where it gets none."""
    server = servers.get(gate.address)
    if server is None:
        return _unresolved(Unresolved.UNKNOWN, _unknown(servers, namespace, gate))
    if not server.serves(namespace):
        return _unresolved(
            Unresolved.NOT_ALLOWED,
            f"AgentRollouts of namespace {namespace} may not ask Prometheus {gate.address}. Have the "
            f"namespace added to operator.prometheus.{gate.address}.namespaces of the chart{_others(servers, namespace)}.",
        )
    if not server.namespace_label:
        return gate.query
    try:
        return promql.limited(gate.query, server.namespace_label, namespace)
    except promql.QueryRefused as refused:
        return _unresolved(
            Unresolved.QUERY,
            f"Prometheus {gate.address} is asked for series of namespace {namespace} only, and of this "
            f"query nobody can tell which it reads: {refused}.",
        )


def _unresolved(why: Unresolved, words: str) -> Answer:
    return Answer(Said(problem=words), unresolved=why)


def _unknown(servers: Servers, namespace: str, gate: ExternalGate) -> str:
    return (
        f"this installation knows no Prometheus {gate.address}. Have it added to operator.prometheus of "
        f"the chart{_others(servers, namespace)}."
    )


def _others(servers: Servers, namespace: str) -> str:
    """Those that may be asked instead."""
    names = sorted(name for name, server in servers.items() if server.serves(namespace))
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f", or name one that the namespace may ask: {', '.join(names[:_MOST_NAMES])}{more}"
