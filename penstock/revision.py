"""Revisions: a template becomes an immutable document whose name is its hash."""

import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from penstock import names
from penstock.api import validation
from penstock.api.agent import AgentTemplate
from penstock.errors import InvalidResource, RevisionTampered, UnknownSchema
from penstock.traffic import RevisionLimits

SCHEMA_VERSION: Final = 1
TEMPLATE_FORMAT: Final = 1


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class Revision:
    """One revision: the declared template, the content it refers to, and all defaults resolved.

    ``declared`` and ``references`` are what people wrote and what the hash covers;
    ``template`` has every default filled in as they were when the revision was cut, so that a
    newer Penstock runs an old revision as it always ran.
    """

    agent: str
    declared: dict[str, Any]
    references: dict[str, str]
    template: AgentTemplate
    instructions: str
    image: str

    @functools.cached_property
    def hash(self) -> str:
        """The first eight hex digits of sha256 over declared values, references and the format."""
        return content_hash(self.declared, self.references)

    @functools.cached_property
    def name(self) -> str:
        """Name of the record, the ConfigMap and the Deployment."""
        return names.revision_name(self.agent, self.hash)

    @functools.cached_property
    def text(self) -> str:
        """Its document as workers read it."""
        return canonical(self.document())

    @functools.cached_property
    def digest(self) -> str:
        """What a worker is told to expect of its document."""
        return _digest(self.text)

    @property
    def limits(self) -> RevisionLimits:
        """What admission and the fold must know of it."""
        return limits_of(self.template)

    def document(self) -> dict[str, Any]:
        """The record's data, which is also what workers mount."""
        return {
            "schemaVersion": SCHEMA_VERSION,
            "templateFormat": TEMPLATE_FORMAT,
            "agent": self.agent,
            "declared": self.declared,
            "references": self.references,
            "resolved": {
                "template": self.template.wire(),
                "instructions": self.instructions,
                "image": self.image,
            },
        }


def content_hash(declared: dict[str, Any], references: dict[str, str]) -> str:
    """The hash that names a revision: declared values plus the content of referenced objects."""
    covered = {
        "templateFormat": TEMPLATE_FORMAT,
        "template": declared,
        "references": references,
    }
    return hashlib.sha256(canonical(covered).encode()).hexdigest()[: names.HASH_LENGTH]


def digest(document: dict[str, Any]) -> str:
    """sha256 of a whole document, defaults included: what a worker is told to expect."""
    return _digest(canonical(document))


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def cut(agent: str, declared: dict[str, Any], references: dict[str, str], image: str) -> Revision:
    """Cut a revision from a template as declared.

    Args:
        agent: name of the Agent.
        declared: ``spec.template`` as the API server stores it.
        references: content of referenced objects, keyed ``configmap/<name>/<key>``.
        image: the installation's runtime image; the template's own comes first.
    Raises:
        InvalidResource: the template does not fit the schema, or a reference is missing.
    """
    try:
        template = AgentTemplate.model_validate(declared)
    except ValidationError as error:
        raise InvalidResource(validation.readable(error, "spec.template")) from error
    instructions = template.instructions
    if instructions is None:
        key = reference_key(template)
        if key is None or key not in references:
            raise InvalidResource("spec.template needs instructions or instructionsFrom")
        instructions = references[key]
    return Revision(
        agent, declared, references, template, instructions, template.worker.image or image
    )


def limits_of(template: AgentTemplate) -> RevisionLimits:
    """What admission and the fold must know of a template."""
    limits = template.limits
    return RevisionLimits(limits.input_chars, limits.queue_seconds, limits.wall_seconds)


def reference_key(template: AgentTemplate) -> str | None:
    """Key in ``references`` of the instructions, when they come from a ConfigMap."""
    if template.instructions_from is None:
        return None
    ref = template.instructions_from.config_map_key_ref
    return f"configmap/{ref.name}/{ref.key}"


def read(document: dict[str, Any], name: str) -> Revision:
    """Read a revision back and check that its content is what its name promises.

    Raises:
        UnknownSchema: written by a newer Penstock.
        RevisionTampered: the content hashes to another name.
    """
    schema = document.get("schemaVersion")
    if schema != SCHEMA_VERSION:
        raise UnknownSchema(
            f"revision {name} has schemaVersion {schema}, this Penstock knows {SCHEMA_VERSION}: "
            "upgrade Penstock or its worker image"
        )
    resolved = document["resolved"]
    revision = Revision(
        document["agent"],
        document["declared"],
        document["references"],
        AgentTemplate.model_validate(resolved["template"]),
        resolved["instructions"],
        resolved["image"],
    )
    if revision.name != name:
        raise RevisionTampered(f"the document under {name} hashes to {revision.name}")
    return revision
