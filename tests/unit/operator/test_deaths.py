"""An operator dies before or after any of its writes, or one is refused: all ends as it would have.

What is decided stands in one status. The next operator goes by that, and notes it wherever it is not yet.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import pytest

from penstock import names
from penstock.names import AgentKey
from penstock.traffic import Route
from penstock_operator.cluster.client import ClusterError
from penstock_operator.cluster.kinds import RECORD, WATCHED, Kind, Object
from penstock_operator.reconcile.reconciler import Reconciler
from tests.unit.operator import worlds
from tests.unit.operator.calm import KEY, Calm
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.worlds import cut

V1, V2, V3 = "Be kind.", "Be brief.", "Be rude."
#: What decides, as a status has it.
_DECIDED = (
    "stableRevision",
    "canaryRevision",
    "attempt",
    "share",
    "stage",
    "heldPercent",
    "answeredRequests",
)
_NONCE = "second"
_WATCHED = {kind.kind: kind for kind in WATCHED}


News = Callable[["Mortal"], None]


class Fate(Enum):
    """What happens after so many writes: the operator dies, or the API server refuses the last of them."""

    DIES = auto()
    REFUSED = auto()


class Died(BaseException):
    """What no handler of the operator's may catch."""


@dataclass
class Mortal(Calm):
    """Keeps all that is written, and lets nothing through from the moment of a death on."""

    writes: int = 0
    fate: Fate | None = None
    at: int = 0

    def _may(self) -> None:
        self.writes += 1
        if self.fate is Fate.REFUSED and self.writes == self.at:
            raise ClusterError(409, "another has written meanwhile")
        if self.fate is Fate.DIES and self.writes > self.at:
            raise Died

    def _done(self) -> None:
        if self.fate is Fate.DIES and self.writes == self.at:
            raise Died

    async def put(self, key: AgentKey, route: Route, **more: Any) -> None:
        self._may()
        await super().put(key, route, **more)
        self._done()

    async def apply(self, kind: Kind, obj: Object, manager: str) -> Object:
        self._may()
        made = await super().apply(kind, obj, manager)
        self._done()
        return made

    async def replace_status(self, kind: Kind, obj: Object) -> Object:
        self._may()
        made = await super().replace_status(kind, obj)
        self.objects[kind.kind, obj["metadata"]["name"]] = made
        self._done()
        return copy.deepcopy(made)

    async def create(self, kind: Kind, obj: Object) -> Object:
        self._may()
        made = await super().create(kind, obj)
        self._done()
        return made

    async def get(self, kind: Kind, _namespace: str, name: str) -> Object | None:  # type: ignore[override]
        return copy.deepcopy(self.objects.get((kind.kind, name)))

    def declare(self, instructions: str) -> None:
        """A person applies a template."""
        made = self.objects.get(("Agent", "support"), {"status": {}, "metadata": {}})
        declared = worlds.agent(instructions)
        metadata = {**declared["metadata"], "annotations": made["metadata"].get("annotations", {})}
        self.objects["Agent", "support"] = self.written(
            {**declared, "metadata": metadata, "status": made["status"]}
        )

    def ask(self, request: str) -> None:
        """A person annotates the AgentRollout, or the Agent where there is none; with nothing: takes it back."""
        governed = ("AgentRollout", "support") in self.objects
        place = ("AgentRollout" if governed else "Agent", "support")
        made = copy.deepcopy(self.objects[place])
        made["metadata"].setdefault("annotations", {})[names.ANNOTATION_REQUEST] = request
        self.objects[place] = self.written(made)

    def heir(self) -> Reconciler:
        """An operator that knows what is written, and nothing else."""
        made = self.reconciler()
        for (kind, _), obj in self.objects.items():
            made.sources.cache.observe(_WATCHED[kind], copy.deepcopy(obj))
        return made

    async def live(self, passes: int = 6) -> None:
        """An operator begins, and makes so many passes unless it dies."""
        operator = self.heir()
        for _ in range(passes):
            with contextlib.suppress(ClusterError):
                await operator.reconcile(KEY)
            self.boot.seconds += 1

    @property
    def decided(self) -> dict[str, Any]:
        """The status that decides."""
        governs = self.objects.get(("AgentRollout", "support"))
        found: dict[str, Any] = (governs or self.objects["Agent", "support"])["status"]
        return found

    @property
    def noted(self) -> dict[str, Any]:
        """The verdict on each record, and the revisions in the order of their promotions."""
        records = [
            obj["metadata"] for (kind, _), obj in self.objects.items() if kind == RECORD.kind
        ]
        notes = {one["name"]: one["annotations"] for one in records}
        places = {
            name: int(place)
            for name, of in notes.items()
            if (place := of.get(names.ANNOTATION_PROMOTED))
        }
        verdicts = {name: of.get(names.ANNOTATION_VERDICT) for name, of in notes.items()}
        return {
            "verdicts": {name: json.loads(told) for name, told in verdicts.items() if told},
            "promoted": sorted(places, key=places.__getitem__),
        }

    def end(self) -> dict[str, Any]:
        """What is left of it all, without the moments."""
        agent = self.objects["Agent", "support"]["status"]
        return {
            "decided": {name: self.decided.get(name) for name in _DECIDED},
            "verdicts": [_timeless(verdict) for verdict in self.decided.get("verdicts", ())],
            "answer": _timeless(self.decided.get("lastRequest") or {}),
            "stable": agent.get("stableRevision"),
            "rejected": [_timeless(one) for one in agent.get("rejected", ())],
            "records": {name: _timeless(told) for name, told in self.noted["verdicts"].items()},
            "promoted": self.noted["promoted"],
            "route": self.stored[3:6],
        }


