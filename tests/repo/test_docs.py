"""What the operator tells people is explained, and what is explained exists."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

from penstock.api.reasons import ConditionType, EventReason, WaitReason

WORDS_OF_THE_OPERATOR = [
    "operator/penstock_operator/reconcile/access.py",
    "operator/penstock_operator/reconcile/events.py",
    "operator/penstock_operator/reconcile/idle.py",
    "operator/penstock_operator/reconcile/plan.py",
    "operator/penstock_operator/reconcile/gather.py",
    "operator/penstock_operator/reconcile/statuses.py",
    "operator/penstock_operator/reconcile/stock.py",
    "operator/penstock_operator/reconcile/transitions.py",
    "operator/penstock_operator/reconcile/waiting.py",
    "penstock/access.py",
    "penstock/api/reasons.py",
    "penstock/api/validation.py",
    "penstock/rollout/checks.py",
    "penstock/rollout/engine.py",
    "penstock/rollout/facts.py",
    "penstock/rollout/harm.py",
    "penstock/rollout/holds.py",
    "penstock/analysis/guardrails.py",
    "penstock/rollout/report.py",
    "penstock/rollout/transitions.py",
    "penstock/rollout/undoing.py",
]
CAMEL_CASE = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")

# CamelCase that is no reason: how a request ended, verdicts of a check (a part of a reason), Kubernetes' own words,
# states of a revision.
OTHER_WORDS = {
    "Accepted", "Refused", "Untried", "Waiting",
    "Breached", "Shared", "Suspect", "Unclear", "Uncompared",
    "Normal", "Reconcile", "Warning",
    "Draining",
}  # fmt: skip


def strings_in(source):
    nodes = ast.walk(ast.parse(source))
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.fixture(scope="module")
def said(root):
    """Every word in CamelCase that the modules which speak to people hold as a string."""
    verdicts = (root / "penstock/api/analysis.py").read_text(encoding="utf-8")
    reasons = re.search(r"^class Reason\(StrEnum\).*?^class", verdicts, re.MULTILINE | re.DOTALL)
    sources = [(root / path).read_text(encoding="utf-8") for path in WORDS_OF_THE_OPERATOR]
    strings = set().union(*map(strings_in, sources))
    strings |= set(re.findall(r'"(\w+)"', reasons.group()))
    return {word for word in strings if CAMEL_CASE.fullmatch(word)}


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "reference" / "conditions.md").read_text(encoding="utf-8")


def test_every_condition_reason_and_event_is_explained(said, page):
    assert len(said) > 60
    explained = set(re.findall(r"`([A-Za-z]+)`", page))
    assert not said - explained - OTHER_WORDS


def test_no_condition_reason_or_event_is_explained_that_does_not_exist(said, page):
    first_cells = re.findall(r"^\|([^|]+)\|", page, re.MULTILINE)
    explained = {word for cell in first_cells for word in re.findall(r"`([A-Za-z]+)`", cell)}
    assert len(explained) > 40
    assert not explained - said


def test_every_word_that_programs_read_is_said_somewhere(files, root):
    sources = [
        path.read_text(encoding="utf-8")
        for path in files
        if path.suffix == ".py" and path.is_relative_to(root) and "tests" not in path.parts
    ]
    text = "\n".join(sources)
    words = [word for kind in (ConditionType, WaitReason, EventReason) for word in kind]
    assert [str(word) for word in words if f"{type(word).__name__}.{word.name}" not in text] == []


def test_every_relative_link_in_a_document_leads_somewhere(files, root):
    broken = []
    for path in files:
        if path.suffix == ".md":
            text = re.sub(
                r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL
            )
            links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)
            broken += [
                (path.relative_to(root), link)
                for link in links
                if not (path.parent / link).exists()
            ]
    assert not broken


def test_every_make_command_in_a_document_exists(texts):
    makefile = texts[pathlib.Path("Makefile")].decode()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        (str(path), target)
        for path, body in texts.items()
        if path.suffix == ".md"
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", body.decode(), re.MULTILINE)
    }
    assert named
    assert not {(path, target) for path, target in named if target not in targets}
