"""Looking after the users of namespaces: what fails in one of them holds up no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from penstock.errors import PenstockError, StoreRefused, StoreUnavailable
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import ClusterError
from penstock_operator.cluster.kinds import AGENT, Kind, Object
from penstock_operator.leadership.leadership import Fenced
from penstock_operator.tenancy.credentials import Credentials
from penstock_operator.tenancy.tenants import Tenants

KEY = "a key of the installation for tests, long enough"
NAMESPACES = ("a", "b", "c")


@dataclass
class World:
    """Cluster and store in one; whatever is asked about a namespace may fail."""

    failing: dict[str, PenstockError] = field(default_factory=dict)
    permitted: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    unlisted: dict[str, PenstockError] = field(default_factory=dict)

    @property
    def users(self) -> World:
        return self

    async def namespaces(self) -> set[str]:
        return set(self.permitted)

    async def permit(self, namespace: str, _password: str, *, keep_former: bool = False) -> bool:
        if namespace in self.failing:
            raise self.failing[namespace]
        self.permitted.add(namespace)
        return keep_former and False

    async def disconnect(self, _namespace: str) -> None:
        pass

    async def dismiss(self, namespace: str) -> None:
        if namespace in self.failing:
            raise self.failing[namespace]
        self.permitted.discard(namespace)

    async def apply(self, _kind: Kind, obj: Object, _manager: str) -> Object:
        self.secrets.add(obj["metadata"]["namespace"])
        return obj

    async def delete(self, _kind: Kind, obj: Object) -> None:
        self.secrets.discard(obj["metadata"]["namespace"])

    async def listing(self, _kind: Kind, namespace: str) -> tuple[list[Any], int]:
        if namespace in self.unlisted:
            raise self.unlisted[namespace]
        return [], 1


def tenants(world: World, *peopled: str) -> Tenants:
    """Those of namespaces with an Agent each."""
    cache = Cache()
    for namespace in peopled:
        metadata = {"name": "x", "namespace": namespace, "uid": "u", "resourceVersion": "1"}
        cache.observe(AGENT, {"metadata": metadata})
    credentials = Credentials("test", "redis://redis:6379/0", KEY)
    now = iter(range(0, 10**6, 1000))
    return Tenants(
        world,  # type: ignore[arg-type]
        world,  # type: ignore[arg-type]
        cache,
        credentials,
        lambda: True,
        lambda: float(next(now)),
    )


@pytest.mark.parametrize(
    "error", [StoreRefused("ERR no"), ClusterError(403, "no")], ids=["redis", "api server"]
)
async def test_a_user_that_cannot_be_made_again_holds_up_no_other(error: PenstockError) -> None:
    world = World({"b": error})
    with structlog.testing.capture_logs() as logged:
        await tenants(world, *NAMESPACES).look()
    assert world.permitted == {"a", "c"}
    assert [line["namespace"] for line in logged if line["log_level"] == "warning"] == ["b"]


async def test_a_user_that_redis_refuses_is_the_namespaces_problem_and_no_others() -> None:
    world = World({"b": StoreRefused("ERR no")})
    them = tenants(world, *NAMESPACES)
    await them.renew()
    assert world.permitted == world.secrets == {"a", "c"}
    assert "ERR no" in await them.provide("b")


async def test_a_namespace_that_cannot_be_listed_keeps_its_user_and_no_other_does() -> None:
    world = World({"b": StoreRefused("ERR no")}, permitted=set(NAMESPACES))
    world.unlisted["a"] = ClusterError(403, "its Role is gone")
    them = tenants(world)
    with structlog.testing.capture_logs() as logged:
        await them.renew()
        await them.renew()
    assert world.permitted == {"a", "b"}
    warned = [line["namespace"] for line in logged if line["log_level"] == "warning"]
    assert warned == ["a", "b"]


@pytest.mark.parametrize("error", [Fenced("no"), StoreUnavailable("away")])
async def test_what_stops_all_of_them_is_not_tried_for_each(error: PenstockError) -> None:
    world = World(dict.fromkeys(NAMESPACES, error))
    with pytest.raises(type(error)):
        await tenants(world, *NAMESPACES).look()
