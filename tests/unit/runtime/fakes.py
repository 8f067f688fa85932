"""A store in memory that fails as it is told to, and the agent whose tasks it holds."""

import asyncio
import itertools
from types import SimpleNamespace

from penstock.api.restrictions import NO_RESTRICTIONS
from penstock.money import prices
from penstock.money.prices import Tokens
from penstock.names import AgentKey
from penstock.task import Priority, Task, TaskStatus, Usage
from penstock_runtime import instrumentation
from penstock_runtime.agent import loop
from penstock_runtime.agent.context import LIVE
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models import pricing, retrying
from penstock_runtime.agent.models.access import LastWord
from penstock_runtime.agent.models.model import Reply
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.agent.tools.toolset import ToolResult
from penstock_runtime.worker import boot
from penstock_runtime.worker.crew import Duty
from penstock_store.brakes import Brakes
from penstock_store.breaks import Breaks
from penstock_store.records import Claim, Directive

AGENT = AgentKey("shop", "support")
FREE = pricing.Fixed(prices.flat("0", "0"), prices.Overhead(0, 0, 0))
DONE = Reply(({"type": "text", "text": "done"},), "end_turn", Tokens(10, 5))


def claim(number=0, text="next", **more):
    stored = {
        "session": "", "started_ms": 0, "deliveries": 1, "usage": Usage(),
        **{name: more.pop(name) for name in ("usage", "deliveries") if name in more},
    }  # fmt: skip
    task = Task(
        f"task-{number}", AGENT, "rev", TaskStatus.RUNNING, text, "t", "u",
        type="", priority=Priority.NORMAL, metadata={}, route_version=1, trace_id="0" * 32,
        created_ms=1, **stored,
    )  # fmt: skip
    return Claim(f"claim-{number}", AGENT, "rev", task, "Normal", f"{number}-1", **more)


def duty(**more):
    told = {
        "agent": AGENT, "revision": "rev", "consumer": "me", "concurrency": 32,
        "heartbeat_seconds": 0.02, "claim_idle_seconds": 0.2, "poll_seconds": 0.02,
        "drain_seconds": 0.2,
    }  # fmt: skip
    return Duty(**{**told, **more})


class Model:
    """Answers as ``answer`` says, a function of the task's input."""

    def __init__(self, answer=lambda text: DONE):
        self.answer = answer
        self.asked = []

    async def reply(self, request):
        text = request.messages[0]["content"]
        self.asked.append(text)
        said = self.answer(text)
        return await said if asyncio.iscoroutine(said) else said

    async def count_tokens(self, request):
        return None

    def renew_credentials(self):
        return False


def agent(template, model=None, **limits):
    made = template(tools=[], **limits)
    last_word = LastWord()
    meter = instrumentation.Meter(AGENT, "support-rev", made.model.name)
    return loop.Agent(
        template=made,
        model=boot.layered_model(
            model or Model(), FREE, meter, last_word, retrying.Policy(0, 0.01)
        ),
        toolbox=toolbox.build(()),
        tools=SimpleNamespace(),
        meter=meter,
        prices=FREE,
        last_word=last_word,
    )


class Tools:
    """Answers every call alike and keeps what was asked."""

    def __init__(self, result=None):
        self.calls = []
        self.result = result or ToolResult("shipped", ok=True)

    async def call(self, request):
        if request.before_sending is not None:
            await request.before_sending()
        self.calls.append((request.tool.name, request.input, request.headers))
        return self.result


class Notebook:
    """Keeps what is saved; says a directive at the save of that number, and from then on."""

    task_id = "task"
    trace_id = "0" * 32
    context = LIVE
    ledger = None
    answers = None
    restrictions = NO_RESTRICTIONS

    def __init__(self, stop_at=None, directive=Directive.GIVE_BACK):
        self.saved = []
        self.events = []
        self.stop_at = stop_at
        self.directive = directive
        self.milliseconds = 0

    def wall_ms(self):
        self.milliseconds += 1
        return self.milliseconds

    async def save(self, run, events, *, replicated=False, next_call=None):
        self.saved.append(run)
        self.events += events
        if self.stop_at is not None and len(self.saved) >= self.stop_at:
            raise Interrupted(self.directive)

    async def park(self, run, asked):
        self.saved.append(run)
        self.asked = asked
        raise Interrupted(Directive.PARK)

    def hand_over(self):
        self.stop_at, self.directive = len(self.saved) + 1, Directive.HAND_OVER

    async def interruptible(self, call):
        return await call


class Store:
    """Hands out ``waiting`` and keeps how tasks ended; each call may be replaced by a failure."""

    def __init__(self, *waiting):
        self.claims = self.queue = self.ledger = self
        self.brakes, self.breaks = Brakes(), Breaks()
        self.waiting = list(waiting)
        self.finished = {}
        self.calls = []
        self.failing = {}  # by call: a function of its arguments that raises, or returns
        self.directives = {}
        self.news = asyncio.Event()
        self.told = []

    def _called(self, name, *arguments):
        self.calls.append((name, *arguments))
        self.news.set()
        if fail := self.failing.get(name):
            fail(*arguments)

    def times(self, name):
        return sum(call[0] == name for call in self.calls)

    async def until(self, condition, seconds=60.0):
        """Wait until a condition of no arguments is true; looked at after each call."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def ping(self):
        self._called("ping")

    async def take(self, agent, revision, consumer, limit, opening=None):
        self._called("claim", limit)
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def wait_for_work(self, agent, revision, seconds, *, copies=False):
        self._called("wait_for_work")
        await asyncio.sleep(seconds)
        return ""

    async def heartbeat(self, claims, consumer, telling=None, *, more=False):
        if telling:
            self.told.append(telling)
        if claims:
            self._called("heartbeat", [one.id for one in claims])
        return {one.id: self.directives.get(one.id, Directive.CONTINUE) for one in claims}

    async def name_all(self, agent, consumer):
        self._called("name_all")
        self.breaks.all_said(agent, consumer, self.breaks.last(agent))

    async def checkpoint_and_reserve(self, held, state, usage, events, **_more):
        self._called("checkpoint", held.id, state)
        return self.directives.get(held.id, Directive.CONTINUE), None

    async def finish(self, held, outcome, usage, history=None, settle=()):
        self._called("finish", held.id)
        self.finished[held.task.id] = outcome
        return True

    async def finish_step(self, held, outcome, usage, history, events, settle=()):
        self._called("finish_step", held.id, events)
        said = self.directives.get(held.id, Directive.CONTINUE)
        if said is Directive.CONTINUE:
            await self.finish(held, outcome, usage, history)
        return said

    async def release(self, held, settle=(), *, to_stable=False):
        self._called("release", held.id)
        return True

    async def part(self, agent, revision, idle_ms):
        self._called("part")
        return 0

    async def leave(self, agent, revision, consumer):
        self._called("leave", consumer)
        return 0


def failing(error, times=None, when=lambda *arguments: True):
    """A failure: the first ``times`` calls for which ``when`` holds (all, without a number)."""
    left = itertools.count() if times is None else iter(range(times))

    def fail(*arguments):
        if when(*arguments) and next(left, None) is not None:
            raise error

    return fail
