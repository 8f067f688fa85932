"""Wiring: kopf as informer, our cache and queue behind it. The only importer of kopf."""

import asyncio
import itertools
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import kopf
import structlog
import uvloop

from penstock.errors import PenstockError
from penstock_operator import logs, metrics, server
from penstock_operator.app import Parts
from penstock_operator.cluster.cache import Cache, owner_key
from penstock_operator.cluster.client import Cluster, watch_session
from penstock_operator.cluster.kinds import AGENT, ROLLOUT, SELECTOR, WATCHED, Kind, Object
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.queue import WorkQueue
from penstock_operator.reconcile.relist import Relister
from penstock_operator.settings import Settings
from penstock_store.store import Store

log = structlog.get_logger("penstock.operator")

_WRITE_SECONDS = 10.0
_STORE_SECONDS = 5.0


class EndlessBackoff:
    """Back-offs that grow to five seconds and never run out, so that a watch outlives an outage."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.1, 0.2, 0.5, 1.0, 2.0), itertools.repeat(5.0))


class NoDiffBase(kopf.DiffBaseStorage):
    """Nothing is kept of an object to compare the next one with: no handler asks what has changed.

    Every storage of kopf's own copies the whole object for it, with each event.
    """

    def build(self, **_: Any) -> Any:
        """Nothing of the object."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Nothing was kept."""

    def store(self, **_: Any) -> None:
        """Keep nothing."""


def kopf_settings() -> kopf.OperatorSettings:
    """kopf as a pure informer: it writes nothing, and no outage ends it."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.diffbase_storage = NoDiffBase()
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
    told = asyncio.Event()
    _heed_signals(told)
    leadership = Leadership(settings.timing) if settings.lease else Leadership.alone()
    metrics.led_by(leadership.held)
    longest = leadership.longest_write_seconds(_WRITE_SECONDS)
    store = Store.connect(
        settings.redis_url,
        guard=leadership.demand,
        installation=settings.installation,
        timeout_seconds=min(_STORE_SECONDS, longest),
        retention=settings.retention,
        ca_file=settings.redis_ca_file,
    )
    connecting = Cluster.connect(settings.kubeconfig, leadership.demand, write_seconds=longest)
    async with await connecting as cluster:
        try:
            return await _operate(settings, cluster, store, leadership, told)
        finally:
            await store.aclose()


def _heed_signals(told: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)


async def _operate(
    settings: Settings,
    cluster: Cluster,
    store: Store,
    leadership: Leadership,
    told: asyncio.Event,
) -> int:
    parts = Parts.of(settings, cluster, store, leadership, lambda: datetime.now(UTC))
    runner = await server.serve(server.application(parts.unwell, parts.unready), settings.listen)
    stop, ready = asyncio.Event(), asyncio.Event()
    # Before kopf's: it cancels, at its end, whatever was begun after it.
    ours = [*parts.start(), asyncio.create_task(_own_signals(ready, told), name="signals")]
    informer = asyncio.create_task(
        kopf.operator(
            registry=registry(parts.cache, parts.queue, parts.relister, settings),
            settings=kopf_settings(),
            clusterwide=not settings.watched,
            namespaces=settings.watched,
            standalone=True,
            stop_flag=stop,
            ready_flag=ready,
        ),
        name="informer",
    )
    try:
        code = await _until_stopped(told, [informer, *ours])
        await parts.workers.stop(leadership.longest_write_seconds(_WRITE_SECONDS))
        await _cancel(ours)
        await parts.release()
        stop.set()
        await _cancel([informer])
        return code
    finally:
        await runner.cleanup()


async def _own_signals(ready: asyncio.Event, told: asyncio.Event) -> None:
    """Take the signals back from kopf: the write in hand ends before anything is cancelled."""
    await ready.wait()
    _heed_signals(told)
    await told.wait()


async def _until_stopped(told: asyncio.Event, tasks: list[asyncio.Task[None]]) -> int:
    """Wait until told to stop, or until a task that should run for ever has ended."""
    waiter = asyncio.create_task(told.wait(), name="stop")
    done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
    # kopf has the signals while it starts: its own end without an error is a stop like ours.
    failed = [task for task in done if task is not waiter and task.exception()]
    for task in failed:
        log.error("ended unexpectedly", task=task.get_name(), error=repr(task.exception()))
    await _cancel([waiter])
    return 1 if failed else 0


async def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    """Start the operator as its environment says."""
    settings = Settings()
    logs.configure(settings.log_level)
    try:
        return uvloop.run(run(settings))
    except PenstockError as error:
        log.error("cannot run", error=str(error))  # noqa: TRY400  the sentence is enough
        return 1
