"""Each child on a real API server: stored as it was written, and applied twice without a trace."""

import json
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock import names, revision
from penstock.api import condition
from penstock.api.agent import AgentSpec
from penstock.api.agent_status import AgentStatus
from penstock.api.condition import Condition
from penstock.guard import unguarded
from penstock.rollout.situation import Happening
from penstock_dev import environment as embedded
from penstock_operator.cluster import drift
from penstock_operator.cluster.client import Cluster, ClusterError
from penstock_operator.cluster.kinds import (
    AGENT,
    CONFIGMAP,
    DEPLOYMENT,
    EVENT,
    RECORD,
    SECRET,
    Kind,
    Object,
)
from penstock_operator.reconcile import events, manifests
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.tenancy.credentials import Credentials

KEY = "a-key-of-at-least-thirty-two-characters"
ACCOUNT = Kind("ServiceAccount", "v1", "serviceaccounts", labelled=False)
SHARED = Installation("", "", "runtime:1", "penstock")
APART = Installation(
    "",
    "http://model",
    "runtime:1",
    "penstock",
    credentials=Credentials("penstock", "redis://redis:6379/0", KEY, "-----BEGIN CERTIFICATE-----"),
)


@pytest.fixture
async def api(environment: embedded.Environment) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(environment.kubeconfig), unguarded) as connected:
        yield connected


def owner(namespace: str, **spec: Any) -> Object:
    template = {"instructions": "Be kind.", "model": {"name": "claude-haiku-5-5"}}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Agent",
        "metadata": {"name": "support", "namespace": namespace, "uid": "1"},
        "spec": {**spec, "template": template | spec.pop("template", {})},
    }


async def twice(api: Cluster, kind: Kind, obj: Object, manager: str = names.MANAGER) -> Object:
    """Apply an object twice; what is stored is no difference, and the second time wrote nothing."""
    obj = await owned(api, obj)
    first = await api.apply(kind, obj, manager)
    assert not drift.differs(obj, first)
    second = await api.apply(kind, obj, manager)
    assert not drift.differs(obj, second)
    # A Deployment's status is its controller's, whose writes count up the version as well.
    count = "generation" if kind is DEPLOYMENT else "resourceVersion"
    assert second["metadata"][count] == first["metadata"][count]
    return second


async def owned(api: Cluster, obj: Object) -> Object:
    """The object with an owner that exists: what belongs to nobody is collected."""
    if "ownerReferences" not in obj["metadata"]:
        return obj
    account = await api.get(ACCOUNT, obj["metadata"]["namespace"], "default")
    assert account
    (reference,) = obj["metadata"]["ownerReferences"]
    head = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "default"}
    real = {**reference, **head, "uid": account["metadata"]["uid"]}
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [real]}}


def env(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"worker": {"env": [{"name": name, "value": value} for name, value in pairs]}}


SPELLINGS: dict[str, dict[str, Any]] = {
    "nothing at all": {},
    "empty variables": {"template": env(("EMPTY", ""), ("B", "x"))},
    "odd variables": {"template": env(("A", "$(B) $$(C) \n\t"), ("B", "🚢\u2028\x7f"), ("_", "0"))},
    "thousandths": {"worker": {"resources": {"limits": {"cpu": "1000m", "memory": "0.5Gi"}}}},
    "requests alone": {"worker": {"resources": {"requests": {"cpu": "0.10", "memory": "1e8"}}}},
    "millionths": {"worker": {"resources": {"requests": {"cpu": "100u", "memory": "1024Ki"}}}},
    "signs and dots": {
        "worker": {"resources": {"limits": {"cpu": "+2.", "memory": "128974848000m"}}}
    },
    "nothing asked": {"worker": {"resources": {"limits": {}, "requests": {"cpu": "0"}}}},
    "huge": {"worker": {"resources": {"limits": {"memory": "9E", "ephemeral-storage": "8Ei"}}}},
    "pool": {"worker": {"nodeSelector": {"a.example/pool": "", "zone": "1"}}},
    "tolerations": {
        "worker": {
            "tolerations": [
                {"operator": "Exists"},
                {"key": "gpu", "value": ""},
                {"key": "gpu", "operator": "Exists", "value": "", "effect": "NoSchedule"},
                {"key": "gpu", "effect": "NoExecute"},
                {"key": "gpu", "effect": "NoExecute"},
            ]
        }
    },
    "empty lists": {"worker": {"tolerations": [], "imagePullSecrets": [], "nodeSelector": {}}},
    "registry": {"worker": {"imagePullSecrets": [{"name": "b"}, {"name": "a"}]}},
    "account": {"worker": {"serviceAccountName": "some.one"}},
    "image": {"template": {"worker": {"image": "registry:5000/a/b@sha256:" + "0" * 64}}},
    "secrets": {
        "template": {
            "model": {"name": "m", "credentialsSecretRef": {"name": "key", "key": "api.key"}},
            "tools": [
                {
                    "name": "T_-1",
                    "inputSchema": {},
                    "http": {"url": "http://t", "headersFromSecretRef": {"name": "headers"}},
                }
            ],
        }
    },
}


