"""What a revision is cut from: a spec that can be honoured, and the content that it refers to."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from penstock.api import validation
from penstock.api.agent import AgentSpec, InstructionsSource
from penstock.errors import InvalidResource
from penstock.money.prices import EMPTY, Table


def read_spec(
    agent: Mapping[str, Any], references: Mapping[str, str], own_prices: Table = EMPTY
) -> tuple[AgentSpec | None, tuple[str, str] | None]:
    """The Agent's spec, or why it cannot be honoured (reason, sentence).

    Args:
        agent: the object as the API server stores it.
        references: as ``content`` gives them.
        own_prices: the installation's own prices.
    """
    try:
        spec = validation.parse_agent(agent)
    except InvalidResource as error:
        return None, ("Invalid", str(error))
    problem = validation.template_problem(agent["spec"]["template"], references, own_prices)
    return spec, (problem.reason.value, problem.message) if problem else None


def source(agent: Mapping[str, Any]) -> InstructionsSource | None:
    """Where the instructions come from; None where they stand in the Agent, or nobody can tell."""
    spec = agent.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    written = template.get("instructionsFrom") if isinstance(template, dict) else None
    try:
        return InstructionsSource.model_validate(written) if written else None
    except ValidationError:
        return None  # which the spec's own reading tells


def content(
    wanted: InstructionsSource, configmap: Mapping[str, Any] | None, namespace: str
) -> tuple[dict[str, str], str]:
    """What a revision's references hold, by ``configmap/<name>/<key>``; a sentence when it is missing.

    Args:
        configmap: the one that is named; None where there is none in the namespace.
    """
    ref = wanted.config_map_key_ref
    if configmap is None:
        return {}, f"ConfigMap {ref.name} is not in namespace {namespace}"
    data = configmap.get("data")
    text = data.get(ref.key) if isinstance(data, Mapping) else None
    if not text:
        return {}, f"ConfigMap {ref.name} has no key {ref.key}"
    if not isinstance(text, str):  # of a manifest that no API server has read
        return {}, f"ConfigMap {ref.name} holds no text under its key {ref.key}"
    return {f"configmap/{ref.name}/{ref.key}": text}, ""
