"""What a rollout says to people stands in one place, so that whoever changes a sentence finds it."""

from __future__ import annotations

import ast
import re

#: Where sentences of a rollout stand, and the parts that they are made of; the policy tells developers why.
PLACES = ("words/", "commands.py", "findings.py", "policy.py")
SENTENCE = re.compile(r"[a-z] | [a-z]", re.IGNORECASE)


def sentences(source):
    """Strings of several words that are neither documentation nor an error of ours."""
    tree = ast.parse(source)
    raised = [
        part for node in ast.walk(tree) if isinstance(node, ast.Raise) for part in ast.walk(node)
    ]
    documented = [
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    ]
    left_out = {id(node) for node in (*raised, *documented)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and SENTENCE.search(node.value)
        and id(node) not in left_out
    ]


def test_every_sentence_of_a_rollout_stands_among_its_words(root):
    rollout = root / "penstock" / "rollout"
    scattered = {
        name: found
        for path in rollout.rglob("*.py")
        if not (name := str(path.relative_to(rollout))).startswith(PLACES)
        if (found := sentences(path.read_text(encoding="utf-8")))
    }
    assert not scattered


def test_the_search_tells_a_sentence_from_documentation():
    source = '"""What it is."""\n\n\ndef f(x):\n    """What it does."""\n    raise ValueError("of ours")\n'
    assert not sentences(source)
    assert sentences(source + '\n\nA = f"{x} is ready."\n') == [" is ready."]
