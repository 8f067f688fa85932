"""What no schema can say: looked at when an object is reconciled, told in a condition."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from penstock.api import fields, toolschema
from penstock.api.agent import AgentSpec
from penstock.api.rollout import AgentRolloutSpec
from penstock.errors import InvalidResource

KIB: Final = 1024
MAX_INPUT_SCHEMA_BYTES: Final = 16 * KIB
#: The record holds the template as declared and with its defaults, and each referenced text
#: twice: 2 x (200 + 256) KiB stay below the 1 MiB that a ConfigMap may have.
MAX_TEMPLATE_BYTES: Final = 200 * KIB
MAX_REFERENCES_BYTES: Final = 256 * KIB

_LONGEST_COMPLAINT: Final = 500  # names inside a schema may be as long as the schema

_Spec = TypeVar("_Spec", bound=fields.Block)


class Reason(StrEnum):
    """Why an Agent is not accepted: the reason of its condition Accepted=False."""

    TOO_LARGE = "TooLarge"
    INVALID_TOOL = "InvalidTool"


@dataclass(frozen=True)
class Problem:
    """Why a template cannot become a revision, and in one sentence what to write instead."""

    reason: Reason
    message: str


def parse_agent(resource: Mapping[str, Any]) -> AgentSpec:
    """The spec of an Agent as the API server stores it.

    Raises:
        InvalidResource: it does not fit this version's schema (an object that was stored before a
            bound was tightened may keep its old value).
    """
    return _parse(AgentSpec, resource)


def parse_rollout(resource: Mapping[str, Any]) -> AgentRolloutSpec:
    """The spec of an AgentRollout as the API server stores it.

    Raises:
        InvalidResource: it does not fit this version's schema.
    """
    return _parse(AgentRolloutSpec, resource)


def _parse(kind: type[_Spec], resource: Mapping[str, Any]) -> _Spec:
    try:
        return kind.model_validate(resource.get("spec", {}))
    except ValidationError as error:
        raise InvalidResource(readable(error, "spec")) from error


def readable(error: ValidationError, root: str) -> str:
    """The first thing wrong as one line: ``spec.scaling.minReplicas is 2000: Input should ...``."""
    first, *others = error.errors(include_url=False, include_context=False)
    where = root
    for part in first["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    if first["type"] == "missing":
        told = f"{where} is missing"
    elif isinstance(first["input"], Mapping | list):
        told = f"{where}: {first['msg']}"
    else:
        told = f"{where} is {_short(first['input'])}: {first['msg']}"
    return told + (f" (and {len(others)} more)" if others else "")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:80]}…"


def template_problem(
    declared: Mapping[str, Any], references: Mapping[str, str] | None = None
) -> Problem | None:
    """The first reason why a template cannot become a revision; None when it can.

    Args:
        declared: ``spec.template`` as the API server stores it, of any depth.
        references: content of the ConfigMap keys it refers to.
    """
    tools: list[dict[str, Any]] = declared.get("tools") or []
    for tool in tools:
        if problem := _tool_problem(tool):
            return problem
    if (size := size_bytes(declared)) > MAX_TEMPLATE_BYTES:
        return Problem(Reason.TOO_LARGE, _too_large(size, tools))
    if (size := size_bytes(references or {})) > MAX_REFERENCES_BYTES:
        return Problem(
            Reason.TOO_LARGE,
            f"the ConfigMap keys that spec.template refers to have {_kib(size)} of "
            f"{_kib(MAX_REFERENCES_BYTES)}: shorten them",
        )
    return None


def _too_large(size: int, tools: list[dict[str, Any]]) -> str:
    told = f"spec.template has {_kib(size)} of {_kib(MAX_TEMPLATE_BYTES)}: "
    if tools:
        largest = max(tools, key=size_bytes)
        told += (
            f"shorten schemas and descriptions of its {len(tools)} tools (the largest is "
            f'"{largest.get("name", "")}" with {_kib(size_bytes(largest))}), or '
        )
    return told + "move the instructions into a ConfigMap (instructionsFrom)"


def _tool_problem(tool: Mapping[str, Any]) -> Problem | None:
    name, schema = tool.get("name", ""), tool.get("inputSchema", {})
    if complaint := toolschema.complaint(schema):
        return Problem(Reason.INVALID_TOOL, f'tool "{name}": {complaint[:_LONGEST_COMPLAINT]}')
    if (size := size_bytes(schema)) > MAX_INPUT_SCHEMA_BYTES:
        return Problem(
            Reason.TOO_LARGE,
            f'tool "{name}": inputSchema has {_kib(size)} of {_kib(MAX_INPUT_SCHEMA_BYTES)}: '
            "shorten its descriptions or make several tools of it",
        )
    return None


def size_bytes(value: Any) -> int:
    """Size as compact JSON in UTF-8, which is how revisions are kept."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _kib(size: int) -> str:
    return f"{size / KIB:.1f} KiB"
