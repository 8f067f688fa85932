"""What a worker needs before its first task: its revision, checked, and what runs it."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import httpx2

from penstock import errors, kubectl, revision
from penstock.api.agent import AgentTemplate
from penstock.api.tool import Tool
from penstock.revision import Revision
from penstock_runtime import instrumentation, redaction
from penstock_runtime.agent import credentials, loop
from penstock_runtime.agent.context import LIVE
from penstock_runtime.agent.models import cached, pricing, retrying
from penstock_runtime.agent.models.access import LastWord, Watched
from penstock_runtime.agent.models.afforded import Afforded
from penstock_runtime.agent.models.breaker import Breaker, StoreBoard
from penstock_runtime.agent.models.fallback import Entry, FallingBack
from penstock_runtime.agent.models.metered import Metered
from penstock_runtime.agent.models.model import UNASKED, Failure, Model
from penstock_runtime.agent.models.permitted import Permitted
from penstock_runtime.agent.models.pooled import Pooled, StoreDesk
from penstock_runtime.agent.models.pricing import Pricing
from penstock_runtime.agent.models.redacted import Redacted
from penstock_runtime.agent.models.retrying import Retrying
from penstock_runtime.agent.models.sharing import Sharing
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.agent.tools.http import HTTPTools
from penstock_runtime.agent.tools.metered import MeteredTools
from penstock_runtime.agent.tools.redacted import RedactedTools
from penstock_runtime.agent.tools.toolset import Toolset
from penstock_runtime.agent.transport import proxies
from penstock_runtime.settings import WorkerSettings
from penstock_runtime.worker import asks
from penstock_runtime.worker.endpoints import Endpoint, endpoints
from penstock_runtime.worker.endpoints import of_tier as endpoint_of_tier
from penstock_store import keys
from penstock_store.breakers import BreakerRules
from penstock_store.store import Store

#: How a request can fail.
_FAILURES: Final = tuple(kind.value for kind in Failure if kind not in UNASKED)


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


def equip(settings: WorkerSettings, cut: Revision, store: Store | None = None) -> loop.Agent:
    """What runs the tasks of a revision.

    Args:
        settings: what the worker is told.
        cut: the revision.
        store: where workers tell each other that a model is away; None: they do not.

    Raises:
        InvalidResource: no price is known for a model, a tool's schema or a credential cannot
            be used, there is no model endpoint, or a Secret is missing (then the message has the
            command that makes it).
    """
    template = cut.template
    _learn_password(settings.redis_url)
    for tool in template.tools:
        _check_headers(settings, tool)
    tools = toolbox.build(template.tools, template.oversight)
    carrier = _carrier(cut)
    asked = endpoints(settings, cut, tools, carrier)
    meter = instrumentation.Meter(settings.key, cut.name, template.model.name)
    meter.begin(_FAILURES)
    last_word = LastWord()
    layered = functools.partial(_entry, settings, meter, last_word, store)
    entries = [layered(one, place, last=asked[-1] is one) for place, one in enumerate(asked)]
    agent = loop.Agent(
        template=template,
        model=_remembering(_together(entries), template, asked[0].model.prompt_size.mark, meter),
        toolbox=tools,
        tools=layered_tools(HTTPTools(settings.tool_headers_dir, carrier), meter),
        meter=meter,
        prices=pricing.together([one.prices for one in asked]),
        prompt_tokens=asked[0].model.prompt_tokens,
        prompt=asked[0].model.prompt_size,
        last_word=last_word,
    )
    cheaper = {
        tier.model: endpoint_of_tier(settings, cut, tools, carrier, tier.name)
        for tier in template.tiers
        if tier.model != template.model.name
    }
    own = {name: layered(one, last=len(asked) == 1) for name, one in cheaper.items()}
    whole = _with_tiers(agent, entries, [*asked], cheaper, own)
    return replace(whole, asks=lambda: asks.written(template, asked, cheaper, LIVE.day()))


def _with_tiers(
    agent: loop.Agent,
    entries: Sequence[Entry],
    asked: Sequence[Endpoint],
    cheaper: Mapping[str, Endpoint],
    own: Mapping[str, Entry],
) -> loop.Agent:
    """The agent with one of each of its tiers; all stand in by the same models."""
    tiers: dict[str, loop.Agent] = {}
    for tier in agent.template.tiers:
        first = cheaper.get(tier.model, asked[0])
        template, mark = agent.template.of_tier(tier.name), first.model.prompt_size.mark
        model = _together([own.get(tier.model, entries[0]), *entries[1:]])
        tiers[tier.name] = replace(
            agent,
            template=template,
            model=_remembering(model, template, mark, agent.meter),
            prices=pricing.together([first.prices, *(one.prices for one in asked[1:])]),
            prompt_tokens=first.model.prompt_tokens,
            prompt=first.model.prompt_size,
            tier=tier.name,
            tiers=tiers,
        )
    if not tiers:
        return agent
    every = [one.prices for one in (*asked, *cheaper.values())]
    model = Sharing(agent.model, [one.model for one in own.values()])
    return replace(agent, model=model, prices=pricing.together(every), tiers=tiers)


def _entry(
    settings: WorkerSettings,
    meter: instrumentation.Meter,
    last_word: LastWord,
    store: Store | None,
    one: Endpoint,
    place: int = 0,
    *,
    last: bool,
) -> Entry:
    """A model in its layers; ``place``: 0 is asked first, ``last``: nobody stands in for it."""
    own = meter.of_model(one.declared.name, place)
    own.begin_model(_FAILURES)
    policy = retrying.Policy(
        one.declared.retries, settings.retry_base_seconds, outlasts_breaker=last
    )
    word = LastWord() if place else last_word  # the condition is about those that are asked first
    shared = Shared(
        _breaker(settings, one, own, store),
        _pool(settings, one, own, store),
        keys.endpoint_label(one.address, one.declared.name),
    )
    layers = layered_model(one.model, one.prices, own, word, policy, shared)
    return Entry(one.declared.name, Permitted(layers, one.declared.name), one.prices, own.stood_in)


def _together(entries: Sequence[Entry]) -> Model:
    return FallingBack(entries) if len(entries) > 1 else entries[0].model


def _remembering(
    model: Model, template: AgentTemplate, mark: str, meter: instrumentation.Meter
) -> Model:
    """The model with the response cache before it, where the template declares one."""
    kept = cached.rules(template, meter.revision, mark)
    if kept is None:
        return model
    meter.answered_from_cache(0)
    return cached.Cached(model, kept, meter.answered_from_cache)


def _breaker(
    settings: WorkerSettings,
    endpoint: Endpoint,
    meter: instrumentation.Meter,
    store: Store | None,
) -> Callable[[Model], Model]:
    if store is None:
        return alone
    name, patience = endpoint.declared.name, float(endpoint.declared.timeout_seconds)
    key = keys.breaker(settings.namespace, endpoint.address, name)
    rules = BreakerRules(open_ms=round(settings.breaker_seconds * 1000))
    board = StoreBoard(store, key, rules, lambda: endpoint.model.account)
    return lambda model: Breaker(model, board, meter, name, patience)


def _pool(
    settings: WorkerSettings,
    endpoint: Endpoint,
    meter: instrumentation.Meter,
    store: Store | None,
) -> Callable[[Model], Model]:
    if store is None:
        return alone
    name, asked = endpoint.declared.name, endpoint.model
    desk = StoreDesk(
        store,
        lambda: keys.pool(settings.namespace, endpoint.address, name, asked.account),
        settings.agent,
        lambda: endpoint.prices.per_minute,
        endpoint.prices,
    )
    return lambda model: Pooled(model, desk, meter, name, asked.prompt_tokens)


def alone(model: Model) -> Model:
    """The model as it is, without what workers tell each other."""
    return model


@dataclass(frozen=True)
class Shared:
    """The layers in which a namespace's workers tell each other of an endpoint, and by what they name it."""

    breaker: Callable[[Model], Model] = alone
    pool: Callable[[Model], Model] = alone
    label: str = ""


_ALONE: Final = Shared()


def layered_model(
    endpoint: Model,
    prices: Pricing,
    meter: instrumentation.Meter,
    last_word: LastWord,
    retries: retrying.Policy,
    shared: Shared = _ALONE,
) -> Model:
    """One endpoint in its layers, of which the last one is asked first."""
    layers: tuple[Callable[[Model], Model], ...] = (
        lambda model: Metered(
            model, prices, meter, shared.label
        ),  # what each request took and cost
        lambda model: Watched(model, last_word, meter.model),  # what it says of the credential
        Redacted,  # before anything keeps a reply
        shared.breaker,  # nobody is asked who is away
        lambda model: Afforded(model, prices, meter),  # no attempt passes what the call may use
        shared.pool,  # nor what the vendor allows in a minute; who waits for that holds no money
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


def _learn_password(url: str) -> None:
    """Make the password in an address known to the filter of what leaves the worker."""
    who = url.partition("//")[2].rpartition("@")[0]
    written = who.partition(":")[2]
    redaction.learn(written)
    redaction.learn(unquote(written))


def _carrier(cut: Revision) -> Callable[[], httpx2.AsyncBaseTransport]:
    return proxies.carrier({variable.name: variable.value for variable in cut.template.worker.env})


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