@pytest.mark.parametrize("installation", [SHARED, APART], ids=["shared", "apart"])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_deployment_in_an_unusual_spelling_is_applied_once(
    api: Cluster, namespace: str, spelling: str, installation: Installation
) -> None:
    agent = owner(namespace, **{key: dict(part) for key, part in SPELLINGS[spelling].items()})
    spec = AgentSpec.model_validate(agent["spec"])
    cut = revision.cut("support", agent["spec"]["template"], {}, "runtime:1")
    for replicas in (0, 2):
        made = manifests.deployment(agent, spec, cut, replicas, installation)
        stored = await twice(api, DEPLOYMENT, made)
    bare = manifests.deployment(
        owner(namespace), AgentSpec.model_validate(owner(namespace)["spec"]), cut, 2, installation
    )
    back = await twice(api, DEPLOYMENT, bare)
    assert spelling == "nothing at all" or stored["spec"]["replicas"] == back["spec"]["replicas"]


async def test_what_others_put_into_a_deployment_stays_and_costs_nothing(
    api: Cluster, namespace: str
) -> None:
    agent = owner(namespace)
    cut = revision.cut("support", agent["spec"]["template"], {}, "runtime:1")
    wanted = manifests.deployment(agent, AgentSpec.model_validate(agent["spec"]), cut, 1, SHARED)
    await twice(api, DEPLOYMENT, wanted)
    sidecar = {"name": "sidecar", "image": "proxy:1"}
    pod = {"containers": [sidecar], "imagePullSecrets": [{"name": "theirs"}]}
    spec = {**wanted["spec"], "template": {**wanted["spec"]["template"], "spec": pod}}
    theirs = {**wanted, "spec": {key: spec[key] for key in ("selector", "template")}}
    wanted = await owned(api, wanted)
    theirs["metadata"] = {key: wanted["metadata"][key] for key in ("name", "namespace")}
    mixed = await api.apply(DEPLOYMENT, theirs, "somebody")
    assert len(mixed["spec"]["template"]["spec"]["containers"]) == 2
    assert not drift.differs(wanted, mixed)
    await twice(api, DEPLOYMENT, wanted)


def prompt(seed: int) -> str:
    """Characters of all planes, those that readers of YAML trip over more often than others."""
    rng = random.Random(seed)
    awkward = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF, 0x1F6A2]
    planes = [range(0x20, 0x7F), range(0xA0, 0xD800), range(0xE000, 0x110000), awkward]
    return "".join(chr(rng.choice(rng.choice(planes))) for _ in range(2000))


@pytest.mark.parametrize("text", [prompt(seed) for seed in range(8)] + ["🚢", "\x00", "\ufeff"])
async def test_any_text_is_stored_in_record_and_projection_as_it_was_written(
    api: Cluster, namespace: str, text: str
) -> None:
    schema = {
        "type": "object",
        "properties": {text[:500]: {"description": text[:100]}, "k" * 2000: {"default": None}},
        "enum": [None, "<<", "~", "yes", "1e3", 1.5, -1, 10**15, True, {}, []],
    }
    tool = {
        "name": "t",
        "description": text[:900],
        "inputSchema": schema,
        "http": {"url": "http://t"},
    }
    template = {"instructions": text, "tools": [tool], **env(("E", text[:900]))}
    agent = owner(namespace, template=template)
    cut = revision.cut("support", agent["spec"]["template"], {"configmap/a/b": text}, "runtime:1")
    record = await twice(api, RECORD, manifests.record(agent, cut, 1))
    assert revision.read(record["data"], cut.name) == cut
    projection = await twice(api, CONFIGMAP, manifests.configmap(agent, cut))
    assert projection["data"][names.REVISION_FILE] == revision.canonical(record["data"])
    spec = AgentSpec.model_validate(agent["spec"])
    await twice(api, DEPLOYMENT, manifests.deployment(agent, spec, cut, 0, SHARED))
    note = manifests.verdict(agent, cut.name, {names.ANNOTATION_VERDICT: text})
    note["metadata"]["uid"] = record["metadata"]["uid"]
    await twice(api, RECORD, note, names.VERDICT_MANAGER)


async def test_the_secret_of_a_redis_user_is_applied_once(api: Cluster, namespace: str) -> None:
    credentials = APART.credentials
    assert credentials
    await twice(api, SECRET, credentials.secret(namespace))


@pytest.mark.parametrize("message", ["🚢" * 900, "é" * 1024, prompt(1), ""])
async def test_an_event_is_taken_however_long_and_whatever_its_words(
    api: Cluster, namespace: str, message: str
) -> None:
    happening = Happening("RolledBack", message)
    made = events.event(owner(namespace), happening, now=datetime.now(UTC), suffix="f00")
    assert (await api.create(EVENT, made)).get("note", "") == made["note"]


async def test_a_status_is_taken_whatever_the_words_of_its_conditions(
    api: Cluster, kubectl: Callable[..., str], namespace: str
) -> None:
    text = json.dumps({**owner(namespace), "metadata": {"name": "support"}})
    kubectl("create", "-f", "-", stdin=text)
    current: tuple[Condition, ...] = ()
    for kind, message in (("Long", "🚢" * 3000), ("Odd", prompt(2)), ("Empty", "")):
        current = condition.set_condition(
            current, kind, True, "Reason", message, generation=1, now=datetime.now(UTC)
        )
    wanted = AgentStatus(conditions=current)
    for _ in range(50):  # an operator of the same environment may write it as well
        live = await api.get(AGENT, namespace, "support")
        assert live
        try:
            written = await api.replace_status(AGENT, {**live, "status": wanted.wire()})
        except ClusterError as error:
            if not error.conflict:
                raise
            continue
        assert written["status"]["conditions"] == wanted.wire()["conditions"]
        return
    pytest.fail("an operator was always faster")
