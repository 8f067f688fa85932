"""What people read where the model refuses who asks, or does not know what is asked for, and that it goes."""

import shlex
from typing import Any

import pytest

from penstock import kubectl
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

REF = {"name": "vendor", "key": "api-key"}
WRONG, RIGHT = "no key at all", "sk-test-0123456789"  # the fake takes any key without a blank
#: A worker's heartbeat and a look of the operator; the rest is the machine's.
SECONDS = 120.0
pytestmark = pytest.mark.timeout(400)


def model(**more: Any) -> dict[str, Any]:
    return {"model": {"name": "claude-haiku-5-5", "maxTokens": 256, **more}}


def secret(product: Product, name: str, value: str) -> None:
    text = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    product.cluster.apply({**text, "stringData": {"api-key": value}})


def until_told(product: Product, kind: str, status: str, reason: str) -> str:
    return product.cluster.until(
        f"{kind} is {status} {reason}",
        lambda: _message(product, kind, status, reason),
        SECONDS,
    )


def _message(product: Product, kind: str, status: str, reason: str) -> str:
    now, why, message = product.cluster.condition("agent/support", kind)
    return message if (now, why) == (status, reason) else ""


def run(product: Product, message: str, value: str) -> None:
    """Do what a message says, with a value."""
    command = kubectl.change_secret(product.namespace, "vendor", "api-key")
    assert command in message
    words = shlex.split(command.replace("VALUE", value))
    product.cluster.kubectl(*words[words.index("patch") :])


def test_a_refused_credential_is_told_with_its_command_and_clears_once_it_is_taken(
    product: Product,
) -> None:
    secret(product, "vendor", WRONG)
    product.cluster.apply(manifests.agent(template=model(credentialsSecretRef=REF)))
    product.until_stable()
    assert _message(product, "ReferencesResolved", "True", "Found")
    assert _message(product, "CredentialsValid", "Unknown", "NotCalled")
    failed = product.ask("anna", wait=30).json()
    assert failed["status"] == "Failed"
    message = until_told(product, "CredentialsValid", "False", "CredentialsRefused")
    assert message == until_told(product, "Stalled", "True", "CredentialsRefused")
    assert WRONG not in message
    assert "x-api-key" not in message, "the vendor's words stay with the task"
    run(product, message, RIGHT)
    until_told(product, "CredentialsValid", "Unknown", "Replaced")
    until_told(product, "Stalled", "False", "Progressing")
    assert product.ask("anna", wait=30).json()["status"] == "Succeeded"
    until_told(product, "CredentialsValid", "True", "Accepted")


def test_a_model_that_nobody_serves_at_its_address_is_told_until_another_one_answers(
    product: Product,
) -> None:
    gone = manifests.agent(errorPercent=100, errorStatus=404, template=model())
    product.cluster.apply({**gone, "spec": {**gone["spec"], "rolloutPolicy": "Immediate"}})
    product.until_stable()
    assert product.ask("anna", wait=30).json()["status"] == "Failed"
    message = until_told(product, "CredentialsValid", "False", "ModelNotFound")
    assert "claude-haiku-5-5" in message
    assert "spec.template.model.baseURL" in message
    until_told(product, "Stalled", "True", "ModelNotFound")
    good = manifests.agent("Answer.", template=model())
    product.cluster.apply({**good, "spec": {**good["spec"], "rolloutPolicy": "Immediate"}})
    product.cluster.wait("agent/support", "UpToDate")
    assert product.ask("anna", wait=30).json()["status"] == "Succeeded"
    until_told(product, "CredentialsValid", "True", "Accepted")
    until_told(product, "Stalled", "False", "Progressing")
