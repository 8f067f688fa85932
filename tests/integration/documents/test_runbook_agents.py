"""The runbook's sections on an agent: its commands typed while it is so, what they show, and what they do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.task import TaskStatus
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.documents import typist
from tests.integration.documents.conftest import ROLLOUT, Follow

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

#: A step that nobody leaves, and one that is left by a person alone.
HELD: manifests.Steps = ((20, 3000, 1),)
_COMMAND = re.compile(r"kubectl (?:annotate|patch) .*?(?:\$\(date \+%s\)\"|\}')")
#: Put into a worker's Python: the first step of a task meets what nobody foresaw.
_BUG = """\
import penstock_runtime.agent.loop as loop
def broken(*arguments, **more):
    raise ZeroDivisionError("nobody foresaw this")
for name in [one for one in vars(loop) if one.startswith("run")]:
    setattr(loop, name, broken)
"""


def commands_in(message: str) -> list[str]:
    """The commands that a message of the product offers, as a person would copy them."""
    return _COMMAND.findall(message)


def failing(words: str = "Badly.", **more: Any) -> dict[str, Any]:
    return manifests.agent(words, errorPercent=100, **more)


def ask_until_ended(product: Product, *users: str) -> None:
    """A task of each user, all of them ended."""
    tasks = [one.task for one in product.crowd(list(users))]
    ended = lambda: {task.status for task in product.tasks(tasks)} <= {TaskStatus.FAILED}
    product.until("all have failed", ended)


# --------------------------------------------------------------------------------- tasks that fail


def test_the_newest_stable_that_fails_is_told_by_its_log_and_undone_by_one_command(
    product: Product, runbook: Follow
) -> None:
    version = {"version": "1.0"}
    product.cluster.apply(
        manifests.agent("Well.", template=version), manifests.rollout(HELD, name=ROLLOUT)
    )
    good = product.until_stable()
    product.cluster.apply(failing(template={"version": "2.0"}))
    bad = product.until_canary(good, ROLLOUT)
    product.request("promote-full", bad, ROLLOUT)
    product.until("it is stable", lambda: product.agent()["stableRevision"] == bad)
    ask_until_ended(product, "ana", "bob")
    with runbook("PenstockTasksFail") as section:
        said = section.type("get agentrollouts")
        assert any(product.namespace in line and bad in line for line in said.splitlines())
        assert re.search(rf"Stable Revision:\s+{bad}", section.type("describe agent"))
        log = section.type("logs")
        assert "ModelError" in log
        assert "The scripted model rejects this request" in log
    with runbook("Go back to the version before") as section:
        section.type("agentrollout", VERSION="1.0")
        product.until("the former one is stable", lambda: product.agent()["stableRevision"] == good)
        assert product.until_verdict(bad, ROLLOUT)["result"] == "Rejected"
        product.cluster.apply(manifests.agent("Well.", name="alone", template=version))
        first = product.until_stable("alone")
        product.cluster.apply(failing(name="alone", template={"version": "2.0"}))
        stable = lambda: product.agent("alone")["stableRevision"]
        product.until("the bad one is stable", lambda: stable() != first)
        section.type("annotate agent NAME", NAME="alone")
        product.until("the first one is stable", lambda: stable() == first)


def test_a_model_that_refuses_the_key_is_told_by_the_log_of_the_workers_and_by_the_condition(
    product: Product, runbook: Follow
) -> None:
    product.cluster.apply(failing(errorStatus=401))
    product.until_stable()
    ask_until_ended(product, "ana")
    product.cluster.kubectl("create", "secret", "generic", "vendor", "--from-literal=api-key=x")
    product.until("the condition tells", lambda: refused_credentials(product))
    with runbook("PenstockModelFails") as section:
        assert "401" in section.type("logs")
        assert "vendor" in section.type("get secret")
        assert "refuses" in section.type("CredentialsValid")
    with runbook("No valid credential") as section:
        assert "create secret generic" in section.type("CredentialsValid")
        assert "ana" in section.type("--failed")


def test_a_model_that_is_away_is_told_by_the_log_of_the_workers(
    product: Product, runbook: Follow
) -> None:
    product.cluster.apply(failing(errorStatus=529))
    product.until_stable()
    ask_until_ended(product, "ana")  # four tries
    product.crowd(["ben"])  # the fifth; then this task waits
    product.until("it is left alone", lambda: "model left alone" in logs_of_workers(product))
    with runbook("PenstockModelAway") as section:
        assert "model left alone" in section.type("logs")
        assert "claude" in section.type("spec.template.model")


def logs_of_workers(product: Product) -> str:
    return product.cluster.kubectl("logs", "-l", "penstock.dev/agent=support", "--tail=1000")


def refused_credentials(product: Product) -> bool:
    told = product.cluster.condition("agent/support", "CredentialsValid")
    return told[:2] == ("False", "CredentialsRefused")


def test_a_bug_of_the_worker_ends_the_one_task_and_its_trace_is_in_the_log(
    product: Product, runbook: Follow, tmp_path: Path
) -> None:
    (tmp_path / "usercustomize.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text(_BUG)
    broken = {"worker": {"env": [{"name": "PYTHONPATH", "value": str(tmp_path)}]}}
    product.cluster.apply(manifests.agent(template=broken))
    product.until_stable()
    task = product.ask("ana").json()["id"]
    product.until("it has ended", lambda: product.read(task)["status"] == "Failed")
    assert product.read(task)["outcome"]["reason"] == "Internal"
    assert product.starts([task]) == [1], "it was tried once"
    with runbook("PenstockWorkerBug") as section:
        said = section.type("--since=30m")
        assert task in said
        assert "nobody foresaw this" in said


def test_after_a_rollback_the_verdict_says_why_and_the_same_revision_is_tried_again_when_asked(
    product: Product, runbook: Follow, shell: typist.Shell
) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(((50, 3000, 1),), name=ROLLOUT))
    good = product.until_stable()
    with product.live_traffic(10):
        product.cluster.apply(failing())
        bad = product.until_canary(good, ROLLOUT)
        product.until_verdict(bad, ROLLOUT, seconds=120)
    assert product.share(ROLLOUT) == 0, "users are back on stable"
    with runbook("PenstockRolledBack") as section:
        assert "error rate" in section.type("verdicts[-1:].message", REVISION=bad)
        assert "ModelError" in section.type("verdicts[-1:].samples")
        assert bad in section.type("kubectl events")
    (retry,) = commands_in(product.cluster.condition(f"agentrollout/{ROLLOUT}", "RolledBack")[2])
    assert "retry/" in retry
    shell.succeeds(retry)
    product.until("a second attempt", lambda: product.rollout(ROLLOUT)["attempt"] == 2)


def test_what_happened_in_one_task_is_one_command(product: Product, runbook: Follow) -> None:
    product.cluster.apply(failing())
    product.until_stable()
    ask_until_ended(product, "ana")
    task = product.ask("bob").json()["id"]
    product.until("it has ended", lambda: product.read(task)["status"] == "Failed")
    with runbook("What failed, and whom it touched") as section:
        said = section.type("tasks get", ID=task)
        assert re.search(r"reason:\s+ModelError", said)
        assert "The scripted model rejects this request" in said


# ------------------------------------------------------------------------------ who waits for whom


def with_approval() -> dict[str, Any]:
    made = manifests.rollout(((20, 1, 1), (50, 3000, 1)), name=ROLLOUT)
    made["spec"]["strategy"]["steps"][0]["approval"] = "Required"
    return made


def pause(product: Product, _: str) -> None:
    product.patch(f"agentrollout/{ROLLOUT}", {"paused": True})


def set_by_hand(product: Product, _: str) -> None:
    product.set_percent(30, ROLLOUT)


def leave_over(product: Product, stable: str) -> None:
    """A setpoint that was made for one canary is found by the next one."""
    product.patch(
        f"agentrollout/{ROLLOUT}", {"traffic": {"canaryPercent": 10, "canaryRevision": stable}}
    )


Meddle = Callable[[Product, str], None]
WAITS: dict[str, tuple[Callable[[], dict[str, Any]], Meddle, str]] = {
    "HoldForApproval": (with_approval, lambda *_: None, "promote/"),
    "Paused": (lambda: manifests.rollout(HELD, name=ROLLOUT), pause, "paused"),
    "HeldBySetpoint": (lambda: manifests.rollout(HELD, name=ROLLOUT), set_by_hand, "null"),
    "CeilingReached": (lambda: manifests.rollout(HELD, name=ROLLOUT), leave_over, "null"),
}


@pytest.mark.parametrize("reason", WAITS)
def test_the_message_of_a_rollout_that_waits_for_a_person_holds_the_command_that_moves_it(
    product: Product, runbook: Follow, shell: typist.Shell, reason: str
) -> None:
    rollout, meddle, part = WAITS[reason]
    product.cluster.apply(manifests.agent("v1"), rollout())
    stable = product.until_stable()
    with product.live_traffic(8):
        product.cluster.apply(manifests.agent("v2"))
        product.until_canary(stable, ROLLOUT)
        meddle(product, stable)
        why = lambda: product.cluster.condition(f"agentrollout/{ROLLOUT}", "Progressing")[1]
        product.until(f"it waits: {reason}", lambda: why() == reason, 90)
        with runbook("PenstockRolloutWaitsForPerson") as section:
            shown = section.type("-o wide")
            assert reason in shown
            assert stable in section.type("describe agent")
        (command,) = [one for one in commands_in(shown) if part in one]
        shell.succeeds(command)
        product.until("it goes on", lambda: why() != reason, 90)


def test_an_agent_whose_rollout_is_gone_goes_on_when_it_is_applied_again(product: Product) -> None:
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(HELD, name=ROLLOUT))
    stable = product.until_stable()
    product.cluster.kubectl("delete", "agentrollout", ROLLOUT)
    product.cluster.apply(manifests.agent("v2"))
    product.cluster.until_condition("agent/support", "RolloutMissing", "True")
    product.cluster.apply(manifests.rollout(HELD, name=ROLLOUT))
    product.until_canary(stable, ROLLOUT)
    assert product.cluster.condition("agent/support", "RolloutMissing")[0] == ""


def test_a_kill_switch_is_shown_with_who_set_it_and_when(product: Product, runbook: Follow) -> None:
    product.cluster.apply(manifests.agent())
    with runbook("PenstockAgentSuspended") as section:
        assert section.type(".spec.suspended") in ("", "false")
        product.patch("agent/support", {"suspended": True})
        assert section.type(".spec.suspended") == "true"
        assert re.match(r"20\S+Z kubectl-patch ", section.type("managedFields"))


# ------------------------------------------------------------------------------ tasks that wait


def test_a_queue_that_grows_is_seen_and_goes_down_with_more_workers(
    product: Product, runbook: Follow
) -> None:
    slow = {"worker": {"concurrency": 1}, "scaling": {"maxReplicas": 1}}
    product.cluster.apply(manifests.agent("Slowly.", spec=slow, latencyMs=10_000))
    stable = product.until_stable()
    load = [one.task for one in product.crowd([f"user-{number}" for number in range(16)])]
    product.until("tasks wait", lambda: product.work(stable).queued >= 8)
    with runbook("PenstockTasksWait") as section:

        def queued() -> int:
            head, row = section.type("get agents").splitlines()
            return int(row[head.index("QUEUED") :].split()[0])

        product.until("the column says so", queued, 90)
        assert section.type("get pods").count("Running") == 1
        assert re.search(rf"Stable Revision:\s+{stable}", section.type("describe"))
        section.type('"maxReplicas"')
        product.until("there are more workers", lambda: len(product.worker_pids(stable)) > 1, 90)
    ended = lambda: {task.status for task in product.tasks(load)} == {TaskStatus.SUCCEEDED}
    product.until("all have ended", ended, 180)


def quota() -> list[dict[str, Any]]:
    spec = {"hard": {"requests.memory": "1Mi"}}
    kind = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}}
    return [{**kind, "spec": spec}, manifests.agent()]


def crash_loop() -> list[dict[str, Any]]:
    broken = {"worker": {"env": [{"name": "PYTHONHOME", "value": "/nowhere"}]}}
    return [manifests.agent(template=broken)]


def missing_secret() -> list[dict[str, Any]]:
    ref = {"name": "vendor", "key": "api-key"}
    model = {"name": "claude-haiku-5-5", "credentialsSecretRef": ref}
    return [manifests.agent(template={"model": model})]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (quota, "quota: tight"),
        (crash_loop, "exit code"),
        (missing_secret, "create secret generic vendor --from-literal=api-key="),
    ],
)
def test_workers_that_do_not_come_up_are_told_by_the_agent_s_description(
    product: Product,
    runbook: Follow,
    state: Callable[[], list[dict[str, Any]]],
    words: str,
) -> None:
    product.cluster.apply(*state())
    product.cluster.until(
        "Stalled has the words",
        lambda: words in product.cluster.condition("agent/support", "Stalled")[2],
    )
    with runbook("PenstockTasksWait") as section:
        assert "False" in section.type("get agents")
        pods = section.type("get pods")
        assert ("No resources found" in pods) == (state is quota)
        described = section.type("describe agent")
        stalled = described[: described.index("Type:                  Stalled")][-900:]
        assert words.split(" --", maxsplit=1)[0] in stalled
        section.type('"maxReplicas"')  # harmless where it is no help
    with runbook("PenstockAgentStalled") as section:
        assert words in section.type("get agent NAME")
        assert "No resources found" in section.type("get agentrollouts")
        assert re.search(r"Warning +Stalled ", section.type("events"))
