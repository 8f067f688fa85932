"""Workers of an older image pass over what they do not know: the Agent says so, and what to set."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from penstock import protocol, revision
from penstock.protocol import Spoken
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import manifests, runtimes
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import serving

OWN = "shop/worker:1"
NOW_MS = 1_000_000_000


def agent(*, image=OWN, fallbacks=True, text="Be kind."):
    made = worlds.agent(text)
    template = made["spec"]["template"]
    template["worker"] = {"image": image}
    if fallbacks:
        template["model"] = {**template["model"], "fallbacks": [{"name": "claude-haiku-5-5"}]}
    return made


def cut(made):
    template = made["spec"]["template"]
    return revision.cut("support", template, {}, worlds.INSTALLATION.runtime_image)


ROLLED_OUT = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
JUST_ROLLED_OUT = {
    **ROLLED_OUT,
    "conditions": [{"type": "Progressing", "lastUpdateTime": "2026-11-21T09:59:50Z"}],
}


def running(made, *, spoken=None, since="2026-11-21T09:00:00Z", ready=1, rollout=ROLLED_OUT):
    """An Agent whose one revision serves, and what its workers have said: (number, age in ms)."""
    own = cut(made)
    status = serving("Be kind.").model_copy(
        update={"stable_revision": own.name, "latest_revision": own.name}
    )
    world = worlds.world(made, records=(manifests.record(made, own, 1),), status=status)
    deployment = manifests.deployment(made, world.spec, own, 1, worlds.INSTALLATION)
    deployment["metadata"] |= {"creationTimestamp": since, "generation": 1}
    deployment["status"] = rollout
    said = {own.hash: Spoken(spoken[0], NOW_MS - spoken[1])} if spoken else {}
    return replace(
        world,
        pods={own.name: Pods(ready, 1)},
        deployments={own.name: deployment},
        look=replace(world.look, now_ms=NOW_MS, spoken=said),
    )


def condition(world, kind):
    status = plan_agent(world).agent_status
    assert status is not None
    return next((one for one in status.conditions if one.type == kind), None)


@pytest.mark.parametrize(
    ("spoken", "since"),
    [
        (None, "2026-11-21T09:59:00Z"),  # it is ready for a minute and has said nothing
        ((protocol.SILENT, 0), "2026-11-21T09:00:00Z"),
        ((protocol.SPOKEN, 61_000), "2026-11-21T09:00:00Z"),  # its workers were another image's
    ],
)
def test_a_worker_that_does_not_keep_what_is_declared_is_told_with_the_image_to_set(spoken, since):
    told = condition(running(agent(), spoken=spoken, since=since), "RuntimeTooOld")
    assert told is not None
    assert (told.status.value, told.reason) == ("True", "WorkerImage")
    assert OWN in told.message
    assert "spec.template.model.fallbacks" in told.message
    assert worlds.INSTALLATION.runtime_image in told.message


@pytest.mark.parametrize(
    "world",
    [
        running(agent(), spoken=(protocol.SPOKEN, 5000)),
        running(agent(), spoken=(protocol.SPOKEN + 1, 5000)),
        running(agent(), since="2026-11-21T09:59:50Z"),  # it could not say it yet
        running(agent(), ready=0),
        running(agent(fallbacks=False)),
        # An upgrade: of old and new workers one has spoken last a minute ago, or is just there.
        running(agent(), rollout={**ROLLED_OUT, "observedGeneration": 0}),
        running(agent(), rollout={**ROLLED_OUT, "updatedReplicas": 0}),
        running(agent(), rollout={**ROLLED_OUT, "replicas": 2}),
        running(agent(), rollout=JUST_ROLLED_OUT),
        # Redis was away for longer than a word holds, and came back before the first heartbeat.
        replace(running(agent(), spoken=(protocol.SPOKEN, 61_000)), heard_seconds=5.0),
        replace(running(agent()), look=None, look_error="away"),
    ],
)
def test_otherwise_nothing_is_told(world):
    assert condition(world, "RuntimeTooOld") is None


def test_it_goes_on_serving():
    world = running(agent(), spoken=(protocol.SILENT, 0))
    assert condition(world, "Ready").status.value == "True"
    assert condition(world, "Stalled").status.value == "False"


def after(served, edited, **more):
    """The same world once the template was edited."""
    changed = copy.deepcopy(edited)
    changed["metadata"] |= {"uid": served.agent["metadata"]["uid"], "generation": 2}
    spec = worlds.world(changed).spec
    return replace(served, agent=changed, spec=spec, **more)


def test_a_new_revision_on_the_same_image_is_not_accepted():
    served = running(agent(fallbacks=False), spoken=None)
    told = condition(after(served, agent()), "Accepted")
    assert (told.status.value, told.reason) == ("False", "RuntimeTooOld")
    assert "leave spec.template.worker.image empty" in told.message


@pytest.mark.parametrize("image", ["", "shop/worker:2"])
def test_on_another_image_it_is_accepted(image):
    served = running(agent(fallbacks=False), spoken=None)
    assert condition(after(served, agent(image=image)), "Accepted").status.value == "True"


def test_on_an_image_that_keeps_it_it_is_accepted():
    served = running(agent(fallbacks=False), spoken=(protocol.SPOKEN, 0))
    assert condition(after(served, agent()), "Accepted").status.value == "True"


def test_where_the_installations_own_image_is_old_that_is_what_is_to_be_set():
    served = running(agent(image="", fallbacks=False), spoken=None)
    told = condition(after(served, agent(image="")), "Accepted")
    assert told.reason == "RuntimeTooOld"
    assert "set runtime.image of the installation" in told.message


@pytest.mark.parametrize(
    ("world", "again"),
    [
        (running(agent()), True),  # until the image is another one
        (running(agent(), since="2026-11-21T09:59:50Z"), True),  # it may say it any moment
        (running(agent(), spoken=(protocol.SPOKEN, 0), since="2026-11-21T09:59:10Z"), True),
        (running(agent(), spoken=(protocol.SPOKEN, 0)), False),
        (replace(running(agent(), spoken=(protocol.SPOKEN, 0)), heard_seconds=5.0), True),
        (running(agent(), spoken=(protocol.SPOKEN, 0), rollout=JUST_ROLLED_OUT), True),
        (running(agent(fallbacks=False)), False),
        (running(agent(), ready=0), False),
    ],
)
def test_it_is_looked_for_as_long_as_a_word_may_change_what_is_told(world, again):
    assert runtimes.is_awaited(world, cut(world.agent)) is again


def test_a_price_that_an_older_worker_passes_over_is_told_by_its_field():
    made = agent(fallbacks=False)
    made["spec"]["template"]["model"]["price"] = {"inputPerMTok": "1", "outputPerMTok": "2"}
    status, message = told(running(made, spoken=(protocol.SILENT, 0)))
    assert status == "True"
    assert "do not keep spec.template.model.price" in message
    assert told(running(made, spoken=(protocol.SPOKEN, 0)))[0] != "True"


@pytest.mark.parametrize(
    ("field", "value", "default"),
    [("minReplyTokens", 1000, 256), ("onExceeded", "Escalate", "Reject")],
)
def test_what_of_a_budget_an_older_worker_passes_over_is_told_of_the_agent(field, value, default):
    made = agent(fallbacks=False)
    made["spec"]["budgets"] = {"costUSD": {"daily": "1"}, field: value}
    status, message = told(running(made, spoken=(2, 0)))
    assert status == "True"
    assert f"do not keep spec.budgets.{field}, which the Agent declares" in message
    assert told(running(made, spoken=(protocol.SPOKEN, 0)))[0] != "True"
    made["spec"]["budgets"][field] = default
    assert told(running(made, spoken=(2, 0)))[0] != "True"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tiers", [{"name": "easy", "model": "claude-haiku-5-5"}]),
        ("messages", {"escalated": "A person will answer."}),
        ("limits.contextTokens", 1000),
    ],
)
def test_a_field_of_the_template_that_an_older_worker_passes_over_is_told(field, value):
    made = agent(fallbacks=False)
    at, name = made["spec"]["template"], field.rpartition(".")[2]
    if "." in field:
        at = at.setdefault(field.partition(".")[0], {})
    at[name] = value
    status, message = told(running(made, spoken=(2, 0)))
    assert status == "True"
    assert f"do not keep spec.template.{field}, which support-" in message
    assert told(running(made, spoken=(protocol.SPOKEN, 0)))[0] != "True"


@pytest.mark.parametrize("rule", [{"signIn": "Required"}, {"remember": "Session"}])
@pytest.mark.parametrize("of_a_tool", [True, False])
def test_what_an_older_worker_would_pass_over_in_a_rule_that_asks_is_told(of_a_tool, rule):
    made = agent(fallbacks=False)
    template = made["spec"]["template"]
    [name] = rule
    if of_a_tool:
        approval = {"mode": "When", "rules": [{"argument": "amount", "above": "1", **rule}]}
        schema = {"type": "object"}
        address = {"url": "http://orders.acme.svc/refund"}
        template["tools"] = [
            {"name": "refund", "inputSchema": schema, "approval": approval, "http": address}
        ]
    else:
        template["oversight"] = {"rules": [{"name": "r", "toolPattern": "refund", **rule}]}
    field = f"tools[].approval.rules[].{name}" if of_a_tool else f"oversight.rules[].{name}"
    status, message = told(running(made, spoken=(4, 0)))
    assert status == "True"
    assert f"do not keep spec.template.{field}, which support-" in message
    assert told(running(made, spoken=(protocol.SPOKEN, 0)))[0] != "True"


def test_restrictions_that_an_older_worker_passes_over_are_told_of_the_agent():
    made = agent(fallbacks=False)
    made["spec"]["restrictions"] = {"denyTools": ["refund"]}
    status, message = told(running(made, spoken=(2, 0)))
    assert status == "True"
    assert "do not keep spec.restrictions, which the Agent declares" in message
    assert told(running(made, spoken=(protocol.SPOKEN, 0)))[0] != "True"
    made["spec"]["restrictions"] = {}
    assert told(running(made, spoken=(2, 0)))[0] != "True"


def test_a_budget_that_an_older_worker_passes_over_is_told_of_the_agent():
    made = agent(fallbacks=False)
    made["spec"]["budgets"] = {"costUSD": {"daily": "1"}}
    status, message = told(running(made, spoken=(protocol.SILENT, 0)))
    assert status == "True"
    assert "do not keep spec.budgets, which the Agent declares" in message
    assert told(running(made, spoken=(protocol.SPOKEN, 0)))[0] != "True"


def told(world):
    found = condition(world, "RuntimeTooOld")
    return (found.status, found.message) if found else ("", "")
