"""What the API takes as a tool: its name, its fields, and the schema of its input."""

import functools
import json
import re
from typing import Any, Final

import jsonschema_rs

from penstock_dev.model import faults, fields

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,128}")
LONGEST_NAME: Final = 128
PROPERTY: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
COMBINING: Final = ("oneOf", "allOf", "anyOf")


def names(tools: Any) -> list[str]:
    """The names of the offered tools in order. Raises Rejected for what is no list of tools."""
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise faults.Rejected(400, "tools: Input should be a valid list")
    found = [_checked(tool, f"tools.{index}") for index, tool in enumerate(tools)]
    if len(set(found)) < len(found):
        raise faults.Rejected(400, "tools: Tool names must be unique.")
    return found


def _checked(tool: Any, where: str) -> str:
    if not isinstance(tool, dict):
        raise faults.Rejected(400, f"{where}: Input should be a valid object")
    kind = tool.get("type") or "custom"
    if not isinstance(kind, str):
        raise faults.Rejected(400, f"{where}.type: Input should be a valid string")
    custom = kind == "custom"
    name = _name(tool.get("name"), f"{where}.{kind}.name")
    if custom:
        _custom(tool, f"{where}.custom")
    return name


def _name(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise faults.Rejected(
            400,
            f"{where}: {'Field required' if name is None else 'Input should be a valid string'}",
        )
    if len(name) > LONGEST_NAME:
        raise faults.Rejected(400, f"{where}: String should have at most {LONGEST_NAME} characters")
    if not NAME.fullmatch(name):
        raise faults.Rejected(400, f"{where}: String should match pattern '^{NAME.pattern}$'")
    return name


def _custom(tool: dict[str, Any], where: str) -> None:
    fields.only(tool, fields.TOOL, where)
    if not isinstance(tool.get("description", ""), str):
        raise faults.Rejected(400, f"{where}.description: Input should be a valid string")
    schema = tool.get("input_schema")
    if schema is None:
        raise faults.Rejected(400, f"{where}.input_schema: Field required")
    if not isinstance(schema, dict):
        raise faults.Rejected(400, f"{where}.input_schema: Input should be a valid dictionary")
    refusal = _refusal(json.dumps(schema))
    if refusal:
        raise faults.Rejected(400, f"{where}.input_schema{refusal}")


@functools.lru_cache(maxsize=1024)
def _refusal(schema_json: str) -> str:
    """What the API says against a schema, after its place; empty when it takes it."""
    schema = json.loads(schema_json)
    if "type" not in schema:
        return ".type: Field required"
    if schema["type"] != "object":
        return ".type: Input should be 'object'"
    if any(keyword in schema for keyword in COMBINING):
        return ": input_schema does not support oneOf, allOf, or anyOf at the top level"
    properties = schema.get("properties") or {}
    if isinstance(properties, dict) and not all(map(PROPERTY.fullmatch, properties)):
        return f".properties: Property keys should match pattern '^{PROPERTY.pattern}$'"
    return "" if _is_of_the_draft(schema) else _NOT_OF_THE_DRAFT


_NOT_OF_THE_DRAFT: Final = (
    ": JSON schema is invalid. It must match JSON Schema draft 2020-12 "
    "(https://json-schema.org/draft/2020-12)."
)


def _is_of_the_draft(schema: dict[str, Any]) -> bool:
    # The API takes a null for absent where its client types say so; the draft does not.
    said = {key: value for key, value in schema.items() if value is not None}
    if said.get("$schema", DRAFT) not in (DRAFT, f"{DRAFT}#"):
        return False
    return jsonschema_rs.meta.is_valid(said | {"$schema": DRAFT})
