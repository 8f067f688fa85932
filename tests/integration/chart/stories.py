"""What happens in each case, told by the product's own code, and which alerts that rings.

`python -m tests.integration.chart.stories` plays them all and writes what was scraped as JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

import penstock_operator.metrics
from penstock.errors import AdmissionRefused, StoreUnavailable
from penstock_operator.cluster.reading import Rollout, UnreadRollout
from penstock_runtime.gateway import metrics as gateway_metrics
from penstock_store.records import Memory, RevisionWork
from tests.integration.chart.plant import GATEWAY, OPERATOR, WORKER, Plant
from tests.integration.chart.states import (
    HELD,
    cancelled,
    off_its_share,
    refused,
    serving,
    spends,
    trying,
)
from tests.unit.operator.test_plan import V1, V2
from tests.unit.operator.worlds import cut

Told = Callable[[Plant], Awaitable[None]]
_GONE: Final = StoreUnavailable("gone")


@dataclass(frozen=True)
class Story:
    """``rings``: alert → the agent that it names; "" for the installation, None for none asked."""

    told: Told
    rings: dict[str, str]


STORIES: Final[dict[str, Story]] = {}


def story(**rings: str) -> Callable[[Told], Told]:
    """A story that rings these alerts, and no others."""

    def kept(told: Told) -> Told:
        STORIES[told.__name__] = Story(told, rings)
        return told

    return kept


# ------------------------------------------------------------------------------------- all is well


@story()
async def nothing_happens(plant: Plant) -> None:
    await plant.run(60)


@story()
async def users_are_served(plant: Plant) -> None:
    plant.world, plant.requests, plant.tasks = serving(), 1, 1
    await plant.run(20)


@story()
async def a_canary_is_tried(plant: Plant) -> None:
    plant.world, plant.tasks = trying(), 3
    await plant.run(60)


@story()
async def a_canary_becomes_stable(plant: Plant) -> None:
    plant.world = trying()
    await plant.run(5)
    plant.look_at(trying(f"promote-full/{cut(V2).name}/1"))
    plant.world = serving()
    await plant.run(30)


@story()
async def another_operator_leads(plant: Plant) -> None:
    plant.world, plant.tasks = trying(), 3
    await plant.run(20)
    plant.away.add(OPERATOR)
    await plant.run(1)
    plant.away.clear()
    plant.begin(OPERATOR)
    await plant.run(20)


@story()
async def all_begin_anew(plant: Plant) -> None:
    plant.world, plant.requests, plant.tasks = serving(), 1, 1
    for _ in range(3):
        await plant.run(6)
        for target in (OPERATOR, GATEWAY, WORKER):
            plant.begin(target)


@story()
async def redis_is_away_for_a_minute(plant: Plant) -> None:
    plant.requests = plant.tasks = 1
    await plant.run(5)
    plant.redis_away()
    await plant.ask(_GONE, _GONE)
    await plant.run(1)
    plant.redis = Memory(100, 1000)
    await plant.run(20)


@story()
async def two_requests_are_refused_by_the_api_server(plant: Plant) -> None:
    await plant.run(10)
    penstock_operator.metrics.API_REQUESTS.labels("Event", "POST", "403").inc()
    await plant.run(4)
    penstock_operator.metrics.API_REQUESTS.labels("Event", "POST", "403").inc()
    await plant.run(20)


@story()
async def one_task_of_many_fails(plant: Plant) -> None:
    plant.tasks = 3
    await plant.run(10)
    plant.meter.task_ended("Failed", "ModelError", 1.0)
    plant.meter.model_called("Overloaded", 1.0)
    await plant.run(30)


@story()
async def the_kill_switch_is_on_for_half_an_hour(plant: Plant) -> None:
    plant.world = serving({V1: RevisionWork(queued=5, oldest_queued_ms=900_000)}, suspended=True)
    for _ in range(30):
        await plant.ask(AdmissionRefused("agent-suspended", "it is suspended"))
        await plant.run(1)
    plant.world = serving()
    await plant.run(20)


@story()
async def a_queue_is_full(plant: Plant) -> None:
    await plant.run(5)
    for _ in range(30):
        await plant.ask(AdmissionRefused("queue-full", "the queue is full"))
        await plant.run(0.5)


@story()
async def no_revision_serves(plant: Plant) -> None:
    await plant.run(5)
    for _ in range(15):
        await plant.ask(AdmissionRefused("no-route", "it has no revision yet"))
        await plant.run(0.5)


@story()
async def a_canary_is_held_for_an_hour(plant: Plant) -> None:
    plant.world = trying(**HELD)
    await plant.run(60)
    plant.world = trying()
    await plant.run(240)


@story()
async def everything_is_nearly_too_much(plant: Plant) -> None:
    plant.redis = Memory(650, 1000)
    plant.world = serving({V1: RevisionWork(queued=5, oldest_queued_ms=250_000)})
    plant.requests, plant.tasks = 29, 11
    penstock_operator.metrics.QUEUE_DEPTH.set(90)
    for minute in range(40):
        penstock_operator.metrics.RECONCILES.labels("retry").inc()
        plant.meter.task_ended("Failed", "ModelError", 1.0)
        plant.meter.model_called("Overloaded", 1.0)
        plant.meter.model_called("Overloaded", 1.0)
        assert await plant.ask(RuntimeError("a bug")) == 500
        if minute % 2:
            plant.meter.store_error()
        await plant.run(0.5)


async def _a_burst_of_errors(plant: Plant) -> None:
    plant.tasks = plant.requests = 1
    await plant.run(10)
    penstock_operator.metrics.RECONCILES.labels("retry").inc(30)
    for _ in range(8):
        plant.meter.task_ended("Failed", "ModelError", 1.0)
        plant.meter.model_called("Overloaded", 1.0)
        assert await plant.ask(RuntimeError("a bug")) == 500
    await plant.run(12)
    plant.tasks = plant.requests = 0


@story()
async def all_is_well_again_just_in_time(plant: Plant) -> None:
    plant.world = serving()
    await plant.run(10)
    for target, minutes in ((OPERATOR, 4), (GATEWAY, 1.5)):
        plant.away.add(target)
        await plant.run(minutes)
        plant.away.clear()
        await plant.run(10)
    await _a_burst_of_errors(plant)
    plant.leads = False
    await plant.run(4)
    plant.leads, plant.lists = True, False
    await plant.run(8)
    plant.lists = True
    plant.redis = Memory(990, 1000)
    await plant.run(4)
    plant.redis = Memory(100, 1000)
    await plant.run(1)
    plant.redis_away()
    await plant.run(1.5)
    plant.redis = Memory(100, 1000)
    plant.world = serving({V1: RevisionWork(queued=5, oldest_queued_ms=400_000)})
    penstock_operator.metrics.QUEUE_DEPTH.set(150)
    await plant.run(4)
    plant.world = serving()
    await plant.run(9)
    penstock_operator.metrics.QUEUE_DEPTH.set(0)
    plant.world = serving(suspended=True)
    await plant.run(50)
    plant.world = refused(serving(), V1)
    await plant.run(9)
    plant.world = trying(**HELD)
    await plant.run(200)
    plant.world = serving()
    await plant.run(10)


# ---------------------------------------------------------------------------------- the operator


@story(PenstockOperatorDown="")
async def no_operator_runs(plant: Plant) -> None:
    await plant.run(5)
    plant.away.add(OPERATOR)
    await plant.run(8)


@story(PenstockOperatorLeaderless="")
async def no_operator_leads(plant: Plant) -> None:
    plant.world = trying()
    await plant.run(5)
    plant.leads = False
    await plant.run(8)


@story(PenstockOperatorBlind="")
async def the_leader_does_not_list(plant: Plant) -> None:
    await plant.run(5)
    plant.lists = False
    await plant.run(13)


@story(PenstockOperatorRetries="")
async def passes_fail(plant: Plant) -> None:
    retries = penstock_operator.metrics.RECONCILES.labels("retry")
    await plant.run(25, lambda: retries.inc(3))


@story(PenstockOperatorForbidden="")
async def the_api_server_goes_on_refusing(plant: Plant) -> None:
    await plant.run(5)
    refused = penstock_operator.metrics.API_REQUESTS.labels("Deployment", "PATCH", "403")
    await plant.run(15, refused.inc)


@story(PenstockOperatorForbidden="")
async def the_api_server_knows_the_token_no_more(plant: Plant) -> None:
    await plant.run(5)
    refused = penstock_operator.metrics.API_REQUESTS.labels("Agent", "GET", "401")
    await plant.run(15, refused.inc)


@story(PenstockOperatorBacklog="")
async def many_agents_wait_for_the_operator(plant: Plant) -> None:
    penstock_operator.metrics.QUEUE_DEPTH.set(150)
    await plant.run(20)


# ------------------------------------------------------------------------------ gateway and Redis


@story(PenstockGatewayDown="")
async def no_gateway_runs(plant: Plant) -> None:
    await plant.run(5)
    plant.away.add(GATEWAY)
    await plant.run(3.5)


@story(PenstockGatewayErrors="")
async def the_few_requests_there_are_fail(plant: Plant) -> None:
    await plant.run(5)
    for _ in range(8):
        assert await plant.ask(RuntimeError("a bug")) == 500
        await plant.run(1)


@story(PenstockGatewayErrors="")
async def one_request_in_ten_fails(plant: Plant) -> None:
    plant.requests = 9
    await plant.run(3)
    for _ in range(16):
        assert await plant.ask(RuntimeError("a bug")) == 500
        await plant.run(0.5)


@story(PenstockStoreUnavailable="")
async def redis_does_not_answer_the_gateway(plant: Plant) -> None:
    await plant.run(5)
    for _ in range(7):
        assert await plant.ask(_GONE, _GONE) == 503
        await plant.run(0.5)


@story(PenstockStoreUnavailable="")
async def redis_is_full(plant: Plant) -> None:
    await plant.run(5)
    full = StoreUnavailable("OOM command not allowed when used memory > 'maxmemory'.")
    for _ in range(7):
        assert await plant.ask(full, full) == 503
        await plant.run(0.5)


@story(PenstockStoreUnavailable="")
async def redis_does_not_answer_the_workers(plant: Plant) -> None:
    await plant.run(5)
    await plant.run(3.5, lambda: [plant.meter.store_error() for _ in range(6)])


@story(PenstockStoreUnavailable="")
async def redis_is_away_and_nobody_asks(plant: Plant) -> None:
    await plant.run(5)
    plant.redis_away()
    await plant.run(3.5)


@story(PenstockRedisMemory="")
async def redis_fills_up(plant: Plant) -> None:
    await plant.run(5)
    plant.redis = Memory(800, 1000)
    await plant.run(8)


# -------------------------------------------------------------------------------------- an agent


@story(PenstockTasksFail="support")
async def the_few_tasks_there_are_fail(plant: Plant) -> None:
    await plant.run(5)
    for _ in range(9):
        plant.meter.task_ended("Failed", "ModelError", 1.0)
        await plant.run(2)


@story(PenstockTasksFail="support")
async def one_in_five_tasks_expires(plant: Plant) -> None:
    plant.tasks = 4
    await plant.run(17, lambda: plant.meter.task_ended("Expired", "LimitQueueSeconds", 0.0))


@story(PenstockModelFails="support")
async def one_call_of_the_model_in_three_fails(plant: Plant) -> None:
    plant.tasks = 2
    await plant.run(5)
    await plant.run(17, lambda: plant.meter.model_called("Overloaded", 1.0))


@story(PenstockModelAway="support")
async def a_model_is_left_alone_minute_after_minute(plant: Plant) -> None:
    away = True
    plant.meter.breaker(lambda: away)
    for minute in range(12):
        away = minute % 2 == 0  # when it may be tried it does not look open
        await plant.run(1)


@story()
async def a_model_is_left_alone_for_a_minute(plant: Plant) -> None:
    away = True
    plant.meter.breaker(lambda: away)
    await plant.run(1)
    away = False
    await plant.run(10)


@story(PenstockWorkerBug="support")
async def a_worker_meets_its_first_bug(plant: Plant) -> None:
    plant.tasks = 3
    await plant.run(10)
    plant.meter.worker_error()
    await plant.run(10)


@story()
async def a_budget_is_nearly_low(plant: Plant) -> None:
    plant.world, plant.tasks = spends(37.9), 3
    await plant.run(10)
    plant.world = spends(1)
    await plant.run(10)


@story(PenstockBudgetLow="support")
async def a_budget_is_low(plant: Plant) -> None:
    plant.world, plant.tasks = spends(10), 3
    await plant.run(10)
    plant.world = spends(38)
    await plant.run(3)


@story(PenstockBudgetLow="support", PenstockBudgetSpent="support")
async def a_budget_is_spent(plant: Plant) -> None:
    plant.world = spends(38)
    await plant.run(3)
    plant.world = spends(40)
    await plant.run(3)


@story(PenstockBudgetLow="support", PenstockBudgetSpent="support")
async def too_little_of_a_budget_is_left_for_a_call(plant: Plant) -> None:
    plant.world = spends(33, refuses=True)
    await plant.run(3)


@story(PenstockBudgetLow="support")
async def a_budget_that_only_reports_is_spent(plant: Plant) -> None:
    plant.world = spends(50, "Report")
    await plant.run(10)


@story(PenstockBoundExceeded="support")
async def a_bill_is_above_its_bound(plant: Plant) -> None:
    plant.tasks = 3
    await plant.run(10)
    plant.meter.bound_exceeded()
    await plant.run(5)


@story(PenstockPricesUnreadable="")
async def the_price_table_cannot_be_read(plant: Plant) -> None:
    await plant.run(5)
    penstock_operator.metrics.PRICES_UNREADABLE.set(1)
    await plant.run(13)


@story()
async def the_price_table_cannot_be_read_for_a_moment(plant: Plant) -> None:
    penstock_operator.metrics.PRICES_UNREADABLE.set(1)
    await plant.run(8)
    penstock_operator.metrics.PRICES_UNREADABLE.set(0)
    await plant.run(20)


@story(PenstockApprovalWaits="support")
async def a_call_has_waited_for_a_person_for_more_than_an_hour(plant: Plant) -> None:
    made = trying()
    assert made.look is not None
    waiting = replace(made.look, parked=1, lapses_in_ms=80_000_000, waits_ms=3_700_000)
    plant.world = replace(made, look=waiting)
    await plant.run(5)


@story(PenstockWebhookWaits="")
async def a_webhook_takes_no_message(plant: Plant) -> None:
    plant.world = serving()
    gateway_metrics.show_webhooks({"finance": 2}, {"finance": 360_000})
    await plant.run(5)


@story(PenstockRolledBack="support")
async def a_canary_is_aborted(plant: Plant) -> None:
    plant.world = trying()
    await plant.run(10)
    plant.world = trying(f"abort/{cut(V2).name}/1")
    await plant.run(3)


@story(PenstockApprovalsLapse="support")
async def a_call_waits_for_a_person_and_its_time_is_nearly_over(plant: Plant) -> None:
    made = trying()
    assert made.look is not None
    plant.world = replace(made, look=replace(made.look, parked=2, lapses_in_ms=300_000))
    await plant.run(5)


@story(PenstockRolledBack="support")
async def a_rejected_revision_is_still_the_newest_when_another_operator_leads(plant: Plant) -> None:
    plant.world = trying(f"abort/{cut(V2).name}/1")
    await plant.run(10)
    plant.away.add(OPERATOR)
    await plant.run(2)
    plant.away.clear()
    plant.begin(OPERATOR)
    await plant.run(10)


@story(PenstockRolloutWaitsForPerson="support")
async def a_setpoint_outlasts_a_change_of_leader(plant: Plant) -> None:
    plant.world = trying(**HELD)
    await plant.run(125)
    plant.away.add(OPERATOR)
    await plant.run(2)
    plant.away.clear()
    plant.begin(OPERATOR)
    await plant.run(125)


@story(PenstockRolloutWaitsForPerson="support")
async def nobody_decides_about_an_unclear_analysis(plant: Plant) -> None:
    plant.world = cancelled(trying())
    await plant.run(250)


@story(PenstockShareOff="support")
async def the_tasks_that_come_do_not_fit_the_share(plant: Plant) -> None:
    plant.world = off_its_share(trying())
    await plant.run(25)


@story(PenstockRolledBack="support")
async def a_rejected_revision_stays_the_newest(plant: Plant) -> None:
    plant.world = trying(f"abort/{cut(V2).name}/1")
    await plant.run(60)


@story(PenstockAgentStalled="support")
async def no_worker_of_an_agent_can_be_made(plant: Plant) -> None:
    plant.world = refused(serving(), V1)
    await plant.run(8)
    plant.away.add(OPERATOR)
    await plant.run(2)
    plant.away.clear()
    plant.begin(OPERATOR)
    await plant.run(10)


@story(PenstockAgentStalled="support")
async def no_worker_of_a_canary_can_be_made(plant: Plant) -> None:
    plant.world = refused(trying(), V2)
    await plant.run(20)


@story(PenstockAgentStalled="support")
async def an_agentrollout_cannot_be_read(plant: Plant) -> None:
    made = trying()
    unread = UnreadRollout.of(made.rollouts[0].obj, "spec.unit is Ring")
    plant.world = replace(serving(), unread_rollouts=(unread,))
    await plant.run(20)


@story(PenstockAgentStalled="support")
async def two_agentrollouts_name_one_agent(plant: Plant) -> None:
    made = trying()
    second = json.loads(json.dumps(made.rollouts[0].obj))
    second["metadata"]["name"] = "second"
    plant.world = replace(made, rollouts=(*made.rollouts, Rollout.of(second)))
    await plant.run(20)


@story(PenstockAgentSuspended="support")
async def the_kill_switch_stays_on(plant: Plant) -> None:
    plant.world = serving(suspended=True)
    await plant.run(40)
    plant.away.add(OPERATOR)
    await plant.run(2)
    plant.away.clear()
    plant.begin(OPERATOR)
    await plant.run(28)


@story(PenstockTasksWait="support")
async def tasks_wait_for_workers(plant: Plant) -> None:
    plant.world = serving({V1: RevisionWork(queued=5, oldest_queued_ms=400_000)})
    await plant.run(8)


async def _play(told: Told) -> Plant:
    plant = Plant()
    await told(plant)
    return plant


def main() -> None:
    """Write what was scraped in each story."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    played = {name: asyncio.run(_play(one.told)).scrapes for name, one in STORIES.items()}
    json.dump(played, sys.stdout)


if __name__ == "__main__":
    main()
