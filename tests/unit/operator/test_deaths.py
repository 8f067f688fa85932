"""An operator dies before or after any of its writes: the next one brings about the same, word for word."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

import pytest

from penstock import names
from penstock.names import AgentKey
from penstock.traffic import Route
from penstock_operator.cluster.kinds import RECORD, WATCHED, Kind, Object
from penstock_operator.reconcile.reconciler import Reconciler
from tests.unit.operator import worlds
from tests.unit.operator.calm import KEY, Calm
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.worlds import cut

V1, V2, V3 = "Be kind.", "Be brief.", "Be rude."
_NO_DEATH = 10_000
_DECIDED = frozenset(
    [
        "stableRevision",
        "canaryRevision",
        "latestRevision",
        "attempt",
        "share",
        "stage",
        "lastRequest",
        "held",
    ]
)
_WATCHED = {kind.kind: kind for kind in WATCHED}


class Died(BaseException):
    """What no handler of the operator's may catch."""


@dataclass
class Mortal(Calm):
    """Keeps all that is written, and lets nothing through from the moment of a death on."""

    writes: int = 0
    dies_at: int = _NO_DEATH
    after: bool = False

    def _may(self) -> None:
        self.writes += 1
        if self.writes > self.dies_at or (self.writes == self.dies_at and not self.after):
            raise Died

    def _done(self) -> None:
        if self.writes >= self.dies_at:
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
        made = self.objects.get(("Agent", "support"), {"status": {}})
        self.objects["Agent", "support"] = self.written(
            {**worlds.agent(instructions), "status": made["status"]}
        )

    def ask(self, request: str) -> None:
        """A person annotates the AgentRollout, or the Agent where there is none."""
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
            again = await operator.reconcile(KEY)
            assert again is not None
            self.boot.seconds += min(again.seconds, 1.0)

    def end(self) -> dict[str, Any]:
        """What is left of it all, without the moments and without what only grows."""
        rollout = self.objects.get(("AgentRollout", "support"), {"status": {}})["status"]
        agent = self.objects["Agent", "support"]["status"]
        records = [
            obj["metadata"] for (kind, _), obj in self.objects.items() if kind == RECORD.kind
        ]
        noted = {one["name"]: one["annotations"].get(names.ANNOTATION_VERDICT) for one in records}
        return {
            "rollout": {name: value for name, value in rollout.items() if name in _DECIDED},
            "agent": {name: value for name, value in agent.items() if name in _DECIDED},
            "rejected": [one["revision"] for one in agent.get("rejected", ())],
            "verdicts": [_timeless(verdict) for verdict in rollout.get("verdicts", ())],
            "records": {name: _timeless(json.loads(told)) for name, told in noted.items() if told},
            "route": self.stored[3:6],
        }


def _timeless(verdict: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in verdict.items() if name != "at"}


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


async def rejected() -> Mortal:
    """V1 serves, V2 was aborted."""
    made = await tries()
    made.ask(f"abort/{cut(V2).name}/1")
    await made.live()
    return made


async def promoted() -> Mortal:
    """V2 serves after V1 did."""
    made = await tries()
    made.ask(f"promote-full/{cut(V2).name}/1")
    await made.live()
    return made


async def alone() -> Mortal:
    """V2 serves after V1 did, without an AgentRollout."""
    made = Mortal()
    for text in (V1, V2):
        made.declare(text)
        await made.live()
    return made


async def undone() -> Mortal:
    """V1 serves again, without an AgentRollout."""
    made = await alone()
    made.ask(f"undo/{cut(V1).name}/1")
    await made.live()
    return made


ABORT, PROMOTE = f"abort/{cut(V2).name}/2", f"promote-full/{cut(V2).name}/2"
RETRY, UNDO = f"retry/{cut(V2).name}/2", f"undo/{cut(V1).name}/2"


@pytest.mark.parametrize(
    ("before", "news"),
    [
        pytest.param(serves, lambda mortal: mortal.declare(V2), id="a template"),
        pytest.param(tries, lambda mortal: mortal.declare(V3), id="another template"),
        pytest.param(tries, lambda mortal: mortal.declare(V1), id="the template of before"),
        pytest.param(tries, lambda mortal: mortal.ask(ABORT), id="abort"),
        pytest.param(tries, lambda mortal: mortal.ask(PROMOTE), id="promote"),
        pytest.param(tries, lambda mortal: mortal.ask(UNDO), id="undo what is tried"),
        pytest.param(rejected, lambda mortal: mortal.ask(RETRY), id="retry"),
        pytest.param(promoted, lambda mortal: mortal.ask(UNDO), id="undo what serves"),
        pytest.param(alone, lambda mortal: mortal.ask(UNDO), id="undo alone"),
        pytest.param(undone, lambda mortal: mortal.ask(RETRY), id="retry alone"),
    ],
)
async def test_after_a_death_at_any_write_all_ends_as_without_one(before: Any, news: Any) -> None:
    begun = await before()
    news(begun)
    undisturbed = copy.deepcopy(begun)
    await undisturbed.live()
    writes = undisturbed.writes - begun.writes
    assert writes > 3, "it writes something"
    for at in range(1, writes + 1):
        for after in (False, True):
            mortal = copy.deepcopy(begun)
            mortal.dies_at, mortal.after = mortal.writes + at, after
            with pytest.raises(Died):
                await mortal.live()
            mortal.dies_at = _NO_DEATH
            await mortal.live()
            died = f"died {'after' if after else 'before'} write {at} of {writes}"
            assert mortal.end() == undisturbed.end(), died
