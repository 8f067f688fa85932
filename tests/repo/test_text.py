"""Every file is UTF-8 text that ends with a newline and speaks of this project, not of the machine it was written on."""

from __future__ import annotations

import re

MACHINE_PLACES = re.compile(
    r"(?<![\w.$}~/-])/(?:home|Users|root|work)/(?=[\w.])"  # somebody's own folders
    r"|--(?:extra-)?index-url[ =]|--find-links[ =]"
    r"|https?://[^\s\"']*/simple\b"  # a package index
)
SPEAKS_OF_THEM = {"tests/repo/test_text.py", "tools/lock.py"}


def test_every_file_is_utf_8_with_unix_line_ends_and_a_newline_at_the_end(texts):
    wrong = {}
    for path, content in texts.items():
        content.decode("utf-8")
        if content and (
            not content.endswith(b"\n") or content.endswith(b"\n\n") or b"\r\n" in content
        ):
            wrong[path] = content[-20:]
    assert not wrong


def test_no_file_names_a_place_on_one_machine_or_a_package_index(texts):
    found = {
        str(path): hit.group()
        for path, content in texts.items()
        if str(path) not in SPEAKS_OF_THEM
        and (hit := MACHINE_PLACES.search(content.decode("utf-8")))
    }
    assert not found


def test_the_search_finds_what_it_looks_for():
    for bad in (
        "see /home/ann/x",
        "--index-url https://x",
        "https://mirror.example/simple/",
        '"/root/.cache"',
    ):
        assert MACHINE_PLACES.search(bad), bad
    for good in (
        "/var/run/secrets",
        "$HOME/work/x",
        "https://example.com/simply",
        "~/.cache/penstock",
    ):
        assert not MACHINE_PLACES.search(good), good


def test_no_file_has_whitespace_at_the_end_of_a_line(texts):
    wrong = [
        path for path, content in texts.items() if re.search(rb"[ \t]+$", content, re.MULTILINE)
    ]
    assert not wrong
