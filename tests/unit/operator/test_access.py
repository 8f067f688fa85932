"""What the Agent says of its credentials: from the workers' words alone, and in no decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import kubectl, names, revision
from penstock.access import Access, Heard
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import manifests, stock
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import verdict
from tests.unit.operator.test_plan import serving, trying_v2
from tests.unit.operator.worlds import cut, record, world

V1, V2 = "Be kind.", "Be brief."
CHANGE = kubectl.change_secret("acme", "vendor", "api-key")


def conditions(made):
    status = plan_agent(made).agent_status
    assert status is not None
    return {item.type: item for item in status.conditions}


def hearing(made, **words):
    """The world in which the workers of revisions have said this: {hash: (access, at ms)}."""
    heard = {name: Heard(access, at_ms) for name, (access, at_ms) in words.items()}
    return replace(made, look=replace(made.look, heard=heard))


def asking(text, **model):
    """An Agent that asks its model in a way of its own, and its one revision, which serves."""
    agent = worlds.agent(text)
    agent["spec"]["template"]["model"] |= model
    made = revision.cut("support", agent["spec"]["template"], {}, worlds.INSTALLATION.runtime_image)
    return agent, made


WITH_SECRET = {"credentialsSecretRef": {"name": "vendor", "key": "api-key"}}


def alone(access=None, **model):
    """One revision serves; its workers have said this word."""
    agent, made = asking(V1, **model)
    status = serving(V1).model_copy(
        update={"stable_revision": made.name, "latest_revision": made.name}
    )
    here = world(agent, records=(manifests.record(agent, made, 1),), status=status)
    here = replace(here, pods={made.name: Pods(1, 1)})
    words = {made.hash: (access, 5)} if access else {}
    return hearing(here, **words)


def told(made):
    found = conditions(made)["CredentialsValid"]
    return found.status.value, found.reason, found.message


@pytest.mark.parametrize(
    ("access", "status", "reason"),
    [
        (None, "Unknown", "NotCalled"),
        (Access.UNTRIED, "Unknown", "Replaced"),
        (Access.ACCEPTED, "True", "Accepted"),
        (Access.CREDENTIALS_REFUSED, "False", "CredentialsRefused"),
        (Access.MODEL_NOT_FOUND, "False", "ModelNotFound"),
    ],
)
def test_the_last_word_of_the_workers_is_the_condition(access, status, reason):
    assert told(alone(access))[:2] == (status, reason)


@pytest.mark.parametrize(
    ("access", "model", "words"),
    [
        (Access.CREDENTIALS_REFUSED, WITH_SECRET, (CHANGE, "key api-key of Secret vendor")),
        (Access.CREDENTIALS_REFUSED, {}, ("credentialsSecretRef", "kubectl -n acme create secret")),
        (Access.MODEL_NOT_FOUND, {}, ("claude-sonnet-5-5", "the installation's endpoint")),
        (
            Access.MODEL_NOT_FOUND,
            {"baseURL": "http://models.corp"},
            ("http://models.corp does not serve model claude-sonnet-5-5", "model.baseURL"),
        ),
        (  # of a revision that was cut before this was refused
            Access.MODEL_NOT_FOUND,
            {"baseURL": "http://user:secret@models.corp/v?key=secret"},
            ("http://models.corp/v does not serve model claude-sonnet-5-5", "model.baseURL"),
        ),
    ],
)
def test_a_refusal_is_a_persons_to_mend_and_told_with_the_remedy(access, model, words):
    said = conditions(alone(access, **model))
    for kind, status in (("CredentialsValid", "False"), ("Stalled", "True")):
        assert (said[kind].status, said[kind].reason) == (status, access.value)
        assert all(word in said[kind].message for word in words)
    assert (said["Reconciling"].status, said["Reconciling"].reason) == ("False", "Stalled")
    assert (said["Ready"].status, said["Ready"].reason) == ("True", access.value), "STATUS"
    assert said["Ready"].message == said["Stalled"].message


def test_nobody_is_asked_to_mend_what_is_well_or_unknown():
    for access in (None, Access.UNTRIED, Access.ACCEPTED):
        assert conditions(alone(access))["Stalled"].status == "False"


def test_what_redis_cannot_say_is_unknown_and_stalls_nothing():
    away = replace(alone(Access.CREDENTIALS_REFUSED), look=None, look_error="Redis is away")
    said = conditions(away)
    assert said["CredentialsValid"].status == "Unknown"
    assert said["CredentialsValid"].message == "Redis is away"
    assert said["Stalled"].reason != "CredentialsRefused"


def test_revisions_that_ask_alike_share_the_newest_word():
    made = trying_v2()
    first, second = cut(V1).hash, cut(V2).hash
    refused, accepted = Access.CREDENTIALS_REFUSED, Access.ACCEPTED
    assert told(hearing(made, **{first: (refused, 5), second: (accepted, 9)}))[0] == "True"
    assert told(hearing(made, **{first: (accepted, 5), second: (refused, 9)}))[0] == "False"
    assert told(hearing(made, **{first: (accepted, 5)}))[0] == "True", "V2 asks with the same key"


def governed_apart():
    """V1 serves; V2, without an AgentRollout and not ready yet, asks with another key."""
    agent, second = asking(V2, **WITH_SECRET)
    first = record(V1, 1, promoted=1)
    made = world(
        agent,
        records=(first, manifests.record(agent, second, 2)),
        projected_for=(V1,),
        ready_for=(V1,),
        status=serving(V1),
    )
    return made, second


def test_a_revision_that_asks_with_another_key_speaks_for_itself():
    made, second = governed_apart()
    ok = {cut(V1).hash: (Access.ACCEPTED, 5)}
    status, _, message = told(hearing(made, **ok))
    assert (status, second.name in message) == ("Unknown", True)
    both = ok | {second.hash: (Access.CREDENTIALS_REFUSED, 4)}
    status, _, message = told(hearing(made, **both))
    assert (status, second.name in message, CHANGE in message) == ("False", True, True)
    ready = conditions(hearing(made, **both))["Ready"]
    assert (ready.status, ready.reason) == ("True", "Serving"), "V1 serves"


def test_who_was_rejected_asks_nobody_for_a_mend():
    made, second = governed_apart()
    rejected = verdict(V2).model_copy(update={"revision": second.name})
    known = stock.Known(second, None, 2, rejected)
    made.records[1]["metadata"]["annotations"] = stock.verdict_annotations(known, None, 0)
    heard = {
        cut(V1).hash: (Access.ACCEPTED, 5),
        second.hash: (Access.CREDENTIALS_REFUSED, 9),
    }
    assert told(hearing(made, **heard))[:2] == ("True", "Accepted")


@pytest.mark.parametrize("access", list(Access))
@pytest.mark.parametrize("whose", [V1, V2])
def test_no_word_enters_a_decision(access, whose):
    made = trying_v2()
    without = plan_agent(made)
    heard = plan_agent(hearing(made, **{cut(whose).hash: (access, 9)}))
    assert heard.course == without.course
    assert heard.route == without.route
    assert heard.verdicts == without.verdicts
    assert heard.rollout_statuses == without.rollout_statuses


def test_workers_that_came_lately_are_listened_to_and_later_only_where_they_work():
    made = world(
        records=(record(V1, promoted=1),), projected_for=(V1,), ready_for=(V1,), status=serving(V1)
    )
    metadata = made.deployments[cut(V1).name]["metadata"]
    metadata["creationTimestamp"] = "2026-11-21T09:55:00Z"
    assert plan_agent(made).look_again_seconds <= 5
    said = hearing(made, **{names.hash_of(cut(V1).name): (Access.ACCEPTED, 5)})
    assert plan_agent(said).look_again_seconds > 5
    metadata["creationTimestamp"] = "2026-11-21T09:45:00Z"
    assert plan_agent(made).look_again_seconds > 5
