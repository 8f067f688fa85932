"""Every example is complete: a README, and documents that the API accepts, with no field it would drop."""

from __future__ import annotations

import jsonschema_rs
import pytest
import yaml

from penstock import names
from penstock.api import agent, crd, rollout

SPECS = {"Agent": agent.AgentSpec, "AgentRollout": rollout.AgentRolloutSpec}


def closed(schema):
    """The schema, refusing what the API server would drop: properties it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    within = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        within.setdefault("additionalProperties", False)
    return within


@pytest.fixture(scope="module")
def schemas():
    """What may stand in the spec of each kind."""
    definitions = {document["spec"]["names"]["kind"]: document for document in crd.documents()}
    root = {
        kind: document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for kind, document in definitions.items()
    }
    return {kind: closed(schema["properties"]["spec"]) for kind, schema in root.items()}


@pytest.fixture(scope="module")
def manifests(files, root):
    """Every document of ours under examples/, with the path of its file."""
    paths = [path for path in files if path.is_relative_to(root / "examples")]
    found = [
        (path.relative_to(root), document)
        for path in paths
        if path.suffix in {".yaml", ".yml"}
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if document and document["apiVersion"].startswith(f"{names.GROUP}/")
    ]
    assert {document["kind"] for _, document in found} == SPECS.keys()
    return found


def test_every_document_is_accepted_and_keeps_all_its_fields(manifests, schemas):
    wrong = {}
    for path, document in manifests:
        assert document["apiVersion"] == names.API_VERSION
        SPECS[document["kind"]].model_validate(document["spec"])
        validator = jsonschema_rs.validator_for(schemas[document["kind"]])
        if errors := [str(error) for error in validator.iter_errors(document["spec"])]:
            wrong[path] = errors
    assert not wrong


def test_a_field_the_api_does_not_have_would_be_found(manifests, schemas):
    _, document = manifests[0]
    misspelt = document["spec"] | {"templat": {}}
    assert not jsonschema_rs.validator_for(schemas[document["kind"]]).is_valid(misspelt)


def test_every_example_has_a_readme_and_its_number(root):
    folders = sorted(path for path in (root / "examples").iterdir() if path.is_dir())
    assert [folder.name[:3] for folder in folders] == [
        f"{n:02}-" for n in range(1, len(folders) + 1)
    ]
    assert all((folder / "README.md").is_file() for folder in folders)
