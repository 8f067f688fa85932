"""What people see and do with kubectl."""

from __future__ import annotations

import json

import pytest

from penstock.api import validation
from penstock_dev import dev_cli
from tests.integration.api.manifests import manifest

pytestmark = pytest.mark.cluster


@pytest.fixture
def apply(kubectl):
    """Runs kubectl apply on a document and returns all that it prints."""

    def run(document, *arguments, check=True):
        return kubectl("apply", "-f", "-", *arguments, stdin=json.dumps(document), check=check)

    return run


def stored(kubectl, kind):
    return json.loads(kubectl("get", kind, "support", "-o", "json"))


# ---------------------------------------------------------------------- people's own mistakes


def test_apply_refuses_a_misspelt_field(apply):
    said = apply(manifest("AgentRollout", {"trafic": {"canaryPercent": 20}}), check=False)
    assert 'strict decoding error: unknown field "spec.trafic"' in said


def test_a_patch_with_a_misspelt_field_warns_and_changes_nothing(apply, kubectl):
    apply(manifest("AgentRollout"))
    change = '{"spec":{"traffic":{"canarypercent":20}}}'
    said = kubectl("patch", "agr", "support", "--type", "merge", "-p", change, check=False)
    assert 'Warning: unknown field "spec.traffic.canarypercent"' in said
    assert "canarypercent" not in json.dumps(stored(kubectl, "agr")["spec"])


def test_a_patch_with_a_share_above_100_is_refused(apply, kubectl):
    apply(manifest("AgentRollout"))
    change = '{"spec":{"traffic":{"canaryPercent":120}}}'
    said = kubectl("patch", "agr", "support", "--type", "merge", "-p", change, check=False)
    assert "spec.traffic.canaryPercent" in said
    assert "should be less than or equal to 100" in said


# ------------------------------------------------------------------------------- the setpoint


def test_the_share_is_set_and_given_back_with_a_merge_patch(apply, kubectl):
    apply(manifest("AgentRollout"))
    for percent in (20, 0, None):
        change = json.dumps({"spec": {"traffic": {"canaryPercent": percent}}})
        kubectl("patch", "agentrollout", "support", "--type", "merge", "-p", change)
        assert stored(kubectl, "agr")["spec"]["traffic"].get("canaryPercent") == percent


@pytest.mark.parametrize("way", ["client-side", "server-side"])
def test_an_empty_block_applies_twice_and_reads_as_absent(way, apply, kubectl):
    flags = ["--server-side"] if way == "server-side" else []
    document = manifest("AgentRollout", {"traffic": {}, "analysis": {}})
    apply(document, *flags)
    apply(document, *flags)
    assert validation.parse_rollout(stored(kubectl, "agr")).traffic.canary_percent is None


def test_a_share_that_another_tool_set_outlives_an_apply_that_does_not_name_it(apply, kubectl):
    apply(manifest("AgentRollout"), "--server-side")
    change = '{"spec":{"traffic":{"canaryPercent":20}}}'
    kubectl("patch", "agr", "support", "--type", "merge", "-p", change)
    apply(manifest("AgentRollout"), "--server-side")
    assert stored(kubectl, "agr")["spec"]["traffic"]["canaryPercent"] == 20


# ------------------------------------------------------------------- the largest legal Agent


def largest_agent():
    """Every list of the template full, every byte of the template used."""
    spec = manifest("Agent")["spec"]
    template = spec["template"]
    template["worker"] = {"env": [{"name": f"V{i}", "value": "v" * 1000} for i in range(32)]}
    template["tools"] = [
        {
            "name": f"t{i:02}" + "x" * 61,
            "description": "d" * 100,
            "inputSchema": {"type": "object", "description": "s" * (16_300 if i < 5 else 10)},
            "http": {"url": "http://orders/" + "u" * 500},
        }
        for i in range(32)
    ]
    template["instructions"] = ""
    template["instructions"] = "i" * (
        validation.MAX_TEMPLATE_BYTES - validation.size_bytes(template)
    )
    spec["scaling"] = {"minReplicas": 1000, "maxReplicas": 1000}
    spec["worker"] = {
        "nodeSelector": {f"label-{i}": "n" * 63 for i in range(16)},
        "tolerations": [{"key": f"{i:02}" + "k" * 300, "value": "v" * 63} for i in range(16)],
        "imagePullSecrets": [{"name": f"{i}" + "p" * 252} for i in range(8)],
    }
    return manifest("Agent", spec)


@pytest.mark.parametrize("way", ["client-side", "server-side"])
def test_the_largest_legal_agent_is_applied_and_changed(way, apply, kubectl):
    flags = ["--server-side"] if way == "server-side" else []
    document = largest_agent()
    template = document["spec"]["template"]
    assert 1 < len(template["instructions"]) <= 65536
    assert validation.template_problem(template) is None
    apply(document, *flags)
    template["instructions"] = "j" + template["instructions"][1:]
    assert "support" in apply(document, *flags)
    assert stored(kubectl, "agents")["spec"]["template"] == template
    assert validation.template_problem(template | {"version": "1"}) is not None


# ------------------------------------------------------------------------------------ reading


EXPLAINED = {
    "agentrollout.spec.traffic": ["--type merge", "canaryPercent", "null in place of 20"],
    "agentrollout.spec.strategy.steps": ["-required-", "Default: 3 x holdSeconds."],
    "agent.spec.template.model": ["enum: Low, Medium, High", "Default: 2048."],
    "agent.spec.scaling.replicas": ["kubectl scale agent NAME", "null gives it back"],
}


