"""Who may move traffic: the verb `promote` decides, not the right to edit."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.e2e.site import Tenant
from tests.integration.acceptance import manifests

PERCENT = json.dumps({"spec": {"traffic": {"canaryPercent": 100}}})


@pytest.fixture
def person(tenant: Tenant) -> Callable[..., str]:
    """Kubectl as a person with a shipped ClusterRole in the namespace; never raises."""

    def bound_to(role: str) -> Callable[..., str]:
        name = f"{role}-person"
        binding = (name, "--clusterrole", role, "--user", name)
        tenant.cluster.kubectl("create", "rolebinding", *binding)

        def kubectl(*arguments: str) -> str:
            return tenant.cluster.kubectl("--as", name, *arguments, check=False)

        return kubectl

    return bound_to


@pytest.mark.timeout(240)
def test_an_editor_is_refused_the_share_and_a_releaser_is_not(
    tenant: Tenant, person: Callable[..., str]
) -> None:
    tenant.cluster.apply(manifests.agent("v1"), manifests.rollout(manifests.PARKED))
    stable = tenant.until_stable()
    tenant.cluster.apply(manifests.agent("v2"))
    tenant.until_canary(stable)
    patch = ("patch", "agentrollout", "support", "--type", "merge", "-p", PERCENT)
    editor, releaser = person("edit"), person("penstock-releaser")
    refusals = (
        patch,
        ("delete", "agentrollout", "support"),
        ("annotate", "agentrollout", "support", "penstock.dev/request=promote-full/x/1"),
    )
    for forbidden in refusals:
        said = editor(*forbidden)
        assert "promote" in said, said
        assert "denied" in said or "Forbidden" in said or "forbidden" in said, said
    assert "labeled" in editor("label", "agentrollout", "support", "team=shop")
    assert tenant.share() < 100
    assert "patched" in releaser(*patch)
    tenant.until_share(100)


def test_a_person_without_any_role_sees_nothing(tenant: Tenant) -> None:
    said = tenant.cluster.kubectl("--as", "nobody", "get", "agents", check=False)
    assert "forbidden" in said
