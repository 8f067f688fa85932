"""Wiring: kopf as informer, our cache and queue behind it. The only importer of kopf."""

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import kopf
import structlog

from penstock.errors import PenstockError
from penstock_operator import metrics, server
from penstock_operator.cache import Cache, owner_key
from penstock_operator.cluster import Cluster, watch_session
from penstock_operator.gather import Sources
from penstock_operator.manifests import Installation
from penstock_operator.measure import Measure
from penstock_operator.queue import WorkQueue
from penstock_operator.reconcile import Reconciler
from penstock_operator.relist import Relister
from penstock_operator.resources import AGENT, ROLLOUT, SELECTOR, WATCHED, Kind, Object
from penstock_operator.settings import Settings
from penstock_operator.workers import Workers
from penstock_store.store import Store

log = structlog.get_logger("penstock.operator")

_STALE_LIST_SECONDS = 180.0


class EndlessBackoff:
    """Back-offs that grow to five seconds and never run out, so that a watch outlives an outage."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.1, 0.2, 0.5, 1.0, 2.0), itertools.repeat(5.0))


def kopf_settings() -> kopf.OperatorSettings:
    """kopf as a pure informer: it writes nothing, and no outage ends it."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.networking.error_backoffs = EndlessBackoff()
    settings.networking.request_timeout = 30
    settings.watching.inactivity_timeout = 70
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 500
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1
    for kind in WATCHED:
        if kind.labelled:
            where = (kind.group, kind.version, kind.plural)
            settings.watching.label_selectors[where] = SELECTOR
    return settings


def registry(cache: Cache, queue: WorkQueue, relister: Relister, settings: Settings) -> Any:
    """Handlers: log in, and take every event into the cache."""
    found = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.AiohttpSession:
        base, session = await watch_session(settings.kubeconfig)
        return kopf.AiohttpSession(server=base, aiohttp_session=session)

    kopf.on.login(registry=found, id="login")(login)
    for kind in WATCHED:
        _watch(found, kind, cache, queue, relister)
    return found


def _watch(found: Any, kind: Kind, cache: Cache, queue: WorkQueue, relister: Relister) -> None:
    async def observe(*, event: Any, **_: Any) -> None:
        try:
            _observe(kind, event, cache, queue, relister)
        except (KeyError, TypeError, ValueError) as error:
            metrics.WATCH_ERRORS.inc()
            log.warning("event not understood", kind=kind.kind, error=repr(error))

    kopf.on.event(kind.group, kind.version, kind.plural, registry=found, id=kind.plural)(observe)


def _observe(
    kind: Kind, event: dict[str, Any], cache: Cache, queue: WorkQueue, relister: Relister
) -> None:
    obj: Object = {**event["object"], "metadata": dict(event["object"]["metadata"])}
    obj.setdefault("apiVersion", kind.api_version)
    obj.setdefault("kind", kind.kind)
    if event["type"] == "DELETED":
        cache.forget(kind, obj)
        news = True
    else:
        news = cache.observe(kind, obj)
    if kind is AGENT and event["type"] in ("ADDED", "DELETED"):
        relister.changed.set()
    owner = owner_key(kind, obj)
    if news and owner:
        # People's words go first; what children do can wait its turn.
        queue.add(owner, urgent=kind in (AGENT, ROLLOUT) and event["type"] is not None)


async def run(settings: Settings) -> int:
    """Run the operator until it is told to stop; returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    store = Store.connect(settings.redis_url, installation=settings.installation)
    async with await Cluster.connect(settings.kubeconfig) as cluster:
        try:
            return await _operate(settings, cluster, store, stop)
        finally:
            await store.aclose()


async def _operate(settings: Settings, cluster: Cluster, store: Store, stop: asyncio.Event) -> int:
    cache, queue = Cache(), WorkQueue(time.monotonic)
    sources = Sources(
        cluster, store, cache, Measure(store), Installation.of(settings), settings.settle_seconds
    )
    reconciler = Reconciler(sources, lambda: datetime.now(UTC))
    relister = Relister(
        cluster, store, cache, queue, settings.watched, settings.relist_seconds, time.monotonic
    )
    pages = server.application(lambda: None, lambda: _unready(relister))
    runner = await server.serve(pages, settings.listen)
    ours = [
        asyncio.create_task(relister.run(), name="relist"),
        asyncio.create_task(Workers(queue, reconciler, relister.listed).run(), name="workers"),
    ]
    informer = asyncio.create_task(
        kopf.operator(
            registry=registry(cache, queue, relister, settings),
            settings=kopf_settings(),
            clusterwide=not settings.watched,
            namespaces=settings.watched,
            standalone=True,
            stop_flag=stop,
        ),
        name="informer",
    )
    try:
        return await _until_stopped(stop, [informer, *ours])
    finally:
        await runner.cleanup()


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> int:
    """Wait until told to stop, or until a task that should run for ever has ended."""
    waiter = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
    # kopf takes over the signals: its own end without an error is a stop like ours.
    failed = [task for task in done if task is not waiter and task.exception()]
    for task in failed:
        log.error("ended unexpectedly", task=task.get_name(), error=repr(task.exception()))
    stop.set()
    for task in [waiter, *tasks]:
        task.cancel()
    await asyncio.gather(waiter, *tasks, return_exceptions=True)
    return 1 if failed else 0


def _unready(relister: Relister) -> str | None:
    """Why the operator is not ready, in a sentence; None when it is."""
    if relister.listed_at is None:
        return "not all kinds have been listed yet"
    age = time.monotonic() - relister.listed_at
    if age > _STALE_LIST_SECONDS:
        return f"the last complete list is {age:.0f} s old"
    return None


def main() -> int:
    """Start the operator as its environment says."""
    settings = Settings()
    try:
        return asyncio.run(run(settings))
    except PenstockError as error:
        log.error("cannot run", error=str(error))  # noqa: TRY400  the sentence is enough
        return 1
