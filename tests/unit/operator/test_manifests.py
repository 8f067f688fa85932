"""What the workers of a revision look like to Kubernetes, field by field of the Agent."""

import pytest

from penstock import revision
from penstock.api.agent import AgentSpec
from penstock_operator.reconcile import manifests
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION

TOLERATION = {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}


def cut(**template):
    declared = worlds.agent()["spec"]["template"] | template
    return revision.cut("support", declared, {}, INSTALLATION.runtime_image)


def deployment(template=None, worker=None, replicas=1):
    """The Deployment of an Agent with these parts of its template, and this spec.worker."""
    agent = worlds.agent(**({"worker": worker} if worker else {}))
    agent["spec"]["template"] |= template or {}
    spec = AgentSpec.model_validate(agent["spec"])
    return manifests.deployment(agent, spec, cut(**(template or {})), replicas, INSTALLATION)


def pod(template=None, worker=None):
    return deployment(template, worker)["spec"]["template"]["spec"]


def container(template=None, worker=None):
    (only,) = pod(template, worker)["containers"]
    return only


def env(template=None, worker=None):
    """Variables with a plain value; a name that is there twice is a mistake."""
    told = [item for item in container(template, worker)["env"] if "value" in item]
    assert len({item["name"] for item in told}) == len(told)
    return {item["name"]: item["value"] for item in told}


def mounted(template):
    """Where each Secret is mounted: path inside the container to the Secret's name."""
    secrets = {
        volume["name"]: volume["secret"]["secretName"]
        for volume in pod(template)["volumes"]
        if "secret" in volume
    }
    return {
        mount["mountPath"]: secrets[mount["name"]]
        for mount in container(template)["volumeMounts"]
        if mount["name"] in secrets
    }


def model(**more):
    return {"model": {"name": "claude-sonnet-5-5", **more}}


def tool(name, **http):
    return {
        "name": name,
        "inputSchema": {"type": "object"},
        "http": {"url": "http://shop/", **http},
    }


# -------------------------------------------------------------------------- spec.worker


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nodeSelector", {"pool": "agents"}),
        ("tolerations", [TOLERATION]),
        ("imagePullSecrets", [{"name": "registry"}, {"name": "mirror"}]),
        ("serviceAccountName", "support-worker"),
    ],
)
def test_the_pod_has_what_the_agent_says_of_it_and_nothing_when_it_says_nothing(field, value):
    assert pod(worker={field: value})[field] == value
    assert field not in pod()


@pytest.mark.parametrize("part", ["key", "operator", "value", "effect"])
def test_every_part_of_a_toleration_is_handed_on_and_none_is_made_up(part):
    without = {key: value for key, value in TOLERATION.items() if key != part}
    assert pod(worker={"tolerations": [TOLERATION]})["tolerations"] == [TOLERATION]
    assert pod(worker={"tolerations": [without]})["tolerations"] == [without]


@pytest.mark.parametrize("part", ["requests", "limits"])
def test_the_container_gets_the_resources_that_are_declared_and_no_others(part):
    small, large = {part: {"cpu": "500m", "memory": "1Gi"}}, {part: {"cpu": "2"}}
    assert container(worker={"resources": small})["resources"] == small
    assert container(worker={"resources": large})["resources"] == large
    assert "resources" not in container()


def test_the_worker_is_told_how_many_tasks_to_run_at_once():
    assert env(worker={"concurrency": 4})["PENSTOCK_CONCURRENCY"] == "4"
    assert env(worker={"concurrency": 100})["PENSTOCK_CONCURRENCY"] == "100"
    assert env()["PENSTOCK_CONCURRENCY"] == "32"


# -------------------------------------------------------------------- spec.template.worker


def test_the_templates_image_comes_before_the_installations():
    assert container()["image"] == INSTALLATION.runtime_image
    assert container({"worker": {"image": "mine:2"}})["image"] == "mine:2"


def test_further_variables_reach_the_worker():
    told = {"worker": {"env": [{"name": "REGION", "value": "north"}, {"name": "EMPTY"}]}}
    other = {"worker": {"env": [{"name": "REGION", "value": "south"}]}}
    assert (env(told)["REGION"], env(told)["EMPTY"]) == ("north", "")
    assert (env(other)["REGION"], env(other).get("EMPTY")) == ("south", None)
    assert "REGION" not in env()


@pytest.mark.parametrize("name", ["PENSTOCK_REVISION_DIGEST", "PENSTOCK_REDIS_URL"])
def test_a_variable_of_ours_cannot_be_declared_away(name):
    forged = {"worker": {"env": [{"name": name, "value": "forged"}]}}
    assert env(forged)[name] != "forged"


# ------------------------------------------------------------------- secrets of a template


