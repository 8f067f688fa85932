"""One agent with its revisions, tasks and workers, on a real Redis and the fake Messages server."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import uuid

from penstock import names, revision, task, traffic
from penstock.guard import unguarded
from penstock_runtime.settings import WorkerSettings
from penstock_runtime.worker import boot
from penstock_runtime.worker.children import Spawner
from penstock_runtime.worker.crew import Duty
from penstock_runtime.worker.pool import Pool
from penstock_store.store import Store

MODEL = "claude-sonnet-5-5"
ANY_INPUT = {"type": "object"}
TENANT = "test"


def tool(name, url, effect="ReadOnly", **more):
    """A tool that needs no approval unless ``more`` says so."""
    return {
        "name": name,
        "inputSchema": ANY_INPUT,
        "effect": effect,
        "approval": {"mode": "None"},
        "http": {"url": url},
        **more,
    }


def template(
    script, tools=(), limits=None, messages=None, tiers=(), cache=None, oversight=None, **model
):
    """An agent's template whose model follows a script."""
    return {
        "instructions": "Help.\n#fake " + json.dumps(script),
        "model": {"name": MODEL, **model},
        "tools": list(tools),
        "limits": limits or {},
        **({"messages": messages} if messages else {}),
        **({"tiers": list(tiers)} if tiers else {}),
        **({"cache": cache} if cache else {}),
        **({"oversight": oversight} if oversight else {}),
    }


#: Of those who wait for what must come; each worker is a process that must start first.
PATIENCE_SECONDS = 240.0


