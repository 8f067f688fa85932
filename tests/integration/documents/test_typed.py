"""Every command of a followed page is typed by a test, or it stands in the table with its reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.documents import elsewhere, typist
from tests.integration.documents.conftest import RUNBOOKS

#: Page → the name of the fixture that follows it, and the commands that are tried elsewhere.
FOLLOWED = {RUNBOOKS: ("runbook", elsewhere.RUNBOOKS)}
HERE = Path(__file__).parent


def followed(fixture: str) -> set[str]:
    """The sections that some test here follows to their end."""
    sources = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    return set(re.findall(rf'with {fixture}\("([^"]+)"\)', sources))


@pytest.mark.parametrize("page", FOLLOWED)
def test_every_section_with_commands_is_followed(page: str) -> None:
    fixture, others = FOLLOWED[page]
    sections = typist.sections(page)
    assert sum(map(len, sections.values())) > 5
    left = {title for title, commands in sections.items() if not others.keys() >= set(commands)}
    assert left <= followed(fixture), f"no test follows {left - followed(fixture)}"


@pytest.mark.parametrize("page", FOLLOWED)
def test_the_table_has_no_command_that_the_page_lacks(page: str) -> None:
    _, others = FOLLOWED[page]
    typed = {command for commands in typist.sections(page).values() for command in commands}
    assert others.keys() <= typed, others.keys() - typed


def test_commands_are_found_in_fences_and_in_prose_under_their_heading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "# A\n\n```\nkubectl get \\\n  pods\n# no heading\nhelm x\n```\n\n## B\nUse `helm upgrade`, or "
        "`kubectl patch agent NAME\n-p x`.\n```yaml\nkubectl: no\n```\n## C\n`kubectl get x` ends it.\n"
    )
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(typist.pages, "ROOT", tmp_path)
    assert typist.sections("page.md") == {
        "A": ["kubectl get pods", "# no heading", "helm x"],
        "B": ["kubectl patch agent NAME -p x"],
        "C": ["kubectl get x"],
    }
