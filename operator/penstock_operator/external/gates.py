"""The answers to all gates: asked for aside, so that no pass waits for anybody else's server."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import aiohttp

from penstock.analysis.gates import Answer, Said
from penstock.api.external import ExternalGate
from penstock.names import AgentKey
from penstock_operator import metrics
from penstock_operator.external import prometheus, servers
from penstock_operator.external.prometheus import Unasked
from penstock_operator.external.servers import Server, Servers

#: A gate is asked this long after its last answer, and after its last failure.
ASK_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 5.0
#: An answer counts for so long where later questions fail.
COUNTS_SECONDS: Final = 30.0
#: Questions in flight to one server, and of them those of one namespace: who asks for what is slow
#: keeps nobody else from asking.
MOST_AT_SERVER: Final = 32
MOST_OF_NAMESPACE: Final = 4

Ask = Callable[[aiohttp.ClientSession, Server, str], Awaitable[Said]]


@dataclass
class _Kept:
    """What is known of one gate: the last answer, why the last question failed, and what is in flight."""

    gate: ExternalGate
    said: Said | None = None
    answered: float = 0.0
    failure: str = ""
    failed: float = 0.0
    due: float = 0.0
    asking: asyncio.Task[None] | None = None


class Gates:
    """Asks for the gates of rollouts, one question in flight for each; ``look`` only says what is known."""

    def __init__(
        self, known: Servers, clock: Callable[[], float], ask: Ask = prometheus.ask
    ) -> None:
        self._servers = known
        self._clock = clock
        self._ask = ask
        self._kept: dict[AgentKey, dict[str, _Kept]] = {}
        self._in_flight: Counter[tuple[str, str]] = Counter()
        self._connections: aiohttp.ClientSession | None = None

    def look(
        self, key: AgentKey, gates: Iterable[ExternalGate], now: datetime, *, asks: bool
    ) -> dict[str, Answer]:
        """What is known of each gate, by name; asks anew for those that are due.

        Args:
            now: the moment of the decision; answers are told as of their age before it.
            asks: a canary is tried. Else nobody is asked, and what was known is forgotten.
        """
        found: dict[str, Answer] = {}
        wanted: dict[str, tuple[ExternalGate, str]] = {}
        for gate in gates:
            query = servers.query_for(self._servers, key.namespace, gate)
            if isinstance(query, Answer):
                found[gate.name] = query
            elif asks:
                wanted[gate.name] = (gate, query)
        kept = self._follow(key, {name: gate for name, (gate, _) in wanted.items()})
        for name, (_, query) in wanted.items():
            self._ask_if_due(key, kept[name], query)
            found[name] = self._known(kept[name], now)
        return found

    def forget(self, key: AgentKey) -> None:
        """Drop what is known of an agent, and stop asking for it."""
        self._follow(key, {})

    async def run(self) -> None:
        """Stand by for ever; at the end nothing is left in flight."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Stop asking."""
        tasks = [one.asking for kept in self._kept.values() for one in kept.values() if one.asking]
        for key in list(self._kept):
            self.forget(key)
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connections is not None:
            await self._connections.close()
            self._connections = None

    def _follow(self, key: AgentKey, wanted: Mapping[str, ExternalGate]) -> dict[str, _Kept]:
        """What is kept of the gates as they are declared now: an edited one is another."""
        before = self._kept.pop(key, {})
        after = {}
        for name, gate in wanted.items():
            known = before.get(name)
            same = known and (known.gate.address, known.gate.query) == (gate.address, gate.query)
            after[name] = known if known and same else _Kept(gate)
        for name, known in before.items():
            if known.asking and after.get(name) is not known:
                known.asking.cancel()
        if after:
            self._kept[key] = after
        return after

    def _ask_if_due(self, key: AgentKey, kept: _Kept, query: str) -> None:
        if kept.asking is not None or self._clock() < kept.due:
            return
        name = kept.gate.address
        if (
            self._in_flight[name, ""] >= MOST_AT_SERVER
            or self._in_flight[name, key.namespace] >= MOST_OF_NAMESPACE
        ):
            return  # the next pass finds it due
        self._in_flight.update([(name, ""), (name, key.namespace)])
        kept.asking = asyncio.create_task(
            self._question(kept, query), name=f"gate {key}/{kept.gate.name}"
        )
        kept.asking.add_done_callback(
            lambda _: self._in_flight.subtract([(name, ""), (name, key.namespace)])
        )

    async def _question(self, kept: _Kept, query: str) -> None:
        name, result = kept.gate.address, ""
        try:
            with metrics.EXTERNAL_SECONDS.labels(name).time():
                result = await self._answered(kept, name, query)
        finally:
            if not result:  # cancelled, or broken: its traceback is in the log
                self._fail(kept, "the operator could not ask")
            metrics.EXTERNAL_QUERIES.labels(name, result or "failed").inc()
            kept.asking = None

    async def _answered(self, kept: _Kept, name: str, query: str) -> str:
        """Ask, and keep what is said; how it went, in one word."""
        if self._connections is None:
            self._connections = prometheus.session()
        try:
            said = await self._ask(self._connections, self._servers[name], query)
        except Unasked as error:
            self._fail(kept, str(error))
            return "failed"
        kept.said, kept.answered = said, self._clock()
        kept.failure, kept.due = "", self._clock() + ASK_SECONDS
        return "no_number" if said.value is None else "answered"

    def _fail(self, kept: _Kept, why: str) -> None:
        kept.failure, kept.failed = why, self._clock()
        kept.due = self._clock() + RETRY_SECONDS

    def _known(self, kept: _Kept, now: datetime) -> Answer:
        """The last answer while it counts; then why there is none."""
        at = self._clock()
        if kept.said is not None and at - kept.answered <= COUNTS_SECONDS:
            return Answer(kept.said, now - timedelta(seconds=at - kept.answered))
        if kept.failure:
            return Answer(
                Said(problem=kept.failure), now - timedelta(seconds=max(at - kept.failed, 0.0))
            )
        if kept.said is not None and kept.asking is None:
            return Answer(Said(problem="too many questions to it are in flight"), now)
        return Answer()
