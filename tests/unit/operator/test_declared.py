"""Fields that say what belongs to what, and what it is called."""

import pytest

from penstock import names, revision
from penstock.names import AgentKey
from penstock_operator.cluster import cache
from penstock_operator.cluster.kinds import ROLLOUT
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.worlds import world

PROMPTS = {
    "configmap/prompts/kind": "Be kind.",
    "configmap/prompts/brief": "Be brief.",
    "configmap/others/kind": "Be very kind.",
}


@pytest.mark.parametrize("version", ["1.0", "2.0", None])
def test_the_status_shows_the_version_that_the_template_names(version):
    agent = worlds.agent()
    if version:
        agent["spec"]["template"]["version"] = version
    cut = revision.cut("support", agent["spec"]["template"], {}, "runtime:1")
    plan = plan_agent(world(agent, records=(manifests.record(agent, cut, 1),)))
    assert plan.agent_status is not None
    assert [item.version for item in plan.agent_status.revisions] == [version]


@pytest.mark.parametrize("name", ["support", "billing"])
def test_a_rollout_is_for_the_agent_that_it_names(name):
    rollout = {
        "metadata": {"namespace": "acme", "name": "steady"},
        "spec": {"agentRef": {"name": name}},
    }
    assert cache.owner_key(ROLLOUT, rollout) == AgentKey("acme", name)


@pytest.mark.parametrize(
    ("name", "key"), [("prompts", "kind"), ("prompts", "brief"), ("others", "kind")]
)
def test_the_instructions_are_read_from_the_key_that_is_named(name, key):
    source = {"configMapKeyRef": {"name": name, "key": key}}
    declared = {"instructionsFrom": source, "model": {"name": "claude-sonnet-5-5"}}
    cut = revision.cut("support", declared, PROMPTS, "runtime:1")
    assert cut.instructions == PROMPTS[f"configmap/{name}/{key}"]


def test_another_prompt_is_another_revision():
    kind, brief = worlds.cut("Be kind."), worlds.cut("Be brief.")
    assert (kind.instructions, brief.instructions) == ("Be kind.", "Be brief.")
    assert names.hash_of(kind.name) != names.hash_of(brief.name)
