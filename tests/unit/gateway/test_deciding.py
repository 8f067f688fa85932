"""On whose calls a caller of the cluster may decide, by his verbs."""

from types import SimpleNamespace

import pytest

from penstock.names import AgentKey
from penstock_runtime.gateway import escalating
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.apiserver import User
from penstock_runtime.gateway.identities import ClusterCaller
from penstock_runtime.gateway.problems import Problem

ANN = ClusterCaller(User("ann", "uid-1"))


def gateway(*verbs):
    async def allows(_caller, verb, _agent):
        return verb.value in verbs

    return SimpleNamespace(access=Access(None, SimpleNamespace(allows=allows)))


async def decided(*verbs):
    return await escalating.decided_tenant(gateway(*verbs), ANN, AgentKey("shop", "refunds"))


async def test_who_sees_the_calls_of_all_tenants_decides_on_them():
    assert await decided("approve", "list") == ""


async def test_who_sees_those_of_his_own_tenant_decides_on_these():
    assert await decided("approve", "get") == ANN.tenant


@pytest.mark.parametrize("verbs", [("approve",), ("list", "get"), ()])
async def test_nobody_decides_without_the_right_or_on_what_he_may_not_see(verbs):
    with pytest.raises(Problem):
        await decided(*verbs)
