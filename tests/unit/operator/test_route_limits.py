"""What admission and the comparison are told of a revision's limits."""

from dataclasses import replace

import pytest

from penstock import revision
from penstock.rollout.situation import Pods
from penstock.traffic import RevisionLimits
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION, world


def routed(**limits):
    """The limits in the route of an Agent that serves its only revision."""
    agent = worlds.agent()
    agent["spec"]["template"]["limits"] = limits
    cut = revision.cut("support", agent["spec"]["template"], {}, INSTALLATION.runtime_image)
    made = world(agent, records=(manifests.record(agent, cut, 1),))
    ready = {cut.name: Pods(1, 1)}
    plan = plan_agent(replace(made, pods=ready))
    assert plan.route is not None
    return plan.route.revisions[cut.hash].limits


@pytest.mark.parametrize("value", [7, 50_000])
@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("inputChars", "input_chars"),
        ("queueSeconds", "queue_seconds"),
        ("wallSeconds", "wall_seconds"),
    ],
)
def test_the_route_carries_the_limit_that_the_template_declares(field, told, value):
    assert getattr(routed(**{field: value}), told) == value


def test_without_declared_limits_the_route_carries_the_defaults():
    assert routed() == RevisionLimits(input_chars=20_000, queue_seconds=600, wall_seconds=120)