def test_the_credential_is_mounted_and_the_worker_told_where():
    ref = {"name": "anthropic", "key": "api-key"}
    declared = model(credentialsSecretRef=ref)
    assert mounted(declared) == {"/etc/penstock/credentials": "anthropic"}
    assert env(declared)["PENSTOCK_CREDENTIALS_FILE"] == "/etc/penstock/credentials/api-key"
    other_secret = model(credentialsSecretRef=ref | {"name": "spare"})
    assert mounted(other_secret) == {"/etc/penstock/credentials": "spare"}
    other_key = model(credentialsSecretRef=ref | {"key": "second"})
    assert env(other_key)["PENSTOCK_CREDENTIALS_FILE"] == "/etc/penstock/credentials/second"


def test_without_a_credential_no_secret_is_mounted_and_no_file_named():
    assert mounted(model()) == {}
    assert "PENSTOCK_CREDENTIALS_FILE" not in env(model())


def test_a_fallbacks_own_credential_is_mounted_by_its_place():
    spare = {"name": "spare", "key": "api-key"}
    declared = model(
        credentialsSecretRef={"name": "anthropic", "key": "api-key"},
        fallbacks=[
            {"name": "claude-haiku-5-5"},
            {"name": "claude-opus-5-5", "credentialsSecretRef": spare},
        ],
    )
    assert mounted(declared) == {
        "/etc/penstock/credentials": "anthropic",
        "/etc/penstock/fallbacks/1": "spare",
    }
    assert env(declared)["PENSTOCK_FALLBACKS_DIR"] == "/etc/penstock/fallbacks"


def test_a_fallback_without_a_credential_of_its_own_changes_no_pod():
    with_one, without = model(fallbacks=[{"name": "claude-haiku-5-5"}]), model()
    assert mounted(with_one) == {}
    assert env(with_one).keys() == env(without).keys()


def test_each_tools_headers_are_mounted_under_its_name():
    declared = {
        "tools": [
            tool("plain"),
            tool("look_up", headersFromSecretRef={"name": "shop"}),
            tool("refund", headersFromSecretRef={"name": "bank"}),
        ]
    }
    assert mounted(declared) == {
        "/etc/penstock/tools/look_up": "shop",
        "/etc/penstock/tools/refund": "bank",
    }
    assert env(declared)["PENSTOCK_TOOL_HEADERS_DIR"] == "/etc/penstock/tools"
    assert mounted({"tools": [tool("plain"), tool("look_up"), tool("refund")]}) == {}


def test_secrets_are_read_only_in_the_pod():
    declared = model(credentialsSecretRef={"name": "anthropic", "key": "api-key"})
    declared["tools"] = [tool("look_up", headersFromSecretRef={"name": "shop"})]
    assert {mount["readOnly"] for mount in container(declared)["volumeMounts"]} == {True}


# -------------------------------------------------------------------------- always


def test_a_worker_fits_the_restricted_pod_security_standard():
    declared, running = pod(), container()
    assert declared["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert running["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert declared["automountServiceAccountToken"] is False
    assert {kind for volume in declared["volumes"] for kind in volume} == {"name", "configMap"}


def test_the_worker_mounts_its_revision_and_is_told_what_it_must_hash_to():
    first, second = cut(instructions="Be kind."), cut(instructions="Be brief.")
    told = env({"instructions": "Be brief."})
    assert told["PENSTOCK_REVISION"] == second.name
    assert told["PENSTOCK_REVISION_DIGEST"] == revision.digest(second.document())
    assert told["PENSTOCK_REVISION_DIGEST"] != revision.digest(first.document())
    (volume,) = pod({"instructions": "Be brief."})["volumes"]
    assert volume["configMap"]["name"] == second.name
    (mount,) = container()["volumeMounts"]
    assert told["PENSTOCK_REVISION_FILE"] == f"{mount['mountPath']}/revision.json"


def test_a_deployment_selects_its_own_revisions_pods_and_belongs_to_the_agent():
    made = deployment(replicas=3)
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["selector"] == {"matchLabels": labels}
    assert labels["penstock.dev/revision"] == cut().hash
    assert made["spec"]["replicas"] == 3
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Agent", "agent-uid", True)


def test_a_variable_of_the_operators_own_is_told_once_whatever_a_person_sets():
    own = ["POD_IP", "PENSTOCK_LISTEN", "PENSTOCK_REDIS_URL", "PENSTOCK_AGENT", "MINE"]
    declared = {"worker": {"env": [{"name": name, "value": "x"} for name in own]}}
    told = [item["name"] for item in container(template=declared)["env"]]
    assert sorted(set(told)) == sorted(told), "the API server refuses a name that is there twice"
    assert env(template=declared)["MINE"] == "x"
    assert env(template=declared)["PENSTOCK_LISTEN"] == "$(POD_IP):8080"
