"""A call that waits, after Redis has lost what became of it: nobody's word for another call makes it."""

from __future__ import annotations

import pytest

from penstock.api.oversight import OnTimeout
from penstock.escalation import Ask, EscalationStatus, Verdict
from penstock_store import said_ends
from penstock_store.escalations import Decided, Sought, Word
from tests.integration.store import test_breaks
from tests.integration.store.test_breaks import STABLE, LostTail, again
from tests.integration.store.test_parked import waits

server, retention, other, workers = (
    test_breaks.server, test_breaks.retention, test_breaks.other, test_breaks.workers,
)  # fmt: skip
pytestmark = pytest.mark.redis
APPROVE = Word("ann", Verdict.APPROVE)


async def decide(desk, escalation, word):
    return await again(desk.store.escalations.decide, escalation, word)


async def doubts(desk, escalation):
    """What the list and the call itself say of it."""
    (listed,) = (await again(desk.store.escalations.page, desk.agent, Sought())).items
    found = await desk.store.escalations.get(escalation)
    assert listed.doubt == found.doubt
    return found.doubt


async def everybody_has_left(desk):
    """The agent is at zero workers, as it is when all of its tasks wait."""
    await desk.raw.delete(f"{desk.keys.tag}:tail")
    await desk.raw.hset(f"{desk.keys.tag}:tail", "life", (await desk.raw.info("server"))["run_id"])


async def all_are_heard_of(desk, other, eventually):
    """Every worker of before lives, and the break is settled."""
    for store, consumer in ((desk.store, "busy"), (desk.store, "w1"), (other, "idle")):
        await again(store.claims.heartbeat, [], consumer)

    async def settled():
        await again(other.claims.take, desk.agent, "aaaa0000", "idle", 5)
        return await desk.raw.hmget(f"{desk.keys.tag}:tail", "settled", "breakAt")

    await eventually(settled, lambda seen: seen[0] and seen[0] == seen[1])


@pytest.mark.parametrize("joins", [False, True], ids=["nobody has joined", "a new worker has"])
async def test_at_zero_workers_a_restored_redis_makes_no_call_without_its_digest(
    server, desk, joins
):
    _, escalation = await waits(desk)
    await everybody_has_left(desk)
    assert not await doubts(desk, escalation)
    tail = LostTail(server)
    assert await decide(desk, escalation, APPROVE) is Decided.DONE
    tail.happen()
    if joins:
        assert await again(desk.claim, STABLE, 10, "new") == []
    assert (await doubts(desk, escalation)).startswith("between ")
    for verdict in Verdict:
        assert await decide(desk, escalation, Word("ann", verdict)) is Decided.DOUBT
    wrong = Word("ann", Verdict.APPROVE, digest="of another call")
    assert await decide(desk, escalation, wrong) is Decided.OTHER
    assert (await desk.store.escalations.get(escalation)).status is EscalationStatus.OPEN
    sure = Word("ann", Verdict.APPROVE, digest="d")
    assert await decide(desk, escalation, sure) is Decided.DONE
    claim = await desk.claim_one(consumer="new")
    assert (claim.decision.by, claim.doubt) == (("ann",), "")


async def test_what_was_ended_long_before_redis_came_back_with_an_older_file_is_in_doubt(
    server, desk, other, workers, eventually, monkeypatch
):
    monkeypatch.setattr(said_ends, "_SECONDS", 0.0)  # as if a minute had gone by since its end
    _, escalation = await waits(desk)
    tail = LostTail(server)
    assert await decide(desk, escalation, APPROVE) is Decided.DONE
    claim = await desk.claim_one(consumer="busy")
    assert await desk.finish(claim)
    tail.happen()
    await all_are_heard_of(desk, other, eventually)
    assert await decide(desk, escalation, APPROVE) is Decided.DOUBT


async def test_after_a_clean_restart_with_living_workers_nobody_is_asked_twice(
    server, desk, other, workers, eventually
):
    _, escalation = await waits(desk)
    server.stop()
    server.start()
    assert await doubts(desk, escalation)
    await all_are_heard_of(desk, other, eventually)
    assert not await doubts(desk, escalation)
    assert await decide(desk, escalation, APPROVE) is Decided.DONE


async def test_time_approves_nothing_that_may_have_been_made(server, desk, eventually):
    _, escalation = await waits(desk, asks={"timeout_seconds": 1, "on_timeout": OnTimeout.APPROVE})
    await everybody_has_left(desk)
    server.stop()
    server.start()
    await eventually(lambda: again(desk.store.escalations.lapse, desk.agent), bool)
    found = await desk.store.escalations.get(escalation)
    assert (found.status, found.decided_by) == (EscalationStatus.DENIED, ())
    (claim,) = await again(desk.claim, STABLE, 10, "new")
    assert "may have been made" in claim.decision.note


async def test_arguments_that_a_person_has_put_forward_are_part_of_what_is_meant(desk):
    digests = set()
    for proposed in ("", '{"amount":1}', '{"amount":2}'):
        _, escalation = await waits(desk, asks={"proposed": proposed})
        digests.add((await desk.store.escalations.get(escalation)).digest)
        for digest in digests - {(await desk.store.escalations.get(escalation)).digest}:
            other = Word("ann", Verdict.APPROVE, digest=digest)
            assert await decide(desk, escalation, other) is Decided.OTHER
        own = (await desk.store.escalations.get(escalation)).digest
        assert (
            await decide(desk, escalation, Word("ann", Verdict.APPROVE, digest=own)) is Decided.DONE
        )
        assert (await desk.claim_one()).decision.digest == "d", "the worker compares its own call"
    assert len(digests) == 3


async def test_what_the_first_of_two_has_written_is_kept_when_the_second_decides(desk):
    _, escalation = await waits(desk, asks={"ask": Ask("four eyes", (), 2)})
    await desk.store.escalations.decide(escalation, Word("ann", Verdict.APPROVE, 'by "phone"'))
    await desk.store.escalations.decide(escalation, Word("bob", Verdict.DENY, "paid already"))
    found = await desk.store.escalations.get(escalation)
    said = [(note.by, note.decision, note.text) for note in found.notes]
    assert said == [
        ("ann", Verdict.APPROVE, 'by "phone"'),
        ("bob", Verdict.DENY, "paid already"),
    ]
    assert found.note == "paid already"
    assert (await desk.claim_one()).decision.note == "paid already"
