"""What a command tells programs: one document, as JSON or as YAML."""

import json
from typing import Any


def printed(document: Any, output: str) -> str:
    """The document as ``-o json`` or ``-o yaml`` prints it, without the last line's end."""
    as_json = json.dumps(document, indent=2, ensure_ascii=False)
    if output == "json":
        return as_json
    import yaml

    # YAML refuses enums and tuples, which JSON writes: both forms are to hold the same.
    dumped: str = yaml.safe_dump(json.loads(as_json), sort_keys=False, allow_unicode=True)
    return dumped.rstrip()
