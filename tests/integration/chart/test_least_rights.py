"""The rights of operator and gateway are least: each is used, and without any rule something breaks."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.integration.acceptance import manifests
from tests.integration.chart import audited as control_plane
from tests.integration.chart.audited import Audited
from tests.integration.chart.charts import Helm
from tests.integration.chart.installed import Installation
from tests.integration.chart.rules import Right, RuleKey, granted, shipped
from tests.integration.chart.test_rights import may
from tests.integration.chart.trial import BROKEN, Trial, install, look
from tests.integration.cluster import Cluster
from tests.integration.rollouts import Rollouts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

RULES = list(shipped())
#: Only a trial that fails waits so long.
PATIENCE_SECONDS = 240.0


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    with control_plane.running(tmp_path_factory.mktemp("audited")) as running:
        yield running


# ------------------------------------------------------------------------------ what is used


@dataclasses.dataclass(frozen=True)
class Story:
    """What people do with one agent, from its first revision to its end."""

    rollouts: Rollouts
    installation: Installation

    def serve(self) -> str:
        source = {"configMapKeyRef": {"name": "prompt", "key": "system.md"}}
        declared = manifests.agent(spec={"revisionHistoryLimit": 1})
        template = declared["spec"]["template"]
        prompt = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "prompt"},
            "data": {"system.md": template.pop("instructions")},
        }
        template["instructionsFrom"] = source
        self.rollouts.cluster.apply(prompt, declared, manifests.rollout(manifests.PARKED))
        return self.rollouts.until_stable()

    def ask(self) -> None:
        with self.installation.gateway() as gateway, self.installation.client(gateway) as caller:
            path = f"/v1/namespaces/{self.installation.agents}/agents/support/tasks"
            answer = caller.post(path, json={"input": "Where is my order?", "wait": 30})
            assert answer.json()["status"] == "Succeeded", answer.text

    def change(self, stable: str, tokens: int) -> str:
        self.rollouts.patch("agent/support", {"template": {"model": {"maxTokens": tokens}}})
        return self.rollouts.until_canary(stable)

    def promote(self, canary: str) -> None:
        self.rollouts.request("promote-full", canary)
        self.rollouts.until("it serves", lambda: self.rollouts.agent()["stableRevision"] == canary)

    def abort(self, canary: str) -> None:
        self.rollouts.request("abort", canary)
        assert self.rollouts.until_verdict(canary)["result"] == "Rejected"

    def break_workers(self) -> None:
        self.rollouts.patch("agent/support", {"template": BROKEN})
        self.rollouts.until(
            "the pod's own words", lambda: "exit code" in json.dumps(self.rollouts.rollout())
        )

    def until_gone(self, kind: str, name: str) -> None:
        self.rollouts.until(
            f"{kind} {name} is gone", lambda: self.rollouts.cluster.get(kind, name) is None
        )

    def end(self) -> None:
        self.rollouts.cluster.kubectl("delete", "agent,agentrollout", "support")
        self.until_gone("secret", "penstock-redis-user")


@pytest.fixture(scope="module")
def story(helm: Helm, audited: Audited, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation that has been used for all it is there for."""
    directory = tmp_path_factory.mktemp("story")
    made = Installation(audited, helm, directory, "penstock", "penstock-system", "shop")
    for namespace in (made.namespace, made.agents):
        audited.kubectl("create", "namespace", namespace)
    audited.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(made.documents() + made.caller()))
    cluster = Cluster(functools.partial(audited.kubectl, "-n", made.agents))
    told = Story(Rollouts(cluster), made)
    for role in ("operator", "gateway"):
        cluster.until("its rights are in force", functools.partial(is_entitled, made, role))
    with made.operator(hasty=True):
        first = told.serve()
        told.ask()
        second = told.change(first, 300)
        told.promote(second)
        third = told.change(second, 350)  # with it the first is one more than the history may have
        told.promote(third)
        told.abort(told.change(third, 400))
        told.break_workers()
        for kind in ("deployment", "configmap", "controllerrevision"):
            told.until_gone(kind, first)
        told.end()
    return made


def given(made: Installation, role: str) -> set[Right]:
    return granted(made.documents(), f"{made.name}-{role}")


