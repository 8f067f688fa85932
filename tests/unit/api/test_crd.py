"""What holds for every property of both definitions."""

from __future__ import annotations

import json

import pytest

from penstock.api import crd

KEYWORDS = {
    "type", "description", "required", "properties", "items", "additionalProperties", "enum",
    "minimum", "maximum", "format", "minLength", "maxLength", "pattern", "minItems", "maxItems",
    "maxProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations",
}  # fmt: skip
WRITTEN_BY_KUBERNETES = {"apiVersion", "kind", "metadata"}


def root(document):
    return document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(schema, path):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from walk(schema[keyword], f"{path}[]")


def everything():
    for document in crd.documents():
        kind = document["spec"]["names"]["kind"]
        yield from walk(root(document), kind)


def ours():
    return [
        (path, schema)
        for path, schema in everything()
        if path.split(".")[-1] not in WRITTEN_BY_KUBERNETES
    ]


def test_both_definitions_are_the_same_on_every_call():
    assert json.dumps(crd.documents()) == json.dumps(crd.documents())


def test_there_is_a_schema_to_look_at():
    assert len(ours()) > 150


def test_only_known_keywords_stand_in_a_schema_and_a_default_only_for_the_whole_status():
    strange = {path: wrong for path, schema in everything() if (wrong := schema.keys() - KEYWORDS)}
    assert strange == {"Agent.status": {"default"}, "AgentRollout.status": {"default"}}


def test_a_new_object_has_a_status_that_has_seen_nothing():
    defaults = [schema["default"] for _, schema in everything() if "default" in schema]
    assert defaults == [{"observedGeneration": 0}] * 2


def test_every_property_says_what_it_means_in_a_sentence():
    silent = [
        path
        for path, schema in ours()
        if not path.endswith("[]") and not schema.get("description", "").endswith((".", ")"))
    ]
    assert not silent


def test_every_string_list_and_map_has_an_end():
    needed = {"string": "maxLength", "array": "maxItems"}
    endless = [
        path
        for path, schema in ours()
        if (needed.get(schema["type"]) not in {None, *schema} and "enum" not in schema)
        or ("additionalProperties" in schema and "maxProperties" not in schema)
    ]
    assert not endless


def test_every_list_says_how_it_is_merged():
    assert all("x-kubernetes-list-type" in s for _, s in ours() if s["type"] == "array")


def test_every_number_people_write_has_a_smallest_and_a_largest_value():
    open_ended = [
        path
        for path, schema in ours()
        if ".spec" in path
        and schema["type"] == "integer"
        and not {"minimum", "maximum"} <= schema.keys()
    ]
    assert not open_ended


def test_only_the_input_schema_of_a_tool_is_kept_as_written():
    opaque = [path for path, schema in ours() if "x-kubernetes-preserve-unknown-fields" in schema]
    assert opaque == ["Agent.spec.template.tools[].inputSchema"]


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (
            "Agent",
            "Model Ready Status Up-To-Date Stable Canary Percent Replicas Queued Cost-Today Age",
        ),
        ("AgentRollout", "Agent Stable Canary Want Now Step Status Age"),
    ],
)
def test_kubectl_get_tells_the_story_in_these_columns(kind, columns):
    document = next(d for d in crd.documents() if d["spec"]["names"]["kind"] == kind)
    shown = document["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [c["name"] for c in shown if not c.get("priority")] == columns.split()
