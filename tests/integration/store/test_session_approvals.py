"""What is approved for a session holds in it alone, for its user and its revision, and goes with it."""

from __future__ import annotations

import json

import pytest

from penstock.escalation import Ask, EscalationStatus, Verdict
from penstock.remembering import Kept, Memory
from penstock.traffic import Standing
from penstock_store.escalations import Decided, Word
from penstock_store.records import Directive
from tests.integration.store.conftest import CANARY, DONE, NOTHING, STABLE, TENANT
from tests.integration.store.test_parked import waits

pytestmark = pytest.mark.redis

MEMORY = Memory("tool-1", (Kept("rule-1", "150", "amount above 100, each at most 150"),))
ASKS = {"memory": MEMORY.text()}
FOR_ALL = {"remember": True}


async def decided(desk, identifier, person="ann", verdict=Verdict.APPROVE, **more):
    return await desk.store.escalations.decide(identifier, Word(person, verdict, **more))


async def approved(desk, *, asks=ASKS, revision=STABLE, **fields):
    """A call of a session was approved for it, and its task has ended: its escalation's id."""
    _, identifier = await waits(desk, revision, asks, **{"session": "s", "user": "u", **fields})
    assert await decided(desk, identifier, **FOR_ALL) is Decided.DONE
    (claim,) = await desk.claim(revision, 1)
    await desk.finish(claim)
    return identifier


async def known(desk, *, revision=STABLE, **fields):
    """The approvals that hold for a further task."""
    await desk.admit(**{"session": "s", "user": "u", **fields})
    claim = await desk.claim_one(revision)
    await desk.finish(claim)
    return claim.approved


async def test_it_holds_for_the_rest_of_its_task_and_for_later_tasks_of_its_session(desk):
    _, identifier = await waits(desk, asks=ASKS, session="s", user="u")
    assert await decided(desk, identifier, **FOR_ALL) is Decided.DONE
    claim = await desk.claim_one()
    assert [(one.memory, one.by, one.escalation) for one in claim.approved] == [
        (MEMORY, ("ann",), identifier)
    ]
    await desk.finish(claim)
    assert [one.escalation for one in await known(desk)] == [identifier]
    found = await desk.store.escalations.get(identifier)
    assert (found.remembered, found.remembers) == (True, "amount above 100, each at most 150")
    events = await desk.store.notifications.events(claim.task.id)
    [said] = [one.data for one in events if one.type == "decided"]
    assert said["remember"] == "Session"


async def test_it_holds_in_no_other_session_for_no_other_user_and_without_a_choice_for_nothing(
    desk,
):
    await approved(desk)
    assert await known(desk, session="other") == ()
    assert await known(desk, session="") == ()
    _, identifier = await waits(desk, asks=ASKS, session="t", user="u")
    assert await decided(desk, identifier) is Decided.DONE
    assert (await desk.claim_one()).approved == ()
    assert not (await desk.store.escalations.get(identifier)).remembered


async def test_in_a_shared_session_it_holds_for_the_user_of_the_call_and_never_for_who_approved(
    desk,
):
    await approved(desk, shared_session=True)
    assert len(await known(desk)) == 1
    assert await known(desk, user="v") == ()
    assert await known(desk, submitter=" ANN ") == ()
    assert len(await known(desk, submitter="bob")) == 1


@pytest.mark.parametrize(
    ("asks", "fields", "more"),
    [
        ({}, {}, {}),
        (ASKS, {"session": ""}, {}),
        (ASKS, {}, {"arguments": '{"amount": 1}'}),
    ],
)
async def test_where_it_holds_for_nothing_else_it_is_refused_and_the_call_waits_on(
    desk, asks, fields, more
):
    _, identifier = await waits(desk, asks=asks, **{"session": "s", "user": "u", **fields})
    assert await decided(desk, identifier, **FOR_ALL, **more) is Decided.FORGETS
    found = await desk.store.escalations.get(identifier)
    assert (found.status, found.approved_by, found.notes) == (EscalationStatus.OPEN, (), ())
    assert bool(found.remembers) == bool(more)
    assert await decided(desk, identifier, **more) is Decided.DONE


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
async def test_of_two_persons_both_must_choose_it(desk, first, second, holds):
    asks = ASKS | {"ask": Ask("four eyes", min_approvals=2)}
    _, identifier = await waits(desk, asks=asks, session="s", user="u")
    assert await decided(desk, identifier, "ann", remember=first) is Decided.DONE
    assert await decided(desk, identifier, "ann", remember=first) is Decided.AGAIN
    assert await decided(desk, identifier, "ann", remember=not first) is Decided.TOO_LATE
    assert await decided(desk, identifier, "bob", remember=second) is Decided.DONE
    claim = await desk.claim_one()
    assert [one.by for one in claim.approved] == [("ann", "bob")] * holds


async def test_a_denial_and_time_remember_nothing(desk):
    _, identifier = await waits(desk, asks=ASKS, session="s", user="u")
    assert await decided(desk, identifier, verdict=Verdict.DENY) is Decided.DONE
    claim = await desk.claim_one()
    assert (claim.decision.verdict, claim.approved) == (Verdict.DENY, ())


