"""How a process of the runtime runs once it has loaded what it needs."""

import gc
from collections.abc import Coroutine
from typing import Any

import uvloop


def run(serving: Coroutine[Any, Any, None]) -> None:
    """Run until it has ended.

    Modules, schemas and prices, which a process loads at its start, stay as long as it lives. They
    are most of its objects: the collector would visit all of them each time for nothing.
    """
    gc.collect()
    gc.freeze()
    uvloop.run(serving)
