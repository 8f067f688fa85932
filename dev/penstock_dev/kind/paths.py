"""Where the files of this package are, and where what it makes is kept."""

from __future__ import annotations

import os
from pathlib import Path

_HERE = Path(__file__).parent
REPOSITORY = _HERE.parents[2]
CLUSTER_CONFIG = REPOSITORY / "kind-config.yaml"
CHART = REPOSITORY / "charts" / "penstock"
MODULES = _HERE / "modules"
NODE_FILES = _HERE / "node"


def cache() -> Path:
    """The folder for programs and images that took long to make; made when it is not there."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(home).absolute() / "penstock" / "kind"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
