"""Whom the tasks of a revision ask: the declared model and its fallbacks, each where and with what."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from penstock import errors, kubectl
from penstock.api import agent as api
from penstock.revision import Revision
from penstock_runtime import logs
from penstock_runtime.agent import credentials
from penstock_runtime.agent.models import anthropic
from penstock_runtime.agent.models.pricing import Book, TableFile
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.settings import WorkerSettings

_VENDOR: Final = "api.anthropic.com"

log = logs.get()


@dataclass(frozen=True)
class Endpoint:
    """Somebody to ask: what is declared of it, at which address, and what it costs."""

    declared: api.Model
    address: str
    model: anthropic.AnthropicModel
    prices: Book


def endpoints(
    settings: WorkerSettings,
    cut: Revision,
    tools: toolbox.Toolbox,
    carrier: Callable[[], httpx2.AsyncBaseTransport],
) -> list[Endpoint]:
    """The model and those that stand in for it, in order.

    Raises:
        InvalidResource: of one of them no price is known, it has no address, or its credential is
            missing or cannot be used; the message has the command that mends it.
    """
    return [
        _endpoint(settings, cut, tools, carrier, number, declared)
        for number, declared in enumerate(cut.template.model.asked)
    ]


def of_tier(
    settings: WorkerSettings,
    cut: Revision,
    tools: toolbox.Toolbox,
    carrier: Callable[[], httpx2.AsyncBaseTransport],
    name: str,
) -> Endpoint:
    """The model of a tier: at the model's own address, with its key.

    Raises:
        InvalidResource: as with ``endpoints``.
    """
    return _endpoint(settings, cut, tools, carrier, 0, cut.template.of_tier(name).model)


def _endpoint(
    settings: WorkerSettings,
    cut: Revision,
    tools: toolbox.Toolbox,
    carrier: Callable[[], httpx2.AsyncBaseTransport],
    number: int,
    declared: api.Model,
) -> Endpoint:
    field = _field(number)
    prompt = anthropic.Prompt(
        declared.name, cut.instructions, tuple(tools.declared()), declared.effort
    )
    url = declared.base_url or settings.model_url
    if not url:
        raise errors.InvalidResource(
            f"no model endpoint: set {field}.baseURL, or PENSTOCK_MODEL_URL of the installation"
        )
    file = _key_file(settings, cut, number)
    if file is None and urlsplit(url).hostname == _VENDOR:
        raise errors.InvalidResource(
            f"{_VENDOR} needs a key, and {field}.credentialsSecretRef names none: "
            + kubectl.create_secret(settings.namespace, "anthropic", "api-key")
        )
    read_key = anthropic.key_file(file) if file else anthropic.no_key
    try:
        model = anthropic.AnthropicModel(prompt, url, read_key, carrier)
    except credentials.Unfit as unfit:
        who = f"{field}'s" if number else "the model's"
        raise _no_credential(settings, declared, file, unfit, who) from None
    return Endpoint(declared, url, model, _prices(settings, declared))


def _field(number: int) -> str:
    """Where it is declared; 0 is the model itself."""
    own = "spec.template.model"
    return f"{own}.fallbacks[{number - 1}]" if number else own


def _key_file(settings: WorkerSettings, cut: Revision, number: int) -> Path | None:
    """The file of its key; None where it is asked without one."""
    own = cut.template.model.fallbacks[number - 1].credentials_secret_ref if number else None
    if own and settings.fallbacks_dir:
        return settings.fallbacks_dir / str(number - 1) / own.key
    if number and cut.template.model.fallbacks[number - 1].base_url:
        return None  # another address never gets the model's key
    return settings.credentials_file


def _prices(settings: WorkerSettings, declared: api.Model) -> Book:
    if settings.prices_file is None:
        return Book(declared)

    def problem(words: str) -> None:
        log.error("the installation's prices cannot be used; those before hold", error=words)

    return Book(declared, TableFile(settings.prices_file, problem))


def _no_credential(
    settings: WorkerSettings,
    declared: api.Model,
    file: Path | None,
    unfit: credentials.Unfit,
    who: str,
) -> errors.InvalidResource:
    ref = declared.credentials_secret_ref
    make = "give the worker another file"
    if ref:  # making what is there fails
        mend = (
            kubectl.change_secret
            if file and credentials.holds_any(file.parent)
            else kubectl.create_secret
        )
        make = mend(settings.namespace, ref.name, ref.key)
    where = f"key {ref.key} of Secret {ref.name}" if ref else "its file"
    return errors.InvalidResource(f"{who} credential cannot be used, {where} {unfit.why}: {make}")
