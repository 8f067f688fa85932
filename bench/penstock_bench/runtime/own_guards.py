"""A worker of Penstock without some of what keeps its model calls within bounds: own_guards.py [breaker] [pool]."""

from __future__ import annotations

import sys
from typing import Any
from unittest import mock

from penstock_runtime.agent.models.model import Model
from penstock_runtime.worker import boot, main

_layered_model = boot.layered_model


def serve(*without: str) -> int:
    """Run the worker; returns its exit code when it was told to stop."""

    def layered(endpoint: Model, *layers: Any) -> Model:
        *others, shared = layers
        breaker = boot.alone if "breaker" in without else shared.breaker
        pool = boot.alone if "pool" in without else shared.pool
        left = [*others, boot.Shared(breaker, pool)]
        return _layered_model(endpoint, *left)

    with mock.patch.object(boot, "layered_model", layered):
        return main.main()


if __name__ == "__main__":
    sys.exit(serve(*sys.argv[1:]))
