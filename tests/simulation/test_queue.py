"""Random histories of admissions, workers that live and die, rollbacks and cancellations.

Each history runs on the real scripts in a real Redis. Every call is one atomic step there, so a
random order of calls is as good as concurrency. ``PENSTOCK_SEED`` and ``PENSTOCK_HISTORIES``
choose the first seed and how many histories are tried.
"""

from __future__ import annotations

import os
import random
import uuid
from collections import Counter, defaultdict

import pytest
from redis.asyncio import Redis

from penstock import names, outcomes, task, traffic
from penstock.guard import unguarded
from penstock_store import keys, testing
from penstock_store.records import Directive
from penstock_store.scripts import Retention
from penstock_store.store import Store
from tests.routes import changed

FIRST_SEED = int(os.environ.get("PENSTOCK_SEED", "2026"))
HISTORIES = int(os.environ.get("PENSTOCK_HISTORIES", "100"))
STEPS = 45
MOST_ROUNDS = 100  # after them, work that is left would stay for ever
STABLE, CANARY = "aaaa0000", "bbbb1111"
NOT_OPEN = (*(one for one in traffic.Standing if one is not traffic.Standing.OPEN), None)
TENANT = "t"
RETENTION = Retention(orphan_idle_ms=0, quiet_ms=0)
ENDS = (
    task.Outcome(task.TaskStatus.SUCCEEDED, output="ok"),
    task.Outcome(task.TaskStatus.FAILED, task.OutcomeReason.TOOL_ERROR, "no"),
    task.Outcome(task.TaskStatus.ESCALATED, task.OutcomeReason.REFUSAL, "no"),
)
KEPT_WITHOUT_END = (
    ":route", ":revisions", ":rev:", ":q:", ":users:", ":outcomes",
    ":tail", ":recent", ":waits", ":versions",
)  # fmt: skip
pytestmark = pytest.mark.redis


