"""An edit becomes a revision at once; one that follows on another, or names a ConfigMap, has to stand for three seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock_operator.cluster.kinds import AGENT, RECORD, Kind, Object
from penstock_operator.reconcile.memory import Quiet
from penstock_operator.reconcile.reconciler import Reconciler
from tests.unit.operator import worlds
from tests.unit.operator.calm import KEY, Calm

START = datetime(2026, 11, 21, 10, tzinfo=UTC)


@dataclass
class Shelf(Calm):
    """The same, with a ConfigMap that somebody else owns."""

    prompts: dict[str, str] = field(default_factory=dict)

    async def get(  # type: ignore[override]
        self, _kind: Kind, _namespace: str, name: str
    ) -> Object | None:
        return {"data": self.prompts} if name == "prompts" and self.prompts else None


def template(words: str) -> dict[str, Any]:
    return {"instructions": words, "model": {"name": "claude-sonnet-5-5"}}


def referring() -> dict[str, Any]:
    ref = {"configMapKeyRef": {"name": "prompts", "key": "a"}}
    return {"instructionsFrom": ref, "model": {"name": "claude-sonnet-5-5"}}


@dataclass
class Desk:
    """An agent that has had a revision for a while, and who edits it."""

    shelf: Shelf
    passes: Reconciler

    async def after(self, seconds: float) -> int:
        """How many revisions there are after a pass some seconds on."""
        self.shelf.boot.seconds += seconds
        await self.passes.reconcile(KEY)
        return len(self.passes.sources.cache.of_agent(RECORD, KEY))

    async def edit(self, declared: dict[str, Any], after: float = 0) -> int:
        """The same, of an edit."""
        self.shelf.boot.seconds += after
        cache = self.passes.sources.cache
        agent = cache.get(AGENT, KEY.namespace, KEY.name) or worlds.agent()
        spec = {**agent["spec"], "template": declared}
        cache.observe(AGENT, self.shelf.written({**agent, "spec": spec}))
        return await self.after(0)


@pytest.fixture
async def desk() -> Desk:
    shelf = Shelf()
    passes = shelf.reconciler(settle_seconds=3.0)
    made = Desk(shelf, passes)
    assert await made.after(0) == 1, "the first revision is cut at once"
    await made.after(60)
    return made


async def test_an_edit_is_cut_in_the_pass_that_sees_it(desk: Desk) -> None:
    assert await desk.edit(template("b")) == 2
    assert await desk.edit(template("c"), after=3) == 3


async def test_an_edit_within_three_seconds_of_another_waits(desk: Desk) -> None:
    assert await desk.edit(template("b")) == 2
    assert await desk.edit(template("c"), after=2.9) == 2
    assert await desk.after(2.9) == 2
    assert await desk.after(0.2) == 3


async def test_of_many_edits_in_a_row_the_first_and_the_last_are_cut(desk: Desk) -> None:
    for number in range(10):
        assert await desk.edit(template(f"b{number}"), after=1) == 2
    assert await desk.after(3.1) == 3
    records = desk.passes.sources.cache.of_agent(RECORD, KEY)
    texts = {record["data"]["resolved"]["instructions"] for record in records}
    assert {"b0", "b9"} < texts


async def test_an_edit_that_names_a_configmap_waits_in_any_case(desk: Desk) -> None:
    desk.shelf.prompts = {"a": "old"}
    assert await desk.edit(referring()) == 1
    desk.shelf.prompts = {"a": "new"}  # as `kubectl apply -f dir/` sends them, one by one
    assert await desk.after(1) == 1
    assert await desk.after(2.9) == 1
    assert await desk.after(0.2) == 2
    records = desk.passes.sources.cache.of_agent(RECORD, KEY)
    assert "old" not in {record["data"]["resolved"]["instructions"] for record in records}


async def test_a_template_that_gives_its_configmap_up_is_cut_at_once(desk: Desk) -> None:
    desk.shelf.prompts = {"a": "text"}
    await desk.edit(referring())
    assert await desk.after(3.1) == 2
    assert await desk.edit(template("b"), after=10) == 3


def test_an_operator_that_begins_knows_of_no_edit_before() -> None:
    quiet = Quiet("a", START)
    assert quiet.settled(START, 3, refers=False)
    assert not quiet.settled(START + timedelta(seconds=2), 3, refers=True)
    assert quiet.settled(START + timedelta(seconds=3), 3, refers=True)


def test_what_is_seen_again_is_no_edit() -> None:
    quiet = Quiet("a", START, before_seconds=10)
    assert quiet.then("a", START + timedelta(seconds=1)) is quiet
