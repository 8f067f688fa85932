"""What a worker needs before its first task: its revision, checked, and what runs it."""

import json
from pathlib import Path
from typing import Any

from penstock import errors, revision
from penstock.revision import Revision
from penstock_runtime import metrics
from penstock_runtime.agent import anthropic, loop, pricing, retry, toolbox
from penstock_runtime.agent.http import HTTPTools
from penstock_runtime.settings import WorkerSettings


def load_revision(settings: WorkerSettings) -> Revision:
    """Read the mounted revision document and check that it is the one this worker is for.

    Raises:
        InvalidResource: there is no document, or it is not one.
        RevisionTampered: it is another one than the worker was told to expect.
        UnknownSchema: it was written by a newer Penstock.
    """
    document = _document(settings.revision_file)
    found = revision.digest(document)
    if found != settings.revision_digest:
        raise errors.RevisionTampered(
            f"the document of revision {settings.revision} has digest {found}, "
            f"expected {settings.revision_digest}: it was changed after it was cut"
        )
    try:
        return revision.read(document, settings.revision)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.InvalidResource(
            f"the document of revision {settings.revision} cannot be read: {_first_line(error)}"
        ) from error


def equip(settings: WorkerSettings, cut: Revision) -> loop.Agent:
    """What runs the tasks of a revision.

    Raises:
        InvalidResource: no price is known for the model, a tool's schema or the credential cannot
            be used, or there is no model endpoint.
    """
    template = cut.template
    tools = toolbox.build(template.tools)
    return loop.Agent(
        template=template,
        model=_model(settings, cut, tools),
        price=pricing.list_price(template.model.provider, template.model.name),
        toolbox=tools,
        tools=HTTPTools(settings.tool_headers_dir),
        retries=retry.Policy(template.model.retries, settings.retry_base_seconds),
        meter=metrics.Meter(settings.key, cut.name, template.model.name),
    )


def _model(
    settings: WorkerSettings, cut: Revision, tools: toolbox.Toolbox
) -> anthropic.AnthropicModel:
    declared = cut.template.model
    prompt = anthropic.Prompt(
        declared.name, cut.instructions, tuple(tools.declared()), declared.effort
    )
    url = declared.base_url or settings.model_url
    if not url:
        raise errors.InvalidResource(
            "no model endpoint: set spec.template.model.baseURL, or PENSTOCK_MODEL_URL of the "
            "installation"
        )
    key_file = settings.credentials_file
    read_key = anthropic.key_file(key_file) if key_file else anthropic.no_key
    try:
        return anthropic.AnthropicModel(prompt, url, read_key)
    except (OSError, ValueError) as error:
        raise errors.InvalidResource(f"the model's credential cannot be read: {error}") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.InvalidResource(f"no revision document at {path}: {error}") from error
    if not isinstance(document, dict):
        raise errors.InvalidResource(f"the revision document at {path} is not an object")
    return document


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
