"""Every field that people may write has a test that changes behaviour by changing it."""

from __future__ import annotations

import ast

import pytest

from penstock.api import crd
from tests.repo import fields

DEFINITIONS = {document["spec"]["names"]["kind"]: document for document in crd.documents()}


def leaves(schema, path=""):
    """Path and schema of every field that is not a block of others."""
    if schema.get("properties"):
        for name, inner in schema["properties"].items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif schema.get("items", {}).get("properties"):
        yield from leaves(schema["items"], path + "[]")
    else:
        yield path, schema


def spec_of(kind):
    (version,) = DEFINITIONS[kind]["spec"]["versions"]
    return dict(leaves(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))


def functions_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, made)}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_the_table_has_every_field_and_no_other(kind):
    declared, told = set(spec_of(kind)), set(fields.TESTS[kind])
    assert len(declared) > 10
    assert declared - told == set(), "without a test that varies them"
    assert told - declared == set(), "no field of the schema"


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_every_test_in_the_table_exists(kind, root):
    named = {name for name in fields.TESTS[kind].values() if name != fields.ONE_VALUE}
    files = {name.partition("::")[0] for name in named}
    there = {f"{file}::{test}" for file in files for test in functions_of(root / file)}
    assert named - there == set()


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_what_is_said_to_have_one_value_has_one(kind):
    schemas = spec_of(kind)
    for path, name in fields.TESTS[kind].items():
        if name == fields.ONE_VALUE:
            assert len(schemas[path]["enum"]) == 1, path


def test_a_field_that_nobody_varies_is_found():
    new = {"type": "object", "properties": {"a": {"type": "object", "properties": {
        "b": {"type": "array", "items": {"properties": {"c": {"type": "string"}}}},
        "d": {"type": "integer"}}}}}  # fmt: skip
    assert [path for path, _ in leaves(new)] == ["a.b[].c", "a.d"]