def test_explain_says_what_to_write(kubectl):
    for path, words in EXPLAINED.items():
        said = " ".join(kubectl("explain", path).split())
        assert "<no description>" not in said
        assert not [word for word in words if word not in said], said


def ready(reason):
    return {
        "type": "Ready",
        "status": "True",
        "reason": reason,
        "message": "Serving.",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    }


@pytest.fixture
def no_operator(environment):
    """Nobody else writes a status while the test does."""
    running = environment.operator_url is not None
    if running:
        assert dev_cli.stop_component("operator", environment.state_dir) == 0
    yield
    if running:
        assert dev_cli.start_component("operator", environment.state_dir) == 0


def table(kubectl, kind, status):
    """Header and row, split at blanks, of an object with that status."""
    change = json.dumps({"status": status})
    kubectl("patch", kind, "support", "--subresource=status", "--type", "merge", "-p", change)
    head, row = kubectl("get", kind, "support", "-o", "wide").splitlines()
    return head.split(), row.split()


@pytest.mark.usefixtures("no_operator")
def test_agents_are_listed_with_what_serves(apply, kubectl):
    apply(manifest("Agent", {"suspended": True}))
    status = {
        "stableRevision": "support-51e0aa07",
        "replicas": 5,
        "summary": {"queued": "3", "canary": "support-7f3c9d2a", "percent": "20"},
        "conditions": [ready("Serving")],
    }
    head, row = table(kubectl, "agent", status)
    names = "NAME MODEL READY STATUS UP-TO-DATE STABLE CANARY PERCENT REPLICAS QUEUED COST-TODAY AGE BUDGET VERSION MESSAGE"
    assert head == names.split()
    shown = "support claude-sonnet-5-5 True Serving support-51e0aa07 support-7f3c9d2a 20 5 3"
    assert row[:9] == shown.split()


@pytest.mark.usefixtures("no_operator")
def test_rollouts_are_listed_with_what_was_wanted_and_what_is(apply, kubectl):
    apply(manifest("AgentRollout", {"traffic": {"canaryPercent": 20}}))
    status = {
        "stableRevision": "support-51e0aa07",
        "canaryRevision": "support-7f3c9d2a",
        "share": {"percent": 5, "source": "Automatic"},
        "step": "2/3",
        "conditions": [ready("Holding")],
    }
    head, row = table(kubectl, "agentrollout", status)
    names = "NAME AGENT STABLE CANARY WANT NOW STEP STATUS AGE SOURCE MESSAGE"
    assert head == names.split()
    shown = "support nobody support-51e0aa07 support-7f3c9d2a 20 5 2/3 Holding"
    assert row[:8] == shown.split()


def test_both_kinds_have_a_category_and_rollouts_a_short_name(apply, kubectl):
    apply(manifest("Agent", {"suspended": True}))
    apply(manifest("AgentRollout"))
    assert kubectl("get", "penstock", "-o", "name").split() == [
        "agentrollout.penstock.dev/support",
        "agent.penstock.dev/support",
    ]
    assert kubectl("get", "agr", "-o", "name").split() == ["agentrollout.penstock.dev/support"]


def test_rollouts_are_selected_by_their_agent(apply, kubectl):
    apply(manifest("AgentRollout", {"agentRef": {"name": "billing"}}, name="one"))
    apply(manifest("AgentRollout", name="two"))
    selector = "--field-selector=spec.agentRef.name=billing"
    assert kubectl("get", "agr", selector, "-o", "name").split() == [
        "agentrollout.penstock.dev/one"
    ]


# ---------------------------------------------------------------------------------- the scale


def test_the_scale_cannot_be_read_until_it_has_been_set_once(apply, kubectl, namespace):
    apply(manifest("Agent", {"suspended": True}))
    path = f"/apis/penstock.dev/v1alpha1/namespaces/{namespace}/agents/support/scale"
    said = kubectl("get", "--raw", path, check=False)
    assert 'the spec replicas field ".spec.scaling.replicas" does not exist' in said
    kubectl("scale", "agent", "support", "--replicas=30")
    assert json.loads(kubectl("get", "--raw", path))["spec"]["replicas"] == 30
    assert stored(kubectl, "agent")["spec"]["scaling"] == {"replicas": 30}


def test_the_scale_tells_an_autoscaler_which_pods_to_look_at(apply, kubectl, namespace):
    apply(manifest("Agent", {"suspended": True, "scaling": {"replicas": 3}}))
    status = {"status": {"replicas": 2, "selector": "penstock.dev/agent=support"}}
    change = json.dumps(status)
    kubectl("patch", "agent", "support", "--subresource=status", "--type", "merge", "-p", change)
    path = f"/apis/penstock.dev/v1alpha1/namespaces/{namespace}/agents/support/scale"
    scale = json.loads(kubectl("get", "--raw", path))
    # Where the operator runs too, it writes a longer one of its own.
    assert "penstock.dev/agent=support" in scale["status"]["selector"]


def test_a_null_gives_the_number_of_workers_back_to_the_backlog(apply, kubectl):
    apply(manifest("Agent", {"suspended": True}))
    kubectl("scale", "agent", "support", "--replicas=3")
    change = '{"spec":{"scaling":{"replicas":null}}}'
    kubectl("patch", "agent", "support", "--type", "merge", "-p", change)
    assert validation.parse_agent(stored(kubectl, "agent")).scaling.replicas is None
