"""Reserving and settling with the calls that a worker makes anyway, under the rights that it has."""

from __future__ import annotations

import random
import uuid

import pytest

from penstock import task
from penstock.guard import unguarded
from penstock.money.ledger import (
    Amount,
    Opening,
    Refused,
    Reserved,
    Scope,
    Settlement,
    Waiting,
)
from penstock.money.ledger import Money as Said
from penstock_store import money as money_texts
from penstock_store import users
from penstock_store.records import Directive
from penstock_store.store import Store
from tests.integration.store.ledger_desk import MOST, USD, Money, limit

pytestmark = pytest.mark.redis
OPENING = Opening(Amount(100, 200), 2 * USD, 1000, 256, 10 * USD, 60_000)
NOTHING = Amount()
DONE = task.Outcome(task.TaskStatus.SUCCEEDED, output="done")
STABLE = "aaaa0000"


@pytest.fixture
def money(desk):
    return Money(desk)


async def take(desk, limit=1):
    return await desk.store.claims.take(desk.agent, STABLE, "w1", limit, OPENING)


def bill(reserved, used):
    return Settlement(reserved.call, used, reserved.at_ms)


async def test_the_first_reservation_rides_on_the_claim_by_the_bytes_of_the_task(money, desk):
    await money.declare()
    await money.task(text='Grüße "\n' * 10)
    (claim,) = await take(desk)
    size = len('Grüße \\"\\n'.encode()) * 10 + 2
    assert claim.reserved.call == money_texts.first_call(claim.id)
    assert claim.reserved.most == Amount(100 + size + 1000, 200 + 2 * size + 10_000)
    assert (await money.spent()).held == claim.reserved.most


async def test_a_session_and_a_saved_conversation_count_by_their_bytes(money, desk):
    await money.declare()
    await money.task(session="s")
    (claim,) = await take(desk)
    await desk.finish(claim, history=b"h" * 500)
    await money.task(session="s")
    (claim,) = await take(desk)
    fresh = claim.reserved.most.tokens
    assert fresh == 100 + 500 + len('"hello"') + 1000
    for size in (20_000, 20_500):
        await desk.store.claims.checkpoint(claim, b"s" * size, task.Usage(), [])
    await desk.store.claims.release(claim)
    (claim,) = await take(desk)
    assert fresh + 20_500 <= claim.reserved.most.tokens <= fresh + 20_520


async def test_without_a_budget_a_claim_holds_nothing(desk):
    await desk.admit()
    (claim,) = await take(desk)
    assert claim.reserved is None


async def test_a_checkpoint_settles_the_call_before_and_reserves_the_next(money, desk):
    await money.declare()
    await money.task()
    (claim,) = await take(desk)
    said = Said((bill(claim.reserved, Amount(5, 6)),), money.wish())
    for _ in range(2):  # said again after its answer was lost
        directive, reserved = await desk.store.claims.checkpoint_and_reserve(
            claim, b"state", task.Usage(), [], said_of_money=said
        )
        assert (directive, reserved.most) == (Directive.CONTINUE, MOST)
    counted = await money.spent()
    assert (counted.settled, counted.held) == (Amount(5, 6), MOST)
    used = bill(reserved, Amount(1, 1))
    ended = await desk.store.claims.finish_step(claim, DONE, task.Usage(), None, [], [used])
    assert ended is Directive.CONTINUE
    counted = await money.spent()
    assert (counted.settled, counted.held) == (Amount(6, 7), NOTHING)
    assert await desk.raw.hget(desk.keys.task(claim.task.id), "unsettledCalls") is None


async def test_a_call_that_is_still_open_at_the_end_counts_what_it_held(money, desk):
    await money.declare()
    await money.task()
    (claim,) = await take(desk)
    assert await desk.finish(claim)
    counted = await money.spent()
    assert (counted.settled, counted.held) == (claim.reserved.most, NOTHING)
    assert await desk.raw.hget(desk.keys.task(claim.task.id), "unsettledCalls") == b"1"


async def test_who_has_lost_the_claim_still_pays_and_reserves_nothing(money, desk):
    await money.declare()
    await money.task()
    (claim,) = await take(desk)
    await desk.reclaim()
    said = Said((bill(claim.reserved, Amount(5, 6)),), money.wish())
    directive, reserved = await desk.store.claims.checkpoint_and_reserve(
        claim, b"state", task.Usage(), [], said_of_money=said
    )
    assert (directive, reserved) == (Directive.LOST, None)
    counted = await money.spent()
    assert (counted.settled, counted.held) == (Amount(5, 6), NOTHING)


