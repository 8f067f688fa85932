"""What Argo CD says of Agents and AgentRollouts, by its own kind of Lua, for every reason of the code."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from tests.unit.gitops import kept, lua

ROOT = pathlib.Path(__file__).resolve().parents[3]
CASES = [(kind, name) for kind, module in kept.KINDS.items() for name in module.CASES]


def reason(document, condition):
    told = {c["type"]: c["reason"] for c in document["status"]["conditions"]}
    return told.get(condition, "")


@pytest.mark.parametrize(("kind", "name"), CASES, ids=["-".join(case) for case in CASES])
def test_every_state_reads_as_intended_and_has_words(kind, name):
    build, intended = kept.KINDS[kind].CASES[name]
    status, message = lua.health(kept.script(kind, ROOT), build())
    assert status == intended
    assert message


@pytest.mark.parametrize("kind", kept.KINDS)
def test_an_object_without_a_status_is_progressing(kind):
    bare = {"metadata": {"generation": 1}, "spec": {}}
    script = kept.script(kind, ROOT)
    assert lua.health(script, bare)[0] == "Progressing"
    assert lua.health(script, {**bare, "status": {}})[0] == "Progressing"


def explained(heading: str) -> str:
    """A chapter of the page that lists every reason the code has."""
    page = (ROOT / "docs/reference/conditions.md").read_text(encoding="utf-8")
    return re.split(r"^#+ .*$", page.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[
        0
    ]


def row(chapter: str, condition: str) -> set[str]:
    """The reasons in a condition's row."""
    found = re.search(rf"^\| `{condition}` \|[^|]*\|(.*)\|$", chapter, re.MULTILINE)
    assert found
    return set(re.findall(r"`([A-Z]\w+)`", found[1])) - {"Progressing", "Accepted"}


def wanted(kind: str) -> dict[str, set[str]]:
    """For each condition that health depends on, the reasons that some case must have."""
    chapter = explained(kind)
    if kind == "Agent":
        accepted = row(chapter, "Accepted") - {"Valid", "AcceptedBefore"}
        stalled = row(chapter, "Stalled") | accepted | {"ReferenceMissing"}
        return {"Ready": row(chapter, "Ready") | accepted, "Stalled": stalled}
    waits = explained("What a rollout waits for: the reasons of `Progressing`")
    return {
        "Ready": row(chapter, "Ready"),
        "Stalled": row(chapter, "Stalled"),
        "Progressing": set(re.findall(r"^\| `(\w+)` \|", waits, re.MULTILINE)),
    }


@pytest.mark.parametrize("kind", kept.KINDS)
def test_every_reason_of_the_code_has_a_case(kind):
    documents = [build() for build, _ in kept.KINDS[kind].CASES.values()]
    for condition, reasons in wanted(kind).items():
        assert len(reasons) > 2
        missing = reasons - {reason(document, condition) for document in documents}
        assert not missing, f"{condition} of {kind}"


def test_the_kept_test_data_is_what_the_code_makes_now():
    written = kept.files(ROOT)
    there = {
        path.relative_to(ROOT)
        for path in (ROOT / lua.CUSTOMIZATIONS).rglob("*.yaml")
    }  # fmt: skip
    assert there == written.keys()
    stale = [
        path for path, text in written.items() if (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert not stale, "run python -m tests.unit.gitops.kept"


@pytest.mark.parametrize("kind", kept.KINDS)
def test_the_kept_test_data_passes_as_argo_cd_runs_it(kind):
    folder = ROOT / lua.CUSTOMIZATIONS / kind
    tests = yaml.safe_load((folder / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    states = set()
    for test in tests:
        document = yaml.safe_load((folder / test["inputPath"]).read_text(encoding="utf-8"))
        said = lua.health(kept.script(kind, ROOT), document)
        expected = test["healthStatus"]
        assert said == (expected["status"], expected["message"])
        states.add(said[0])
    assert states == {"Healthy", "Progressing", "Suspended", "Degraded"}
