"""An upgrade of the runtime: which image runs, what it is called, and that nobody is blamed."""

import dataclasses

import pytest

from penstock import revision
from penstock.api.agent import AgentSpec
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.reconcile.plan import Plan, plan_agent
from penstock_operator.reconcile.world import World
from penstock_operator.settings import RuntimeUpgrade
from tests.unit.operator import worlds
from tests.unit.operator.test_plan import V1, V2, trying_v2
from tests.unit.operator.worlds import INSTALLATION, cut

UPGRADED = dataclasses.replace(INSTALLATION, runtime_image="runtime:2")
KEPT = dataclasses.replace(UPGRADED, upgrade=RuntimeUpgrade.ON_NEXT_REVISION)


def image(made: Installation, known: revision.Revision) -> str:
    agent = worlds.agent()
    spec = AgentSpec.model_validate(agent["spec"])
    deployment = manifests.deployment(agent, spec, known, 1, made)
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def test_rolling_gives_old_revisions_the_present_image_and_on_next_revision_their_own() -> None:
    assert image(INSTALLATION, cut(V1)) == "runtime:1"
    assert image(UPGRADED, cut(V1)) == "runtime:2"
    assert image(KEPT, cut(V1)) == "runtime:1"


@pytest.mark.parametrize("made", [UPGRADED, KEPT])
def test_an_image_that_the_template_names_is_never_replaced(made: Installation) -> None:
    declared = worlds.agent()["spec"]["template"] | {"worker": {"image": "mine:7"}}
    assert image(made, revision.cut("support", declared, {}, "runtime:1")) == "mine:7"


def test_no_image_of_the_installation_changes_a_revisions_name_or_what_it_was_cut_with() -> None:
    declared = worlds.agent()["spec"]["template"]
    before, after = (
        revision.cut("support", declared, {}, made.runtime_image)
        for made in (INSTALLATION, UPGRADED)
    )
    assert before.name == after.name == "support-" + before.hash
    assert (before.image, after.image) == ("runtime:1", "runtime:2")
    again = revision.read(before.document(), before.name)
    assert again.image == "runtime:1"


def upgraded(pods: dict[str, Pods], made: Installation = UPGRADED, seconds: float = 0) -> World:
    """A canary at 20 % that was tried by the former image, seen by an upgraded operator."""
    world = trying_v2(
        installation=made, pods={cut(text).name: found for text, found in pods.items()}
    )
    return dataclasses.replace(world, now=worlds.later(seconds))


def percent(plan: Plan) -> int:
    assert plan.course is not None
    return plan.course.split.percent


def test_both_sides_are_rolled_in_one_pass_without_a_gap_and_nothing_else_is_written() -> None:
    plan = plan_agent(upgraded({V1: Pods(1, 1), V2: Pods(1, 1)}))
    rolled = {obj["metadata"]["name"]: obj["spec"] for _, obj in plan.children}
    assert rolled.keys() == {cut(V1).name, cut(V2).name}
    for spec in rolled.values():
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert spec["template"]["spec"]["containers"][0]["image"] == "runtime:2"
    assert {kind.kind for kind, _ in plan.children} == {"Deployment"}
    assert (plan.verdicts, percent(plan)) == ((), 20)


def test_on_next_revision_an_upgrade_writes_nothing_to_workers() -> None:
    assert plan_agent(upgraded({V1: Pods(1, 1), V2: Pods(1, 1)}, KEPT)).children == ()


@pytest.mark.parametrize("seconds", [0, 29, 31, 600, 3600])
def test_while_the_pods_of_both_are_away_the_canary_keeps_its_share_and_gets_no_verdict(
    seconds: float,
) -> None:
    plan = plan_agent(upgraded({V1: Pods(0, 1), V2: Pods(0, 1)}, seconds=seconds))
    assert (plan.verdicts, percent(plan)) == ((), 20)


def test_a_canary_that_alone_is_away_at_first_is_waited_for() -> None:
    plan = plan_agent(upgraded({V1: Pods(1, 1), V2: Pods(0, 1)}, seconds=5))
    assert (plan.verdicts, percent(plan)) == ((), 20)