async def test_it_does_not_follow_its_session_to_another_revision_and_is_forgotten_there(desk):
    await desk.set_route(canary=CANARY, percent=100)
    _, identifier = await waits(desk, CANARY, ASKS, session="s", user="u")
    await desk.reject_canary()
    assert await decided(desk, identifier, **FOR_ALL) is Decided.DONE
    claim = await desk.claim_one(STABLE)
    assert (claim.decision.escalation, claim.approved) == (identifier, ())
    await desk.finish(claim)
    assert await known(desk) == ()


async def test_it_is_void_once_the_session_was_moved_also_when_it_comes_back(desk):
    await desk.set_route(canary=CANARY, percent=100)
    await approved(desk, revision=CANARY)
    assert len(await known(desk, revision=CANARY)) == 1
    await desk.reject_canary()
    assert await known(desk) == ()
    assert not await desk.raw.hexists(session_key(desk), "approvals")
    await desk.set_route(canary=CANARY, percent=100, standings={CANARY: Standing.OPEN})
    assert await known(desk) == ()


def session_key(desk, session="s"):
    return f"{desk.keys.tag}:sess:{TENANT}:{session}"


async def test_it_ends_with_its_session_and_with_the_longest_time_of_its_pin(desk):
    await approved(desk)
    key = session_key(desk)
    assert 0 < await desk.raw.ttl(key) <= 3600
    await desk.raw.hset(key, "pinnedAt", 1)
    assert await known(desk) == ()
    await approved(desk)
    await desk.raw.delete(key)
    assert await known(desk) == ()


async def test_it_is_erased_with_its_user(desk):
    await approved(desk)
    await desk.store.effects.erase(desk.agent, TENANT, "u")
    assert not await desk.raw.exists(session_key(desk))
    assert await known(desk) == ()


async def test_of_a_shared_session_and_of_one_that_goes_on_it_is_erased_too_and_nobody_elses(desk):
    await approved(desk, shared_session=True)
    other = await approved(desk, user="v")
    await approved(desk, session="t")
    await desk.admit(session="t", user="u")
    for user in ("w", "u"):
        await desk.raw.delete(desk.keys.recent)  # its tasks are forgotten by then
        await desk.store.effects.erase(desk.agent, TENANT, user)
        left = 2 if user == "w" else 1
        kept = json.loads(await desk.raw.hget(session_key(desk), "approvals"))
        assert len(kept) == left
        assert await desk.raw.hexists(session_key(desk, "t"), "approvals") == (user == "w")
    assert [one["escalation"] for one in kept] == [other]
    assert (await desk.claim_one()).approved == ()


async def held(desk, **fields):
    """A task of the session that a worker holds with what was approved before."""
    await desk.admit(**{"session": "s", "user": "u", **fields})
    claim = await desk.claim_one()
    assert len(claim.approved) == (fields.get("user", "u") == "u")
    return claim


async def told(desk, claim):
    beat = await desk.store.claims.heartbeat([claim], claim.consumer)
    saved = await desk.store.claims.checkpoint(claim, b"{}", NOTHING, ())
    assert beat[claim.id] is saved
    return saved


async def test_a_task_that_goes_on_is_put_down_and_claimed_again_without_it(desk):
    await approved(desk)
    claim = await held(desk)
    assert await told(desk, claim) is Directive.CONTINUE
    assert (await desk.store.effects.erase(desk.agent, TENANT, "u")).going_on == 1
    assert await told(desk, claim) is Directive.GIVE_BACK
    ends = await desk.store.claims.finish_step(claim, DONE, NOTHING, None, ())
    assert ends is Directive.GIVE_BACK
    assert await desk.store.claims.release(claim)
    again = await desk.claim_one()
    assert (again.task.id, again.approved) == (claim.task.id, ())
    assert await told(desk, again) is Directive.CONTINUE
    assert await desk.finish(again)


@pytest.mark.parametrize(
    ("fields", "erased"), [({}, "v"), ({"user": "v"}, "u")], ids=["another user", "another's task"]
)
async def test_what_nobody_has_taken_back_is_put_down_for_nobody(desk, fields, erased):
    await approved(desk, shared_session=True)
    claim = await held(desk, **fields)
    await desk.store.effects.erase(desk.agent, TENANT, erased)
    assert await told(desk, claim) is Directive.CONTINUE


async def test_the_newest_sixteen_of_a_session_are_kept(desk):
    ids = [await approved(desk) for _ in range(18)]
    assert [one.escalation for one in await known(desk)] == ids[2:]


@pytest.mark.parametrize(
    "said",
    [
        "{nonsense",
        "7",
        "{}",
        '[{"by": 7}]',
        '[{"revision": "aaaa0000", "user": "u", "by": ["ann"]}]',
    ],
)
async def test_what_another_hand_has_written_holds_for_nothing_and_is_in_nobodys_way(desk, said):
    await approved(desk)
    await desk.raw.hset(session_key(desk), "approvals", said)
    assert await known(desk) == ()
    foreign = [{"revision": STABLE, "user": "u", "by": ["x"], "escalation": "e", "memory": "{}"}]
    await desk.raw.hset(session_key(desk), "approvals", json.dumps(foreign))
    assert await known(desk) == ()
    await desk.raw.hset(session_key(desk), "approvals", "{nonsense")
    identifier = await approved(desk)
    assert [one.escalation for one in await known(desk)] == [identifier]
