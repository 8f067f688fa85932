"""The blocks of commands and of files in a document, as its reader copies them."""

from __future__ import annotations

from pathlib import Path

from tests.repo import documents

ROOT = Path(__file__).resolve().parents[3]


def block(page: str, words: str) -> str:
    """The one fenced block of a page that has these words in it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    (found,) = [content for _, content in documents.fences(text) if words in content]
    return found
