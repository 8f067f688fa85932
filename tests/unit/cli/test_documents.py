"""What commands print for programs."""

import enum
import json

import pytest
import yaml

from penstock_cli import documents


class Verdict(enum.StrEnum):
    PROMOTED = "Promoted"


DOCUMENT = {
    "verdict": Verdict.PROMOTED,
    "shares": (5, 20.5, None, True),
    "said": "yes: no\n# 🚰 'a' \"b\"",
    "when": "2026-12-01T04:00:00Z",
    "emptied": {"items": [], "names": {}},
    7: "a number as a name",
}


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_both_forms_hold_the_same(output):
    written = documents.printed(DOCUMENT, output)
    found = json.loads(written) if output == "json" else yaml.safe_load(written)
    assert found == json.loads(json.dumps(DOCUMENT))
    assert list(found) == [str(name) for name in DOCUMENT]
    assert "🚰" in written
    assert not written.endswith("\n")
