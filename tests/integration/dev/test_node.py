"""The process node runs pods that the real scheduler binds to it, and tells what becomes of them."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.request

import pytest

from tests.integration.dev import pods


def test_a_deployment_becomes_available_through_the_real_scheduler(kubectl) -> None:
    server = pods.pod(
        "server",
        pods.SERVER,
        env=[pods.POD_IP, {"name": "GREETING_FILE", "value": "/etc/greeting/text"}],
        readinessProbe={"httpGet": {"port": 8080}, "periodSeconds": 1},
        volumeMounts=[{"name": "greeting", "mountPath": "/etc/greeting"}],
        volumes=[{"name": "greeting", "configMap": {"name": "greeting"}}],
    )
    labels = {"app": "server"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": server["spec"]},
        },
    }
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "greeting"},
        "data": {"text": "hello"},
    }
    pods.apply(kubectl, config, deployment)
    pods.until(
        lambda: pods.read(kubectl, "deployment", "server")["status"],
        lambda status: status.get("availableReplicas") == 2,
    )
    addresses = kubectl("get", "pods", "-o", "jsonpath={.items[*].status.podIP}").split()
    assert len(set(addresses)) == 2
    for address in addresses:
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as answer:
            assert answer.read() == b"hello"
    kubectl("patch", "configmap", "greeting", "--type=merge", "-p", '{"data":{"text":"changed"}}')

    def answer() -> bytes:
        with urllib.request.urlopen(f"http://{addresses[0]}:8080/", timeout=5) as reply:
            return reply.read()

    pods.until(answer, lambda text: text == b"changed")


def test_a_crash_loop_tells_the_last_words_of_the_container(kubectl) -> None:
    pods.apply(
        kubectl, pods.pod("crashing", "print('hi'); raise SystemExit('no such tool: refund')")
    )
    found = pods.until(
        lambda: pods.container_status(kubectl, "crashing"),
        lambda status: status.get("restartCount", 0) >= 1 and "waiting" in status["state"],
    )
    assert found["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "restarting failed container=main" in found["state"]["waiting"]["message"]
    last = found["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (1, "Error")
    assert last["message"] == "hi\nno such tool: refund"
    assert not pods.is_ready(pods.read(kubectl, "pod", "crashing"))


def test_a_missing_config_map_is_told_and_the_pod_starts_once_it_is_there(kubectl) -> None:
    source = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "a"}}}
    pods.apply(kubectl, pods.pod("patient", "import time; time.sleep(600)", env=[source]))
    seen = pods.until(
        lambda: pods.container_status(kubectl, "patient").get("state", {}).get("waiting", {}),
        # For a moment after the binding the API server may not know yet that this node may read it.
        lambda waiting: waiting.get("message") == 'configmap "later" not found',
    )
    assert seen["reason"] == "CreateContainerConfigError"
    kubectl("create", "configmap", "later", "--from-literal=b=1")
    pods.until(
        lambda: pods.container_status(kubectl, "patient")["state"].get("waiting", {}),
        lambda waiting: "couldn't find key a in ConfigMap" in waiting.get("message", ""),
    )
    kubectl("patch", "configmap", "later", "--type=merge", "-p", '{"data":{"a":"1"}}')
    pods.until(lambda: pods.read(kubectl, "pod", "patient"), pods.is_ready)
    kubectl("delete", "pod", "patient", "--timeout=100s")


def test_a_foreign_image_with_a_foreign_command_is_not_pulled(kubectl) -> None:
    document = pods.pod("foreign", "")
    document["spec"]["containers"][0] |= {"image": "nginx:1", "command": ["nginx"]}
    pods.apply(kubectl, document)
    seen = pods.until(
        lambda: pods.container_status(kubectl, "foreign").get("state", {}).get("waiting", {}),
        lambda waiting: waiting.get("reason") == "ErrImagePull",
    )
    assert 'cannot pull image "nginx:1"' in seen["message"]


STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace_and_its_object_goes(kubectl) -> None:
    document = pods.pod("stubborn", STUBBORN)
    document["spec"]["terminationGracePeriodSeconds"] = 1
    pods.apply(kubectl, document)
    pods.until(lambda: pods.read(kubectl, "pod", "stubborn"), pods.is_ready)
    kubectl("delete", "pod", "stubborn", "--timeout=100s")
    assert "NotFound" in kubectl("get", "pod", "stubborn", check=False)


def test_a_pod_that_runs_once_ends_as_succeeded_or_failed(kubectl) -> None:
    pods.apply(
        kubectl,
        pods.pod("good", "print('done')", restartPolicy="Never"),
        pods.pod("bad", "raise SystemExit(3)", restartPolicy="Never"),
    )
    for name, phase, code in (("good", "Succeeded", 0), ("bad", "Failed", 3)):
        pods.until(lambda n=name: pods.read(kubectl, "pod", n)["status"]["phase"], phase.__eq__)
        ended = pods.container_status(kubectl, name)["state"]["terminated"]
        assert ended["exitCode"] == code


def test_a_failing_liveness_probe_restarts_the_container(kubectl) -> None:
    probe = {"httpGet": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    pods.apply(kubectl, pods.pod("deaf", "import time; time.sleep(600)", livenessProbe=probe))
    found = pods.until(
        lambda: pods.container_status(kubectl, "deaf"),
        lambda status: status.get("restartCount", 0) >= 1,
    )
    assert found["lastState"]["terminated"]["exitCode"] == 143


def test_a_missing_volume_is_told_and_a_secret_is_mounted_with_its_items(kubectl) -> None:
    script = "import os, time; print(open('/var/key/renamed').read(), flush=True); time.sleep(600)"
    items = [{"key": "api-key", "path": "renamed"}]
    document = pods.pod(
        "mounted",
        script,
        volumeMounts=[{"name": "key", "mountPath": "/var/key"}],
        volumes=[{"name": "key", "secret": {"secretName": "key", "items": items}}],
    )
    pods.apply(kubectl, document)
    seen = pods.until(
        lambda: pods.container_status(kubectl, "mounted").get("state", {}).get("waiting", {}),
        # the authorizer may not yet have seen the pod, and then refuses the node the Secret
        lambda waiting: "message" in waiting and "Forbidden" not in waiting["message"],
    )
    assert seen["message"] == ('MountVolume.SetUp failed for volume "key" : secret "key" not found')
    kubectl("create", "secret", "generic", "key", "--from-literal=api-key=hush")
    pods.until(lambda: pods.read(kubectl, "pod", "mounted"), pods.is_ready)


READER = """
import pathlib, sys, time
root = pathlib.Path(sys.argv[1])
told = None
while True:
    found = {str(p.relative_to(root)): p.read_text() for p in sorted(root.glob("*/token"))}
    if found != told:
        print(found, flush=True)
    told = found
    time.sleep(0.1)