async def test_who_gives_a_task_back_settles_with_it(money, desk):
    await money.declare()
    await money.task()
    (claim,) = await take(desk)
    assert await desk.store.claims.release(claim, [bill(claim.reserved, Amount(5, 6))])
    counted = await money.spent()
    assert (counted.settled, counted.held) == (Amount(5, 6), NOTHING)


async def test_a_call_that_waits_since_a_checkpoint_goes_on_waiting_by_itself(money, desk):
    await money.declare(limit(most=MOST.micro_usd))
    other, _ = await money.task(), await money.task()
    _, claim = await desk.claim(limit=2)
    held = await money.reserve(other)
    wish = money.wish()
    _, said = await desk.store.claims.checkpoint_and_reserve(
        claim, b"state", task.Usage(), [], said_of_money=Said(reserve=wish)
    )
    assert said == Waiting(wish.call)
    await money.settle(other, held, NOTHING)
    assert isinstance(await money.reserve(claim.task.id, wish), Reserved)


async def test_a_worker_does_all_of_it_with_its_own_rights(money, desk, server):
    name = f"w-{uuid.uuid4().hex[:8]}"
    rules = users.worker_rules("acme")
    await desk.raw.execute_command(
        "ACL", "SETUSER", name, "reset", "resetchannels", "on", ">pw", *rules
    )
    worker = Store.connect(users.with_user(server.url, name, "pw"), guard=unguarded)
    await money.declare(limit(most=3 * MOST.micro_usd), limit(Scope.USER, most=3 * MOST.micro_usd))
    first = await money.task(user="ana")
    (claim,) = await worker.claims.take(desk.agent, STABLE, "w1", 1, OPENING)
    one = await worker.ledger.reserve(desk.agent, first, money.wish())
    assert isinstance(one, Reserved)
    refused = await worker.ledger.reserve(desk.agent, first, money.wish(patience_ms=50))
    assert isinstance(refused, (Refused, Reserved))
    await worker.ledger.settle(
        desk.agent, first, [bill(one, NOTHING), bill(claim.reserved, NOTHING)]
    )
    assert await worker.claims.finish(claim, DONE, task.Usage())
    assert (await worker.ledger.spending(desk.agent)).windows
    await worker.aclose()


async def test_the_ledger_equals_the_journal_but_for_calls_that_nobody_settled(money, desk):
    """Workers die, lose their claims and repeat themselves; tasks end, and no call is left open."""
    await money.declare(limit(most=100 * USD), limit(Scope.TENANT, most=100 * USD))
    chance, unsettled = random.Random(3), {}
    for _ in range(40):
        await money.task(user=f"u{chance.randrange(3)}")
    claims = await take(desk, 40)
    running = {claim.task.id: (claim, claim.reserved) for claim in claims}
    while running:
        identifier = chance.choice([*running])
        claim, reserved = running[identifier]
        used = Amount(chance.randrange(500), chance.randrange(5000))
        event = chance.random()
        if event < 0.15:  # its worker dies
            unsettled[reserved.call] = reserved.most
            await desk.store.claims.release(claim)
            (again,) = await take(desk)
            running.pop(identifier)
            running[again.task.id] = (again, again.reserved)
            continue
        settlement = bill(reserved, used)
        money.journal[reserved.call] = used
        if event < 0.75:
            said = Said((settlement,), money.wish())
            for _ in range(chance.choice((1, 1, 2))):
                _, following = await desk.store.claims.checkpoint_and_reserve(
                    claim, b"s", task.Usage(), [], said_of_money=said
                )
            running[identifier] = (claim, following)
        else:
            for _ in range(chance.choice((1, 1, 2))):
                assert await desk.store.claims.finish(claim, DONE, task.Usage(), None, [settlement])
            running.pop(identifier)
    expected = sum(unsettled.values(), money.billed)
    assert len(unsettled) > 5
    for scope in (Scope.AGENT, Scope.TENANT):
        counted = await money.spent(scope, tenant="acme-token")
        assert (counted.settled, counted.held) == (expected, NOTHING)
    assert not await desk.raw.zcard(f"{desk.keys.tag}:open")
