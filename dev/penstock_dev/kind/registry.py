"""Whether the engine can be expected to pull images."""

from __future__ import annotations

import httpx

from penstock_dev.kind import commands

_HUB = "https://registry-1.docker.io/v2/"
_PATIENCE_SECONDS = 3.0


def reachable() -> bool:
    """Whether the Docker hub answers, or the engine is set up with a mirror of it."""
    return _has_mirror() or _hub_answers()


def _has_mirror() -> bool:
    try:
        said = commands.run(["docker", "info", "--format", "{{json .RegistryConfig.Mirrors}}"])
    except commands.CommandFailed:
        return False
    return said.strip() not in ("", "null", "[]")


def _hub_answers() -> bool:
    """Asks without an account, which a registry that is there refuses with 401."""
    try:
        return httpx.get(_HUB, timeout=_PATIENCE_SECONDS).status_code in (200, 401)
    except httpx.HTTPError:
        return False
