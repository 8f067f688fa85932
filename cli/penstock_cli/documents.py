"""What a command tells programs: one document, as JSON or as YAML."""

import json
from typing import Any


def printed(document: Any, output: str) -> str:
    """The document as ``-o json`` or ``-o yaml`` prints it, without the last line's end."""
    if output == "json":
        return json.dumps(document, indent=2, ensure_ascii=False)
    import yaml

    dumped: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return dumped.rstrip()
