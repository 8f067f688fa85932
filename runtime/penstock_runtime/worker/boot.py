"""What a worker needs before its first task: its revision, checked, and what runs it."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx2

from penstock import errors, kubectl, revision
from penstock.api.tool import Tool
from penstock.revision import Revision
from penstock_runtime import instrumentation, logs, redaction
from penstock_runtime.agent import credentials, loop
from penstock_runtime.agent.models import anthropic, retrying
from penstock_runtime.agent.models.access import LastWord, Watched
from penstock_runtime.agent.models.afforded import Afforded
from penstock_runtime.agent.models.metered import Metered
from penstock_runtime.agent.models.model import Failure, Model
from penstock_runtime.agent.models.pricing import Book, Pricing, TableFile
from penstock_runtime.agent.models.redacted import Redacted
from penstock_runtime.agent.models.retrying import Retrying
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.agent.tools.http import HTTPTools
from penstock_runtime.agent.tools.metered import MeteredTools
from penstock_runtime.agent.tools.redacted import RedactedTools
from penstock_runtime.agent.tools.toolset import Toolset
from penstock_runtime.agent.transport import proxies
from penstock_runtime.settings import WorkerSettings

_VENDOR: Final = "api.anthropic.com"

log = logs.get()


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
            be used, there is no model endpoint, or a Secret is missing (then the message has the
            command that makes it).
    """
    template = cut.template
    _learn_password(settings.redis_url)
    for tool in template.tools:
        _check_headers(settings, tool)
    tools = toolbox.build(template.tools)
    model = _model(settings, cut, tools)
    meter = instrumentation.Meter(settings.key, cut.name, template.model.name)
    meter.begin(failure.value for failure in Failure)
    last_word = LastWord()
    prices = _prices(settings, cut)
    return loop.Agent(
        template=template,
        model=layered_model(
            model,
            prices,
            meter,
            last_word,
            retrying.Policy(template.model.retries, settings.retry_base_seconds),
        ),
        toolbox=tools,
        tools=layered_tools(HTTPTools(settings.tool_headers_dir, _carrier(cut)), meter),
        meter=meter,
        prices=prices,
        prompt_tokens=model.prompt_tokens,
        prompt=model.prompt_size,
        last_word=last_word,
    )


def layered_model(
    endpoint: Model,
    pricing: Pricing,
    meter: instrumentation.Meter,
    last_word: LastWord,
    retries: retrying.Policy,
) -> Model:
    """What the loop asks: an endpoint in its layers, of which the last one is asked first."""
    layers: tuple[Callable[[Model], Model], ...] = (
        lambda model: Metered(model, pricing, meter),  # what each request took and cost
        lambda model: Watched(model, last_word),  # what it says of the credential
        Redacted,  # before anything keeps a reply
        lambda model: Afforded(model, pricing, meter),  # no attempt passes what the call may use
        lambda model: Retrying(model, retries),  # each attempt goes through all of these
    )
    return functools.reduce(lambda model, layer: layer(model), layers, endpoint)


def layered_tools(toolset: Toolset, meter: instrumentation.Meter) -> Toolset:
    """What the loop calls: tools in their layers, of which the last one is called first."""
    layers: tuple[Callable[[Toolset], Toolset], ...] = (
        lambda toolset: MeteredTools(toolset, meter),  # what each call took
        RedactedTools,  # before anything keeps a result
    )
    return functools.reduce(lambda toolset, layer: layer(toolset), layers, toolset)


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
    if key_file is None and urlsplit(url).hostname == _VENDOR:
        raise errors.InvalidResource(
            f"{_VENDOR} needs a key, and spec.template.model.credentialsSecretRef names none: "
            + kubectl.create_secret(settings.namespace, "anthropic", "api-key")
        )
    read_key = anthropic.key_file(key_file) if key_file else anthropic.no_key
    try:
        return anthropic.AnthropicModel(prompt, url, read_key, _carrier(cut))
    except credentials.Unfit as unfit:
        raise _no_credential(settings, cut, unfit) from None


def _prices(settings: WorkerSettings, cut: Revision) -> Book:
    if settings.prices_file is None:
        return Book(cut.template.model)

    def problem(words: str) -> None:
        log.error("the installation's prices cannot be used; those before hold", error=words)

    return Book(cut.template.model, TableFile(settings.prices_file, problem))


def _learn_password(url: str) -> None:
    """Make the password in an address known to the filter of what leaves the worker."""
    who = url.partition("//")[2].rpartition("@")[0]
    written = who.partition(":")[2]
    redaction.learn(written)
    redaction.learn(unquote(written))


def _carrier(cut: Revision) -> Callable[[], httpx2.AsyncBaseTransport]:
    return proxies.carrier({variable.name: variable.value for variable in cut.template.worker.env})


def _no_credential(
    settings: WorkerSettings, cut: Revision, unfit: credentials.Unfit
) -> errors.InvalidResource:
    ref, file = cut.template.model.credentials_secret_ref, settings.credentials_file
    make = "give the worker another file"
    if ref:  # making what is there fails
        mend = (
            kubectl.change_secret
            if file and credentials.holds_any(file.parent)
            else kubectl.create_secret
        )
        make = mend(settings.namespace, ref.name, ref.key)
    where = f"key {ref.key} of Secret {ref.name}" if ref else "its file"
    return errors.InvalidResource(
        f"the model's credential cannot be used, {where} {unfit.why}: {make}"
    )


def _check_headers(settings: WorkerSettings, tool: Tool) -> None:
    """A tool that is to be called with a Secret's headers is never called without any."""
    ref = tool.headers_secret
    if ref is None or settings.tool_headers_dir is None:
        return
    folder = settings.tool_headers_dir / tool.name
    try:
        credentials.headers(folder)
    except credentials.Unfit as unfit:
        if not credentials.holds_any(folder):
            make = kubectl.create_secret(settings.namespace, ref.name, "Authorization")
            raise errors.InvalidResource(
                f"tool {tool.name}: its headers are missing, Secret {ref.name} {unfit}: {make}"
            ) from None
        if not unfit.key:
            edit = f"kubectl -n {settings.namespace} edit secret {ref.name}"
            raise errors.InvalidResource(
                f"tool {tool.name}: Secret {ref.name} {unfit}: {edit}"
            ) from None
        change = kubectl.change_secret(settings.namespace, ref.name, unfit.key)
        raise errors.InvalidResource(
            f"tool {tool.name}: header {unfit.key} of Secret {ref.name} {unfit.why}: {change}"
        ) from None


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
