"""The worker process: read the revision, work until SIGTERM, hand back what is not done."""

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from penstock import errors, names
from penstock.guard import unguarded
from penstock_runtime import logs, process
from penstock_runtime.agent import loop
from penstock_runtime.settings import WorkerSettings, read_worker_settings
from penstock_runtime.worker import boot, children, health, suspects
from penstock_runtime.worker.crew import Duty
from penstock_runtime.worker.pool import Pool
from penstock_store.scripts import Retention
from penstock_store.store import Store
from penstock_store.wiring import Durability

log = logs.get()


@dataclass(frozen=True)
class _Child:
    """What a worker's child process is told by its arguments."""

    consumer: str
    report: int  # a file descriptor


def main(arguments: Sequence[str] = ()) -> int:
    """Run a worker. Returns the exit code: 0 after SIGTERM, 1 when it cannot start at all.

    The reason is the last line of stderr: it is shown on the Agent. With the arguments
    ``--suspects CONSUMER FD`` it is a worker's child, in which suspects are tried.
    """
    child = _child(arguments)
    if child:
        suspects.bind_to_parent()
    try:
        settings = read_worker_settings()
        logs.configure(settings.log_level, agent=str(settings.key), revision=settings.revision)
        cut = boot.load_revision(settings)
        store = _store(settings)
        agent = boot.equip(settings, cut, store)
    except errors.PenstockError as error:
        sys.stderr.write(f"penstock worker: {error}\n")
        return 1
    process.run(_serve(settings, agent, store, child))
    return 0


def _child(arguments: Sequence[str]) -> _Child | None:
    match list(arguments):
        case [children.SUSPECTS, consumer, report]:
            return _Child(consumer, int(report))
        case _:
            return None


def _store(settings: WorkerSettings) -> Store:
    try:
        return Store.connect(
            settings.redis_url,
            guard=unguarded,
            installation=settings.installation,
            ca_file=settings.redis_ca_file,
            durability=Durability(settings.redis_replicas, settings.redis_replica_timeout_ms),
            retention=Retention(
                ended_task_seconds=settings.ended_task_seconds,
                idempotency_seconds=settings.idempotency_seconds,
                effect_seconds=settings.effects_seconds,
                evidence_seconds=settings.evidence_seconds,
                evidence_rows=settings.evidence_rows,
            ),
        )
    except ValueError:  # its words can hold a part of the password
        raise errors.InvalidResource(
            "PENSTOCK_REDIS_URL cannot be used: write redis://USER:PASSWORD@HOST:PORT, or rediss:// "
            "for TLS, with what is special in the password percent-encoded"
        ) from None


async def _serve(
    settings: WorkerSettings, agent: loop.Agent, store: Store, child: _Child | None
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        if child:
            await suspects.Suspects(
                store, agent, _duty(settings, child.consumer), child.report
            ).run(stop)
        else:
            await _work(settings, agent, store, stop)
    finally:
        await store.aclose()
        await agent.tools.aclose()
        await agent.model.aclose()


async def _work(
    settings: WorkerSettings, agent: loop.Agent, store: Store, stop: asyncio.Event
) -> None:
    consumer = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    spawn = children.Spawner(dict(os.environ), settings.drain_seconds)
    pool = Pool(store, agent, _duty(settings, consumer), spawn)
    probes = health.make_server(
        health.Probes(lambda: pool.problem, pool.children.counts), *settings.address
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(probes.serve(), name="probes")
        log.info("worker started", listen=settings.listen)
        await pool.run(stop)
        probes.should_exit = True
    log.info("worker stopped")


def _duty(settings: WorkerSettings, consumer: str) -> Duty:
    return Duty(
        agent=settings.key,
        revision=names.hash_of(settings.revision),
        consumer=consumer,
        concurrency=settings.concurrency,
        heartbeat_seconds=settings.heartbeat_seconds,
        claim_idle_seconds=settings.claim_idle_seconds,
        sign_seconds=settings.sign_seconds,
        poll_seconds=settings.poll_seconds,
        drain_seconds=settings.drain_seconds,
    )
