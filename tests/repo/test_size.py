"""How long functions and files are, and who catches everything; prints the figures it asserts."""

from __future__ import annotations

import ast
import functools
import math
import pathlib
import statistics
from dataclasses import dataclass

import pytest

# Where one broken thing must not end a process that serves many: one named boundary per process.
BROAD_EXCEPT_BOUNDARIES = {
    "cli/penstock_cli/plan/command.py": 1,  # an error must not end with the code that means a change
    "operator/penstock_operator/reconcile/controller.py": 1,  # one agent must not stop the others
    "runtime/penstock_runtime/gateway/boundary.py": 1,  # one request must not stop the others
    "runtime/penstock_runtime/gateway/webhooks/sender.py": 3,  # one message must not stop the others
    "runtime/penstock_runtime/agent/boundary.py": 1,  # one task must not stop the others
}


@dataclass(frozen=True)
class Function:
    """A function of the shipped code, and how many lines it has without its docstring."""

    where: str
    name: str
    lines: int


def docstring_lines(node):
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if not (is_docstring and isinstance(first.value.value, str)):
        return 0
    return first.end_lineno - first.lineno + 1


@functools.cache
def nodes_in(path):
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def functions_in(path, root):
    for node in nodes_in(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1 - docstring_lines(node)
            yield Function(f"{path.relative_to(root)}:{node.lineno}", node.name, lines)


def is_broad(handler):
    """Whether a handler catches everything and keeps it; one that ends with `raise` tidies up."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {getattr(name, "id", None) for name in caught}
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def broad_excepts_in(path):
    handlers = [node for node in nodes_in(path) if isinstance(node, ast.ExceptHandler)]
    return sum(map(is_broad, handlers))


def line_count(path):
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def functions(shipped, root):
    return [function for path in shipped for function in functions_in(path, root)]


def p90(values):
    return sorted(values)[math.ceil(len(values) * 0.9) - 1]


@pytest.fixture(scope="module", autouse=True)
def figures(functions, shipped, root, pytestconfig):
    """Prints the figures past pytest's capture, so that every run shows them."""
    lines = [function.lines for function in functions]
    longest = max(functions, key=lambda function: function.lines)
    long_files = [path for path in shipped if line_count(path) > 300]
    broad = sum(map(broad_excepts_in, shipped))
    text = (
        f"\n{len(shipped)} files, {sum(map(line_count, shipped))} lines, {len(functions)} functions: "
        f"median {statistics.median(lines):g} lines, p90 {p90(lines)}, "
        f"longest {longest.lines} ({longest.name}, {longest.where}); "
        f"files over 300 lines: {', '.join(str(path.relative_to(root)) for path in long_files) or 'none'}; "
        f"broad excepts: {broad}\n"
    )
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(text, end="")


def test_half_of_all_functions_have_at_most_8_lines(functions):
    assert statistics.median(function.lines for function in functions) <= 8


def test_nine_of_ten_functions_have_at_most_30_lines(functions):
    assert p90([function.lines for function in functions]) <= 30


def test_no_function_has_more_than_70_lines(functions):
    assert not [function for function in functions if function.lines > 70]


def test_no_file_has_more_than_400_lines(shipped):
    assert not {path: count for path in shipped if (count := line_count(path)) > 400}


def test_only_the_named_boundaries_catch_everything(shipped, root):
    found = {str(path.relative_to(root)): broad_excepts_in(path) for path in shipped}
    assert {path: count for path, count in found.items() if count} == BROAD_EXCEPT_BOUNDARIES


def test_the_measures_see_what_they_measure(tmp_path):
    tidies_up = "try:\n    pass\nexcept BaseException:\n    print()\n    raise\n"
    (tmp_path / "tidy.py").write_text(tidies_up)
    assert broad_excepts_in(tmp_path / "tidy.py") == 0
    code = 'def shout():\n    """Doc."""\n    try:\n        pass\n    except (OSError, Exception):\n        pass\n'
    (tmp_path / "sample.py").write_text(code)
    assert [
        function.lines for function in functions_in(tmp_path / "sample.py", pathlib.Path(tmp_path))
    ] == [5]
    assert broad_excepts_in(tmp_path / "sample.py") == 1