class History:
    """One agent, its workers, and what must be true of them."""

    def __init__(self, store, raw, seed):
        self.random = random.Random(seed)
        self.store = store
        self.raw = raw
        self.agent = names.AgentKey("sim", f"agent-{seed}")
        self.route = traffic.Route("uid-0", 1, 0, traffic.Split(STABLE, CANARY, 50, "salt"))
        self.standing = traffic.Standing.OPEN  # of the canary; None: it is not listed
        self.admitted = {}  # task id -> session
        self.held = []  # claims that a living worker believes it has
        self.stale = []  # claims of workers that came back from the dead
        self.latest = {}  # task id -> the claim id given out last
        self.ended_by = {}  # task id -> outcome that a finish was told is written
        self.told = []  # what happened, for the failure message
        self.seen = Counter()  # what the end of it was like

    # -- one step ----------------------------------------------------------------------------

    async def step(self):
        acts = {
            self.admit: 18,
            self.claim: 6,
            self.finish: 5,
            self.checkpoint: 3,
            self.heartbeat: 2,
            self.release: 2,
            self.crash: 2,
            self.reclaim: 3,
            self.leave: 0.3,
            self.write_late: 2,
            self.cancel: 2,
            self.change_share: 1,
            self.change_standing: 3,
            self.suspend_or_resume: 3 if self.route.split.suspended else 0.7,
            self.rehome: 3,
            self.recreate: 0.15,
        }
        (act,) = self.random.choices(list(acts), list(acts.values()))
        self.told.append(act.__name__)
        await act()

    def pick(self, claims):
        return self.random.choice(claims) if claims else None

    def revision(self):
        return self.random.choice((STABLE, CANARY))

    async def admit(self):
        identifier = task.task_id(self.agent, self.random.randbytes(16))
        session = self.random.choice(("", "", "a", "b", "c"))
        key = self.random.choice(("", "", "", "k1", "k2"))
        submission = task.Submission(
            f"hi {session}",
            TENANT,
            user=session or self.random.choice("uvwxyz"),
            session=session,
            priority=self.random.choice(task.LANES),
            idempotency_key=key and f"{key}-{self.random.randrange(4)}",
        )
        try:
            admission = await self.store.tasks.admit(self.agent, identifier, submission)
        except Exception as error:
            if getattr(error, "problem", "") not in ("agent-suspended", "idempotency-key-reused"):
                raise
            return
        assert admission.existed == (admission.task in self.admitted)
        self.admitted.setdefault(admission.task, session)

    async def take(self, claims):
        for claim in claims:
            await self.check_session_is_free(claim)
            assert claim.id not in self.latest.values(), "a claim id was given out twice"
            self.latest[claim.task.id] = claim.id
            self.stale += [held for held in self.held if held.task.id == claim.task.id]
            self.held = [held for held in self.held if held.task.id != claim.task.id]
        self.held += claims

    async def claim(self):
        limit = self.random.randint(1, 4)
        await self.take(await self.store.claims.take(self.agent, self.revision(), "w", limit))

    async def reclaim(self):
        revision = self.revision()
        await self.store.queue.part(self.agent, revision, 0)
        for _ in range(self.random.randint(1, 4)):
            await self.take(await self.suspects(revision))

    async def suspects(self, revision):
        """A waiting group of suspects, in a process of its own, which at times is seen to die."""
        consumer = uuid.uuid4().hex
        group = await self.store.claims.take_suspects(self.agent, revision, consumer)
        if group and self.random.random() < 0.2:
            self.told.append("bury")
            await self.store.queue.bury(self.agent, revision, consumer)
        return group

    async def leave(self):
        revision = self.revision()
        await self.store.claims.leave(self.agent, revision, "w")
        left = [one for one in self.held if (one.consumer, one.revision) == ("w", revision)]
        self.stale += left
        self.held = [claim for claim in self.held if claim not in left]

    async def end(self, claim, outcome):
        written = await self.store.claims.finish(claim, outcome, task.Usage(1), b"h")
        if written:
            assert self.latest[claim.task.id] == claim.id, "a lost claim ended a task"
            before = self.ended_by.setdefault(claim.task.id, (claim.id, outcome))
            assert before[0] == claim.id, "two claims ended one task"
        return written

    async def finish(self):
        if claim := self.pick(self.held):
            self.held.remove(claim)
            await self.end(claim, self.random.choice(ENDS))
            self.stale.append(claim)

    async def give_back(self, claim):
        if await self.store.claims.release(claim):
            assert self.latest[claim.task.id] == claim.id, "a lost claim gave a task back"

    async def checkpoint(self):
        if claim := self.pick(self.held):
            said = await self.store.claims.checkpoint(
                claim, b"\x00s", task.Usage(1), [("model", {})]
            )
            await self.obey(claim, said)

    async def heartbeat(self):
        for claim_id, said in (await self.store.claims.heartbeat(self.held, "w")).items():
            await self.obey(next(held for held in self.held if held.id == claim_id), said)

    async def obey(self, claim, said):
        if said is not Directive.LOST:
            assert self.latest[claim.task.id] == claim.id, "a lost claim was told to go on"
        if said is Directive.CONTINUE:
            return
        self.held.remove(claim)
        if said is Directive.GIVE_BACK:
            await self.give_back(claim)
        if said is Directive.CANCEL:
            await self.end(claim, task.Outcome(task.TaskStatus.CANCELLED))

    async def release(self):
        if claim := self.pick(self.held):
            self.held.remove(claim)
            await self.give_back(claim)
            self.stale.append(claim)

    async def crash(self):
        dead = [claim for claim in self.held if self.random.random() < 0.5]
        self.held = [claim for claim in self.held if claim not in dead]
        self.stale += dead

    async def write_late(self):
        if claim := self.pick(self.stale):
            act = self.random.choice((self.give_back, lambda late: self.end(late, ENDS[1])))
            await act(claim)

    async def cancel(self):
        if self.admitted:
            identifier = self.random.choice(list(self.admitted))
            assert await self.store.tasks.cancel(identifier, TENANT)

    # -- the operator --------------------------------------------------------------------------

    async def set_route(self, **changes):
        limits = traffic.RevisionLimits(1000, 600, 600)
        standings = {STABLE: traffic.Standing.OPEN, CANARY: self.standing}
        revisions = {
            name: traffic.RoutedRevision(name, standing, limits)
            for name, standing in standings.items()
            if standing
        }
        version = self.route.version + 1
        self.route = changed(self.route, version=version, revisions=revisions, **changes)
        await self.store.routes.put(self.agent, self.route)

    async def change_share(self):
        await self.set_route(percent=self.random.choice((0, 50, 50, 100)))

    async def change_standing(self):
        back = self.standing is not traffic.Standing.OPEN and self.random.random() < 0.6
        rejected = self.random.random() < 0.4 and traffic.Standing.REJECTED
        chosen = rejected or self.random.choice([*traffic.Standing, None])
        self.standing = traffic.Standing.OPEN if back else chosen
        kept = self.standing is traffic.Standing.OPEN
        await self.set_route(canary=CANARY if kept else "")

    async def suspend_or_resume(self):
        await self.set_route(suspended=not self.route.split.suspended)

    async def rehome(self):
        await self.store.queue.rehome(self.agent, CANARY, self.random.choice((1, 3, 200)))

    async def recreate(self):
        await self.set_route(uid=f"uid-{self.route.version}")

    # -- what must hold ------------------------------------------------------------------------

    async def check_session_is_free(self, claim):
        session = claim.task.session
        for held in self.held if session else ():
            other = held.task
            if other.session == session and other.id != claim.task.id:
                now = await self.store.tasks.get(other.id, TENANT)
                assert now.status is not task.TaskStatus.RUNNING, "two of a session run"

    async def settle(self):
        """The world calms down: workers work off all that there is.

        Half of the time the canary's have died, and only the operator sees to its work.
        """
        if self.route.split.suspended:
            await self.suspend_or_resume()
        alive = [STABLE, CANARY]
        if self.random.random() < 0.5:
            alive.remove(CANARY)
            self.standing = self.random.choice(NOT_OPEN)
            await self.set_route(canary="")
            self.seen[f"{self.standing or 'unlisted'}, its workers dead"] += 1
            self.stale += [held for held in self.held if held.task.revision == CANARY]
            self.held = [held for held in self.held if held.task.revision != CANARY]
        for _ in range(MOST_ROUNDS):
            for claim in self.held:
                await self.end(claim, ENDS[0])
            self.held = []
            await self.set_route()
            left = (await self.store.routes.look(self.agent, [STABLE])).work
            moved = 0
            for revision in left.keys() - {STABLE}:
                moved += await self.store.queue.rehome(self.agent, revision)
            for revision in alive:
                await self.take(await self.store.claims.take(self.agent, revision, "w", 50))
                await self.store.queue.part(self.agent, revision, 0)
                while group := await self.store.claims.take_suspects(self.agent, revision, "x"):
                    await self.take(group)
            if not moved and not self.held and not (left.keys() - {STABLE}):
                return
        raise AssertionError(f"{self.standing or 'unlisted'} still holds {left}")

    async def check_the_end(self):
        rows = await self.store.outcomes.rows(self.agent)
        count = Counter((row.kind, row.task) for row in rows)
        for identifier in self.admitted:
            ended = await self.store.tasks.get(identifier, TENANT)
            assert ended.status.ended, f"{identifier} is {ended.status}"
            assert count[outcomes.RowKind.ROUTED, identifier] == 1
            assert count[outcomes.RowKind.FINISHED, identifier] == 1
            assert count[outcomes.RowKind.STARTED, identifier] <= 1
            if identifier in self.ended_by:
                assert ended.outcome == self.ended_by[identifier][1]
        assert {identifier for _, identifier in count} == set(self.admitted)
        self.check_order(rows)
        await self.check_keys()

    def check_order(self, rows):
        """Tasks of a session were begun in the order in which they came."""
        came, began = defaultdict(list), defaultdict(list)
        for row in rows:
            session = self.admitted[row.task]
            if row.kind is outcomes.RowKind.ROUTED:
                came[session].append(row.task)
            if row.kind is outcomes.RowKind.STARTED:
                began[session].append(row.task)
        for session, order in began.items():
            if session:
                assert order == [one for one in came[session] if one in order]

    async def check_keys(self):
        tag = keys.AgentKeys(self.agent).tag
        async for key in self.raw.scan_iter(f"{tag}*", count=1000):
            name = key.decode().removeprefix(tag)
            if ":q:" in name:
                assert await self.raw.xlen(key) == 0, f"{name} is not empty"
            if not name.startswith(KEPT_WITHOUT_END):
                assert await self.raw.ttl(key) > 0, f"{name} stays for ever"


