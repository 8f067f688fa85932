"""The page of requests has every verb with a command that the product reads, and no other page explains one anew."""

from __future__ import annotations

import re

import pytest

from penstock import names
from penstock.money import lifts
from penstock.rollout import requests
from penstock.rollout.requests import Verb
from penstock_operator.reconcile import asked

COMMAND = re.compile(
    rf"^kubectl annotate (agent|agentrollout) .*{re.escape(names.ANNOTATION_REQUEST)}=\"?(\S+)",
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/operating/requests.md").read_text(encoding="utf-8")


def commands(text):
    """(kind, verb, revision) of every request about a revision that a text has its reader send."""
    found = []
    for kind, value in COMMAND.findall(text):
        if lifts.is_one(value):
            assert (kind, bool(lifts.parse(value))) == ("agent", True)
            continue
        parsed = requests.parse(value.rstrip('"'))
        assert parsed, value
        found.append((kind, parsed.verb, parsed.revision))
    return found


def section(page, heading):
    return re.split(r"^## ", page.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[
        0
    ]


@pytest.mark.parametrize("verb", Verb)
def test_each_verb_has_a_section_with_its_command_and_what_is_refused(page, verb):
    said = section(page, str(verb))
    assert commands(said) == [("agentrollout", verb, "REVISION")]
    assert "Refused" in said
    assert f"[`{verb}`](#{verb})" in page.partition("\n## ")[0], "the table leads there"


def test_an_agent_alone_has_the_verbs_that_it_takes(page):
    found = commands(section(page, "Without an AgentRollout"))
    assert [(kind, verb) for kind, verb, _ in found] == [("agent", verb) for verb in asked.VERBS]


@pytest.mark.parametrize(
    "path",
    ["README.md", "docs/security.md", *(f"docs/operating/{p}.md" for p in ("gitops", "runbooks"))],
)
def test_pages_that_speak_of_requests_lead_to_theirs(root, path):
    text = (root / path).read_text(encoding="utf-8")
    assert "requests.md" in text
    again = [(kind, verb) for kind, verb, _ in commands(text)]
    assert len(again) == len(set(again)) <= 3, "a runbook repeats what is typed in a hurry, once"


def test_a_lift_has_a_section_with_its_command_its_right_and_what_is_refused(page):
    said = section(page, lifts.VERB)
    ((kind, value),) = COMMAND.findall(said)
    assert kind == "agent"
    assert lifts.parse(value)
    assert "Refused" in said
    assert f"[`{lifts.VERB}`](#{lifts.VERB}) needs the verb `budget`" in page