class Shop:
    """Releases revisions, submits tasks, runs workers, and waits for what becomes of it all."""

    def __init__(self, redis_url, model_url, directory):
        self.redis_url = redis_url
        self.model_url = model_url
        self.directory = directory
        self.store = Store.connect(redis_url, guard=unguarded, timeout_seconds=30)
        self.agent = names.AgentKey("test", f"agent-{uuid.uuid4().hex[:8]}")
        self.version = 0
        self.standings = {}
        self.processes = []

    async def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        await self.store.aclose()

    # -- revisions

    async def release(self, script, **more):
        """Cut a revision and give it all traffic."""
        cut = revision.cut(self.agent.name, template(script, **more), {}, "penstock:test")
        (self.directory / f"{cut.name}.json").write_text(json.dumps(cut.document()))
        self.standings[cut.hash] = [cut, traffic.Standing.OPEN]
        await self.route(cut)
        return cut

    async def route(self, stable, *, suspended=False, restrictions="", **standings):
        self.version += 1
        for cut_hash, standing in standings.items():
            self.standings[cut_hash.removeprefix("h")][1] = standing
        routed = {
            cut_hash: traffic.RoutedRevision(
                cut_hash, standing, cut.limits, messages=messages(cut.template)
            )
            for cut_hash, (cut, standing) in self.standings.items()
        }
        route = traffic.Route(
            "uid-1",
            1,
            self.version,
            traffic.Split(stable.hash, suspended=suspended),
            restrictions=restrictions,
            revisions=routed,
        )
        await self.store.routes.put(self.agent, route)

    # -- tasks

    async def submit(
        self, text="Where is A1?", session="", user="u", kind="", tenant=TENANT, drawn=b""
    ):
        identifier = task.task_id(self.agent, drawn or secrets.token_bytes(16))
        submission = task.Submission(
            text,
            tenant,
            user=user,
            session=session,
            type=kind,
            trace_id=secrets.token_hex(16),
        )
        await self.store.tasks.admit(self.agent, identifier, submission)
        return identifier

    async def task(self, identifier):
        return await self.store.tasks.get(identifier, TENANT)

    async def ended(self, identifier, seconds=PATIENCE_SECONDS):
        """The task once it has ended."""
        async with asyncio.timeout(seconds + 5):
            deadline = asyncio.get_running_loop().time() + seconds
            after = ""
            while not (seen := await self.task(identifier)).status.ended:
                assert asyncio.get_running_loop().time() < deadline, f"still {seen}"
                events = await self.store.notifications.wait(identifier, after, 1.0)
                after = events[-1].id if events else after
            return seen

    async def until(self, condition, seconds=PATIENCE_SECONDS):
        """Wait for a condition (of no arguments, async) to be true and return its value."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (value := await condition()):
            assert asyncio.get_running_loop().time() < deadline, f"never true: {condition}"
            await asyncio.sleep(0.02)
        return value

    async def older_than(self, identifier, milliseconds):
        look = await self.store.routes.look(self.agent, [])
        return look.now_ms - (await self.task(identifier)).created_ms > milliseconds

    async def event(self, identifier, kind):
        """The first event of a kind, once it is there."""

        async def found():
            events = await self.store.notifications.events(identifier)
            return next((event for event in events if event.type == kind), None)

        return await self.until(found)

    async def starts(self, identifier):
        """How often a process has begun to work on a task."""
        return sum(
            each.type == "started" for each in await self.store.notifications.events(identifier)
        )

    # -- workers

    def environment(self, cut, **more):
        return {
            "PENSTOCK_NAMESPACE": self.agent.namespace,
            "PENSTOCK_AGENT": self.agent.name,
            "PENSTOCK_REVISION": cut.name,
            "PENSTOCK_REVISION_FILE": str(self.directory / f"{cut.name}.json"),
            "PENSTOCK_REVISION_DIGEST": revision.digest(cut.document()),
            "PENSTOCK_REDIS_URL": self.redis_url,
            "PENSTOCK_MODEL_URL": self.model_url,
            "PENSTOCK_LISTEN": "127.0.0.1:0",
            "PENSTOCK_RETRY_BASE_SECONDS": "0.01",
            "PENSTOCK_BREAKER_SECONDS": "0.01",  # all tests ask the same model
            "PENSTOCK_HEARTBEAT_SECONDS": "0.3",
            "PENSTOCK_CLAIM_IDLE_SECONDS": "2",
            "PENSTOCK_POLL_SECONDS": "0.5",
            "PENSTOCK_SIGN_SECONDS": "0",  # nothing is lost here but where a test says so
            "PENSTOCK_DRAIN_SECONDS": "0.5",
            **more,
        }

    def settings(self, cut, **more):
        told = self.environment(cut, **more)
        return WorkerSettings(
            **{name.removeprefix("PENSTOCK_").lower(): value for name, value in told.items()}
        )

    @contextlib.asynccontextmanager
    async def pool(self, cut, *, breakers=False, **more):
        """A worker inside this process; cancelled, it leaves its tasks as a killed one would."""
        settings = self.settings(cut, **more)
        store = self.store if breakers else None
        agent = boot.equip(settings, boot.load_revision(settings), store)
        stop = asyncio.Event()
        spawn = Spawner({**os.environ, **self.environment(cut, **more)}, settings.drain_seconds)
        pool = Pool(self.store, agent, duty(settings), spawn)
        running = asyncio.create_task(pool.run(stop))
        try:
            yield running
        finally:
            stop.set()
            await asyncio.wait([running])
            await agent.tools.aclose()
            await agent.model.aclose()
        if not running.cancelled():
            running.result()

    async def run(self, script, *, text="Where is A1?", session="", **more):
        """Release, submit one task, and return it ended."""
        cut = await self.release(script, **more)
        identifier = await self.submit(text, session)
        async with self.pool(cut):
            return await self.ended(identifier)

    def worker(self, cut, *, program="penstock_runtime.worker", output=subprocess.PIPE, **more):
        """A worker in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", program],
            env={**os.environ, **self.environment(cut, **more)},
            stdout=output,
            stderr=output,
            text=True,
        )
        self.processes.append(process)
        return process


def messages(declared):
    """What end users read, as the operator routes it."""
    said = declared.messages
    if said is None:
        return traffic.Messages()
    return traffic.Messages(said.escalated, said.unavailable, said.blocked)


def duty(settings):
    """The duty of a worker inside this process."""
    return Duty(
        agent=settings.key,
        revision=names.hash_of(settings.revision),
        consumer=secrets.token_hex(4),
        concurrency=settings.concurrency,
        heartbeat_seconds=settings.heartbeat_seconds,
        claim_idle_seconds=settings.claim_idle_seconds,
        poll_seconds=settings.poll_seconds,
        drain_seconds=settings.drain_seconds,
    )


def killed(process):
    """Kill a worker as a lost node would."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
