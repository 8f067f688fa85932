"""What can be checked of an object without an API server: its fields, their bounds, their names. Pure.

The rules of the definitions (CEL), and who may do what, are the API server's alone.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from penstock import names
from penstock.api import crd, validation
from penstock.errors import InvalidResource
from penstock_cli.seen import Document

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PARSERS: Final = {"Agent": validation.parse_agent, "AgentRollout": validation.parse_rollout}


def complaint(document: Document) -> str:
    """The first thing of an Agent or an AgentRollout that an API server would refuse; empty: none was found."""
    return next(_complaints(document), "") if document["kind"] in _PARSERS else ""


def _complaints(document: Document) -> Iterator[str]:
    kind, version = document["kind"], document.get("apiVersion")
    if version != names.API_VERSION:
        yield f"apiVersion is {version!r}: {kind} is of {names.API_VERSION}"
        return
    if told := misnamed(document):
        yield told
    (schema,) = (
        one["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for one in crd.documents()
        if one["spec"]["names"]["kind"] == kind
    )
    spec = schema["properties"]["spec"]
    yield from (f"unknown field {path}" for path in _unknown(document.get("spec"), spec, "spec"))
    try:
        _PARSERS[kind]({"spec": {}} | dict(document))
    except InvalidResource as error:
        yield str(error)


def misnamed(document: Document) -> str:
    """What an API server would refuse of an object's name; empty: nothing."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"metadata.name is {name!r}: it must be a DNS name in small letters"
    if document["kind"] in _PARSERS and len(name) > names.MAX_AGENT_NAME:
        return f"metadata.name must have at most {names.MAX_AGENT_NAME} characters"
    return ""


def _unknown(value: Any, schema: Document, path: str) -> Iterator[str]:
    """Fields that the schema does not know, which the API server would drop or refuse."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _unknown(item, schema["items"], f"{path}[{index}]")
    if not isinstance(value, dict) or "properties" not in schema:
        return
    for field, inner in value.items():
        if field in schema["properties"]:
            yield from _unknown(inner, schema["properties"][field], f"{path}.{field}")
        else:
            yield f"{path}.{field}"