def is_entitled(made: Installation, role: str) -> bool:
    return may(made.audited.kubectl, made.account(role), made.namespace) == given(made, role)


def credited(used: set[Right], rights: set[Right]) -> set[Right]:
    """What was used, as rights to all objects of a kind where there is such a right."""
    return {
        (resource, "", verb) if (resource, "", verb) in rights else (resource, name, verb)
        for resource, name, verb in used
    }


@pytest.mark.parametrize("role", ["operator", "gateway"])
def test_an_account_uses_every_right_that_it_has(
    story: Installation, audited: Audited, role: str
) -> None:
    rights = given(story, role)
    assert rights
    assert credited(audited.used(story.account(role)), rights) == rights
    assert audited.refused(story.account(role)) == []


def test_applying_what_is_not_there_needs_the_right_to_create_it(audited: Audited) -> None:
    """The log shows only that something was applied; that this right was used is read out of it."""
    create = functools.partial(audited.kubectl, "-n", "default", "create")
    create("role", "applies", "--verb=get,patch", "--resource=configmaps")
    create("rolebinding", "applies", "--role=applies", "--user=p")
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}

    def refusal() -> str:
        with pytest.raises(AssertionError) as refused:
            audited.kubectl(
                "-n",
                "default",
                "apply",
                "--server-side",
                "--as=p",
                "-f",
                "-",
                stdin=json.dumps(document),
            )
        return str(refused.value)

    until = Cluster(audited.kubectl).until
    until("a refusal to create", lambda: "cannot create resource" in refusal())


# ---------------------------------------------------------------------------- what is missed


@dataclasses.dataclass(frozen=True)
class Tried:
    """What was missed of an installation, and how it was refused what it may not do."""

    missed: set[str]
    refusals: list[str]
    says_so: bool


@pytest.fixture(scope="module")
def tried(
    helm: Helm, audited: Audited, tmp_path_factory: pytest.TempPathFactory
) -> dict[RuleKey | None, Tried]:
    """An installation without each rule, and one with all of them, by the rule that is missing.

    The whole one begins when each other has been refused something and has said so: they have had more
    time when it has come to its end.
    """

    def trial(number: int, *lacks: Any) -> Trial:
        directory = tmp_path_factory.mktemp(f"trial-{number}", numbered=False)
        return Trial.of(audited, helm, directory, *lacks)

    until = Cluster(audited.kubectl).until
    lacking = [trial(number, *lacks) for number, lacks in enumerate(RULES)]
    whole = trial(len(lacking))
    install(audited, [*lacking, whole])
    with contextlib.ExitStack() as running:
        for one in lacking:
            running.enter_context(one.running())
            with contextlib.suppress(AssertionError):  # told by the test of this rule
                until(
                    "a refusal",
                    lambda one=one: one.is_refused() and one.says_so(),
                    PATIENCE_SECONDS,
                )
        running.enter_context(whole.running())
        with contextlib.suppress(AssertionError):  # told by the test of the whole one
            until("the end of the story", lambda: not whole.missed(look(audited)), PATIENCE_SECONDS)
        seen = look(audited)
        return {
            one.rule: Tried(one.missed(seen), one.refusals(), one.says_so())
            for one in (*lacking, whole)
        }


def test_with_all_rules_nothing_is_missed_and_nothing_refused(
    tried: dict[RuleKey | None, Tried],
) -> None:
    assert tried[None] == Tried(set(), [], says_so=False)


@pytest.mark.parametrize(
    "rule",
    [rule for _, rule in RULES],
    ids=[" ".join([role, *verbs, *resources]) for role, (_, resources, verbs) in RULES],
)
def test_without_a_rule_something_is_missed_and_a_process_says_why(
    tried: dict[RuleKey | None, Tried], rule: RuleKey
) -> None:
    found = tried[rule]
    print(f"missed: {', '.join(sorted(found.missed))}; {found.refusals[:1]}")
    assert found.missed - tried[None].missed
    words = [resource.rpartition("/")[2] for resource in rule[1]]
    assert any(word in said for word in words for said in found.refusals), found.refusals
    assert found.says_so
