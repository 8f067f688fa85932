"""What `penstock plan` makes of recent tasks, which it asks a real gateway for."""

from __future__ import annotations

from datetime import UTC, datetime

from penstock_cli import options
from penstock_cli.plan import costs
from penstock_cli.plan.drafts import Draft
from penstock_cli.plan.outcome import Change, Planned
from tests.integration.gateway.conftest import STABLE

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BEFORE = {"name": "claude-haiku-5-5"}
AFTER = {"name": "of-the-house", "price": {"inputPerMTok": "10", "outputPerMTok": "20"}}


def changed(agent, before=BEFORE, after=AFTER):
    draft = Draft("Agent", agent.key.namespace, agent.key.name, "-", {})
    return Planned(draft, Change.CHANGED, before=f"support-{STABLE}", models=(before, after))


async def test_the_tokens_of_ended_tasks_are_priced_anew(shared, agent, client):
    place = options.Place(gateway=shared.url, token="all-agents")
    for _ in range(3):
        await client.post(agent.tasks, json={"input": "x"})
    for claim in await agent.claim(2):
        await agent.finish(claim)  # 10 tokens in, 5 out
    (priced,) = await costs.priced(place, [changed(agent)], NOW)
    cost = priced.cost
    assert (cost.unknown, cost.tasks, cost.after) == ("", 2, 200)
    assert cost.before
    assert cost.since <= cost.until


async def test_who_may_not_see_tasks_is_told_that_and_no_price_is_asked_twice(shared, agent):
    place = options.Place(gateway=shared.url, token="nobody's")
    (priced,) = await costs.priced(place, [changed(agent)], NOW)
    cost = priced.cost
    assert "recent tasks cannot be read" in cost.unknown
    same = changed(agent, after=BEFORE | {"maxTokens": 9})
    assert await costs.priced(place, [same], NOW) == [same]