"""


def test_mounts_are_found_below_the_path_above_them_and_follow_their_secrets(kubectl) -> None:
    def secret(name: str, token: str):
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}} | {
            "stringData": {"token": token}
        }

    reader = pods.pod(
        "reader",
        READER,
        args=["/etc/credentials/of"],
        volumeMounts=[
            {"name": name, "mountPath": f"/etc/credentials/of/{name}"} for name in ("ann", "bob")
        ],
        volumes=[{"name": name, "secret": {"secretName": name}} for name in ("ann", "bob")],
    )
    pods.apply(kubectl, secret("ann", "1"), secret("bob", "2"), reader)
    said = lambda: kubectl("logs", "reader", check=False)
    pods.until(said, lambda text: "{'ann/token': '1', 'bob/token': '2'}" in text)
    pods.apply(kubectl, secret("bob", "3"))
    pods.until(said, lambda text: "{'ann/token': '1', 'bob/token': '3'}" in text)


TALKER = """
import sys, time
for number in range(5):
    print("line", number, flush=True)
time.sleep(float(sys.argv[1]))
print("last words", flush=True)
sys.exit(1)
"""


def test_kubectl_logs_shows_the_lines_asked_for(kubectl) -> None:
    pods.apply(kubectl, pods.pod("talker", TALKER, args=["600"]))
    said = pods.until(lambda: kubectl("logs", "talker", check=False), lambda text: "4\n" in text)
    assert said == "".join(f"line {number}\n" for number in range(5))
    assert kubectl("logs", "talker", "--tail=2") == "line 3\nline 4\n"
    assert kubectl("logs", "talker", "--tail=0") == ""
    assert kubectl("logs", "talker", "--limit-bytes=8") == "line 0\nl"
    assert kubectl("logs", "talker", "--since=10m") == said
    stamped = kubectl("logs", "talker", "--timestamps", "--tail=1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ line 4\n", stamped)
    assert "previous terminated container" in kubectl("logs", "talker", "--previous", check=False)


def test_kubectl_logs_follows_to_the_end_and_knows_the_start_before(kubectl) -> None:
    pods.apply(kubectl, pods.pod("talker", TALKER, args=["2"]))
    pods.until(lambda: kubectl("logs", "talker", check=False), lambda text: "line 4" in text)
    followed = kubectl("logs", "talker", "--follow")
    assert followed.splitlines()[-1] == "last words"
    pods.until(
        lambda: pods.container_status(kubectl, "talker"),
        lambda found: found.get("restartCount", 0) >= 1 and "running" in found["state"],
    )
    assert kubectl("logs", "talker", "--previous") == followed
    pods.until(  # it says them every two seconds
        lambda: kubectl("logs", "talker", check=False),
        lambda text: "line 0" in text and "last words" not in text,
    )


def test_a_pod_that_waits_has_no_log_and_says_why(kubectl) -> None:
    missing = [{"name": "key", "secret": {"secretName": "missing"}}]
    pods.apply(kubectl, pods.pod("waiting", TALKER, volumes=missing))
    said = pods.until(
        lambda: kubectl("logs", "waiting", check=False), lambda text: "waiting to start" in text
    )
    assert "ContainerCreating" in said


def test_the_node_answers_nobody_without_a_certificate_of_the_cluster(kubectl) -> None:
    node = pods.read(kubectl, "node", "penstock-dev")["status"]
    address = next(each["address"] for each in node["addresses"] if each["type"] == "InternalIP")
    port = node["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((OSError, http.client.HTTPException)):  # noqa: PT012 - either half refuses
        connection = http.client.HTTPSConnection(address, port, context=stranger, timeout=5)
        connection.request("GET", "/containerLogs/default/x/main")
        connection.getresponse()