def _timeless(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "at"}


async def serves() -> Mortal:
    """V1 serves everybody."""
    made = Mortal()
    made.declare(V1)
    made.objects["AgentRollout", "support"] = made.written(rollout())
    await made.live()
    return made


async def tries() -> Mortal:
    """V1 serves, V2 is tried."""
    made = await serves()
    made.declare(V2)
    await made.live()
    return made


async def carried_out(made: Mortal, verb: str, instructions: str) -> Mortal:
    """A story in which a request was answered."""
    made.ask(f"{verb}/{cut(instructions).name}/first")
    await made.live()
    return made


async def rejected() -> Mortal:
    """V1 serves, V2 was aborted."""
    return await carried_out(await tries(), "abort", V2)


async def promoted() -> Mortal:
    """V2 serves after V1 did."""
    return await carried_out(await tries(), "promote-full", V2)


async def alone() -> Mortal:
    """V2 serves after V1 did, without an AgentRollout."""
    made = Mortal()
    for text in (V1, V2):
        made.declare(text)
        await made.live()
    return made


async def undone() -> Mortal:
    """V1 serves again, without an AgentRollout."""
    return await carried_out(await alone(), "undo", V1)


async def climbs() -> Mortal:
    """V2 is the first revision, and serves few users."""
    made = Mortal()
    made.declare(V2)
    policy = rollout(strategy={"firstRevision": "Steps"})
    made.objects["AgentRollout", "support"] = made.written(policy)
    await made.live()
    return made


def declares(instructions: str) -> News:
    return lambda mortal: mortal.declare(instructions)


def asks(verb: str, instructions: str) -> News:
    return lambda mortal: mortal.ask(f"{verb}/{cut(instructions).name}/{_NONCE}")


STORIES = [
    pytest.param(serves, declares(V2), id="a template"),
    pytest.param(tries, declares(V3), id="another template"),
    pytest.param(tries, declares(V1), id="the template of before"),
    pytest.param(tries, asks("abort", V2), id="abort"),
    pytest.param(tries, asks("promote-full", V2), id="promote"),
    pytest.param(climbs, asks("promote-full", V2), id="promote the first"),
    pytest.param(climbs, asks("abort", V2), id="abort the first"),
    pytest.param(tries, asks("undo", V1), id="undo what is tried"),
    pytest.param(rejected, asks("retry", V2), id="retry"),
    pytest.param(promoted, asks("undo", V1), id="undo what serves"),
    pytest.param(alone, asks("undo", V1), id="undo alone"),
    pytest.param(undone, asks("retry", V2), id="retry alone"),
]


async def told(before: Callable[[], Awaitable[Mortal]], news: News) -> tuple[Mortal, Mortal]:
    """A story as it begins with the news, and as it ends undisturbed."""
    begun = await before()
    news(begun)
    undisturbed = copy.deepcopy(begun)
    await undisturbed.live()
    assert undisturbed.writes - begun.writes > 3, "it writes something"
    return begun, undisturbed


async def disturbed(begun: Mortal, fate: Fate, at: int) -> Mortal:
    """The story up to a write at which something happens, a minute before anybody goes on."""
    mortal = copy.deepcopy(begun)
    mortal.fate, mortal.at = fate, begun.writes + at
    with contextlib.suppress(Died):
        await mortal.live()
    assert mortal.writes >= mortal.at, "it comes to this write"
    mortal.fate = None
    mortal.boot.seconds += 60
    return mortal


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize(("before", "news"), STORIES)
async def test_whatever_happens_at_a_write_all_ends_as_undisturbed(
    before: Any, news: News, fate: Fate
) -> None:
    begun, undisturbed = await told(before, news)
    for at in range(undisturbed.writes - begun.writes + 1):
        mortal = await disturbed(begun, fate, at)
        decided = mortal.decided.get("verdicts", [])
        await mortal.live()
        assert mortal.end() == undisturbed.end(), f"write {at}"
        assert mortal.decided.get("verdicts", [])[: len(decided)] == decided, "taken over whole"
        last = {verdict["revision"]: verdict for verdict in mortal.decided.get("verdicts", ())}
        noted = mortal.noted["verdicts"]
        assert {name: noted[name] for name in last} == last, "what is decided is what is noted"


@pytest.mark.parametrize(
    "later", [declares(V3), lambda mortal: mortal.ask("")], ids=["V3", "taken back"]
)
@pytest.mark.parametrize(("before", "news"), STORIES[3:])
async def test_what_was_answered_stays_so_whatever_comes_before_the_next_operator(
    before: Any, news: News, later: News
) -> None:
    begun, heard = await told(before, news)
    unheard, writes = copy.deepcopy(begun), heard.writes - begun.writes
    for one in (heard, unheard):
        later(one)
        await one.live()
    for at in range(writes + 1):
        mortal = await disturbed(begun, Fate.DIES, at)
        answer = mortal.decided.get("lastRequest") or {}
        mine = answer.get("value", "").endswith(f"/{_NONCE}")
        answered = mine and answer["result"] == "Accepted"
        later(mortal)
        await mortal.live()
        assert mortal.end() == (heard if answered else unheard).end(), f"write {at}"
