"""The worker process: read the revision, work until SIGTERM, hand back what is not done."""

import asyncio
import secrets
import signal
import socket
import sys

from penstock import errors, names
from penstock_runtime import logs
from penstock_runtime.agent import loop
from penstock_runtime.settings import WorkerSettings, read_worker_settings
from penstock_runtime.worker import boot, health
from penstock_runtime.worker.pool import Duty, Pool
from penstock_store.store import Store

log = logs.get()


def main() -> int:
    """Run a worker. Returns the exit code: 0 after SIGTERM, 1 when it cannot start at all.

    The reason is the last line of stderr: it is shown on the Agent.
    """
    try:
        settings = read_worker_settings()
        logs.configure(settings.log_level, agent=str(settings.key), revision=settings.revision)
        agent = boot.equip(settings, boot.load_revision(settings))
        store = _store(settings)
    except errors.PenstockError as error:
        sys.stderr.write(f"penstock worker: {error}\n")
        return 1
    asyncio.run(_serve(settings, agent, store))
    return 0


def _store(settings: WorkerSettings) -> Store:
    try:
        return Store.connect(
            settings.redis_url,
            installation=settings.installation,
            ca_file=settings.redis_ca_file,
        )
    except ValueError as error:
        raise errors.InvalidResource(f"PENSTOCK_REDIS_URL cannot be used: {error}") from error


async def _serve(settings: WorkerSettings, agent: loop.Agent, store: Store) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = Pool(store, agent, _duty(settings))
    probes = health.make_server(health.Probes(lambda: pool.ready), *settings.address)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(probes.serve(), name="probes")
            log.info("worker started", listen=settings.listen)
            await pool.run(stop)
            probes.should_exit = True
    finally:
        await store.aclose()
        await agent.tools.aclose()
    log.info("worker stopped")


def _duty(settings: WorkerSettings) -> Duty:
    return Duty(
        agent=settings.key,
        revision=names.hash_of(settings.revision),
        consumer=f"{socket.gethostname()}-{secrets.token_hex(4)}",
        concurrency=settings.concurrency,
        heartbeat_seconds=settings.heartbeat_seconds,
        claim_idle_seconds=settings.claim_idle_seconds,
        poll_seconds=settings.poll_seconds,
        drain_seconds=settings.drain_seconds,
    )
