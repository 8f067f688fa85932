"""How many workers a revision gets, by the fields of spec.scaling."""

import pytest

from penstock.api.agent import Scaling
from penstock.api.agent_status import AgentStatus, RevisionState, RevisionStatus, Role, Traffic
from penstock.api.agent_status import TrafficTarget as Target
from penstock_operator.reconcile import workforce
from penstock_operator.reconcile.memory import Lull
from penstock_operator.reconcile.plan import plan_agent
from penstock_store.records import RevisionWork
from tests.unit.operator import worlds
from tests.unit.operator.worlds import cut, record, world

V1 = "Be kind."


def planned(scaling, *, queued=0, running=0, replicas=1, lull=None, **more):
    """Workers that a plan gives the stable revision of an Agent, which has ``replicas`` now."""
    name = cut(V1).name
    made = world(
        worlds.agent(V1, scaling=scaling),
        records=(record(V1, promoted=1),),
        projected_for=(V1,),
        ready_for=(V1,) if replicas else (),
        status=AgentStatus(
            latest_revision=name,
            stable_revision=name,
            traffic=Traffic(
                version=3, targets=[Target(revision=name, role=Role.STABLE, percent=100)]
            ),
            revisions=[RevisionStatus(name=name, state=RevisionState.OPEN)],
        ),
        route_version=3,
        work={V1: RevisionWork(queued=queued, running=running)},
        lulls={name: lull} if lull else {},
        **more,
    )
    made.deployments[name]["spec"]["replicas"] = replicas
    applied = [obj for kind, obj in plan_agent(made).children if kind.kind == "Deployment"]
    assert len(applied) <= 1
    return applied[0]["spec"]["replicas"] if applied else replicas


def wanted(queued=0, running=0, **scaling):
    return workforce.wanted_replicas(
        Scaling.model_validate(scaling), RevisionWork(queued=queued, running=running)
    )


@pytest.mark.parametrize(("per_replica", "workers"), [(1, 20), (5, 4), (16, 2), (100, 1)])
def test_the_backlog_is_divided_by_what_one_replica_answers_for(per_replica, workers):
    assert wanted(queued=20, queuedTasksPerReplica=per_replica) == workers
    assert planned({"queuedTasksPerReplica": per_replica}, queued=20) == workers


def test_one_task_more_than_a_replica_answers_for_is_one_replica_more():
    assert [wanted(queued=queued, queuedTasksPerReplica=10) for queued in (9, 10, 11)] == [1, 1, 2]


@pytest.mark.parametrize(("most", "workers"), [(1, 1), (3, 3), (20, 10)])
def test_there_are_never_more_workers_than_allowed(most, workers):
    assert wanted(queued=160, maxReplicas=most) == workers
    assert planned({"maxReplicas": most}, queued=160) == workers


@pytest.mark.parametrize("fewest", [1, 4])
def test_there_are_never_fewer_workers_than_asked_for(fewest):
    assert wanted(minReplicas=fewest) == fewest
    assert planned({"minReplicas": fewest}) == fewest


def lull(seconds, most=0, replicas=1):
    return Lull(worlds.later(-seconds), most, replicas)


def test_an_agent_that_may_sleep_does_so_once_nothing_was_asked_of_it_for_a_minute():
    asleep, awake = {"minReplicas": 0}, {"minReplicas": 1}
    assert planned(asleep, lull=lull(61)) == 0
    assert planned(awake, lull=lull(61)) == 1
    assert planned(asleep, lull=lull(30)) == 1, "not so soon"


def test_workers_are_taken_away_down_to_the_most_that_the_minute_needed():
    assert planned({}, running=100, replicas=12, lull=lull(61, most=9, replicas=12)) == 9
    assert planned({}, running=100, replicas=12, lull=lull(61, most=2, replicas=12)) == 4
    assert planned({}, running=100, replicas=12, lull=lull(61, most=2, replicas=20)) == 12, (
        "the number of workers changed meanwhile: that minute is over"
    )


@pytest.mark.parametrize(("running", "workers"), [(1, 1), (32, 1), (33, 2), (200, 7), (9999, 20)])
def test_what_runs_needs_workers_as_what_waits_does(running, workers):
    assert wanted(running=running) == workers


def test_workers_for_what_runs_and_for_what_waits_add_up():
    assert wanted(queued=160, running=200) == 17
    assert wanted(queued=160, running=0, queuedTasksPerReplica=1000) == 1, "a person's own choice"


def test_running_tasks_are_divided_by_what_a_worker_of_this_agent_takes():
    work = RevisionWork(running=200)
    assert workforce.wanted_replicas(Scaling(max_replicas=100), work, 4) == 50


def test_nothing_is_taken_away_while_nobody_knows_what_is_needed():
    assert planned({}, replicas=9, lull=lull(61, most=1, replicas=9)) == 1
    assert planned({}, replicas=9, lull=lull(61, most=1, replicas=9), look=None) == 9


def test_a_sleeping_agent_wakes_when_a_task_is_queued():
    assert planned({"minReplicas": 0}, replicas=0) == 0
    assert planned({"minReplicas": 0}, replicas=0, queued=1) == 1
    assert planned({"minReplicas": 0}, replicas=0, queued=40) == 3


def test_an_agent_does_not_fall_asleep_over_a_running_task():
    assert planned({"minReplicas": 0}, running=1, lull=lull(61)) == 1


@pytest.mark.parametrize("replicas", [0, 5])
def test_a_number_that_somebody_set_counts_instead_of_the_backlog(replicas):
    assert planned({"replicas": replicas}, queued=160) == replicas
    assert planned({}, queued=160) == 10