@pytest.fixture(scope="module", params=["bundled", "any"])
def server(request):
    binary = testing.bundled_server() if request.param == "bundled" else ""
    with testing.redis_server(binary, "--appendonly", "no") as running:
        yield running


@pytest.fixture
async def store(server):
    opened = Store.connect(server.url, guard=unguarded, retention=RETENTION, timeout_seconds=30)
    yield opened
    await opened.aclose()


@pytest.fixture
async def raw(server):
    client = Redis.from_url(server.url, protocol=2)
    yield client
    await client.aclose()


@pytest.mark.timeout(900)
async def test_every_accepted_task_ends_exactly_once_whatever_happens(store, raw):
    seeds = range(FIRST_SEED, FIRST_SEED + HISTORIES)
    print(f"seeds {seeds}")
    seen = Counter()
    for seed in seeds:
        history = History(store, raw, seed)
        try:
            await history.set_route()
            for _ in range(STEPS):
                await history.step()
            await history.settle()
            await history.check_the_end()
        except Exception as error:
            error.add_note(f"PENSTOCK_SEED={seed} PENSTOCK_HISTORIES=1: {' '.join(history.told)}")
            raise
        rows = await store.outcomes.rows(history.agent)
        seen.update(row.kind.name for row in rows)
        seen.update(history.told)
        seen.update(history.seen)
        await raw.flushall()
    print(dict(seen))
    assert min(seen[kind.name] for kind in outcomes.RowKind) > HISTORIES / 2
    if HISTORIES >= 100:
        for standing in NOT_OPEN:
            assert seen[f"{standing or 'unlisted'}, its workers dead"], seen
