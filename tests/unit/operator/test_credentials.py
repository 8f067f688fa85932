"""What workers are told of Redis, and that nothing of the installation's own is among it."""

import base64
import json

import pytest

from penstock.api.agent import AgentSpec
from penstock.errors import InvalidResource
from penstock_operator.reconcile import manifests
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.settings import Settings
from penstock_operator.tenancy import credentials
from tests.unit.operator import worlds

KEY = "a key of at least thirty-two characters"
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
PER_NAMESPACE = {"redis_users": "PerNamespace", "redis_user_key": KEY}


def settings(**more):
    admin = "redis://admin:geheim@redis:6379/0"
    return Settings(**{"redis_url": admin, **PER_NAMESPACE, **more})


def pod_template(installation):
    agent = worlds.agent()
    spec = AgentSpec.model_validate(agent["spec"])
    cut = worlds.cut("Be kind.")
    return manifests.deployment(agent, spec, cut, 1, installation)["spec"]["template"]


def installation(**more):
    told = settings(**more)
    return Installation.of(told, credentials.read_credentials(told))


def variable(template, name):
    (container,) = template["spec"]["containers"]
    (found,) = [item for item in container["env"] if item["name"] == name]
    return found


def content(secret):
    return {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}


def test_the_secret_holds_the_namespaces_own_user_and_nothing_of_the_operators():
    made = credentials.read_credentials(settings())
    secret = made.secret("acme")
    assert secret["metadata"]["name"] == "penstock-redis-user"
    assert secret["metadata"]["namespace"] == "acme"
    password = made.password("acme")
    assert content(secret) == {"url": f"redis://penstock-penstock.acme:{password}@redis:6379/0"}
    assert made.password("other") != password


def test_workers_get_their_own_address_of_redis_when_there_is_one():
    made = credentials.read_credentials(settings(worker_redis_url="rediss://redis.internal:6380/1"))
    assert content(made.secret("acme"))["url"].endswith("@redis.internal:6380/1")


def test_no_password_stands_in_a_deployment():
    made = installation()
    text = json.dumps(pod_template(made))
    for secret in ("geheim", KEY, made.credentials.password("acme")):
        assert secret not in text
        assert secret not in repr(made)
    assert variable(pod_template(made), "PENSTOCK_REDIS_URL")["valueFrom"] == {
        "secretKeyRef": {"name": "penstock-redis-user", "key": "url"}
    }


def test_the_templates_variables_cannot_point_workers_at_another_redis():
    agent = worlds.agent()
    agent["spec"]["template"]["worker"] = {"env": [{"name": "PENSTOCK_REDIS_URL", "value": "x"}]}
    spec = AgentSpec.model_validate(agent["spec"])
    cut = manifests.revision.cut("support", agent["spec"]["template"], {}, "runtime:1")
    for made in (installation(), worlds.INSTALLATION):
        template = manifests.deployment(agent, spec, cut, 1, made)["spec"]["template"]
        assert variable(template, "PENSTOCK_REDIS_URL").get("value") != "x"


def test_another_key_or_address_rolls_the_workers_and_nothing_else_does():
    def annotations(**more):
        return pod_template(installation(**more))["metadata"]["annotations"]

    before = annotations()
    assert annotations() == before
    assert annotations(redis_url="redis://admin:new@redis:6379/0") == before
    assert annotations(redis_user_key=KEY[::-1]) != before
    assert annotations(worker_redis_url="redis://elsewhere:6379/0") != before
    assert "annotations" not in pod_template(worlds.INSTALLATION)["metadata"]


def test_the_authority_reaches_workers_beside_the_address_and_only_it_is_mounted(tmp_path):
    file = tmp_path / "ca.crt"
    file.write_text(AUTHORITY)
    made = installation(redis_ca_file=str(file))
    assert content(made.credentials.secret("acme"))["ca.crt"] == AUTHORITY
    template = pod_template(made)
    (volume,) = [one for one in template["spec"]["volumes"] if one["name"] == "redis"]
    assert volume["secret"] == {
        "secretName": "penstock-redis-user",
        "items": [{"key": "ca.crt", "path": "ca.crt"}],
    }
    told = variable(template, "PENSTOCK_REDIS_CA_FILE")["value"]
    (mount,) = [
        one for one in template["spec"]["containers"][0]["volumeMounts"] if one["name"] == "redis"
    ]
    assert told == f"{mount['mountPath']}/ca.crt"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"redis_user_key": ""}, "PENSTOCK_REDIS_USER_KEY"),
        ({"redis_user_key": "short"}, "32"),
        ({"redis_users": "Shared"}, "PENSTOCK_REDIS_USERS=PerNamespace"),
        ({"redis_users": "Shared", "worker_redis_url": "redis://:p@redis/0"}, "PerNamespace"),
        (
            {
                "redis_users": "Shared",
                "worker_redis_url": "rediss://redis/0",
                "redis_ca_file": "/x",
            },
            "PENSTOCK_REDIS_CA_FILE",
        ),
        ({"redis_ca_file": "/does/not/exist"}, "cannot be read"),
    ],
)
def test_settings_that_would_leave_a_secret_open_are_refused(more, words):
    with pytest.raises(InvalidResource, match=words) as refused:
        credentials.read_credentials(settings(**more))
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "-----BEGIN PRIVATE KEY-----\n" + AUTHORITY])
def test_a_file_that_is_not_just_certificates_is_copied_nowhere(tmp_path, text):
    file = tmp_path / "ca.crt"
    file.write_text(text)
    with pytest.raises(InvalidResource, match="certificates and no key"):
        credentials.read_credentials(settings(redis_ca_file=str(file)))


def test_workers_that_share_an_address_without_a_password_are_told_it():
    told = settings(redis_users="Shared", worker_redis_url="redis://redis:6379/0")
    assert credentials.read_credentials(told) is None
    made = pod_template(Installation.of(told))
    assert variable(made, "PENSTOCK_REDIS_URL")["value"] == "redis://redis:6379/0"
