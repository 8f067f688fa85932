"""Startup, liveness and readiness probes over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx

_FIRST_PAUSE_SECONDS = 0.1


class Unsupported(Exception):
    """A kind of probe that a process node does not have."""


@dataclass(frozen=True)
class Probe:
    """One declared probe; the API server has filled in the defaults."""

    url: str
    headers: tuple[tuple[str, str], ...]
    initial_delay_seconds: float
    period_seconds: float
    timeout_seconds: float
    success_threshold: int
    failure_threshold: int


@dataclass(frozen=True)
class Verdict:
    """A threshold was crossed: the probe now passes or fails, and what was last seen."""

    passed: bool
    seen: str


def declared(container: dict[str, Any], kind: str, pod_ip: str) -> Probe:
    """The container's startupProbe, livenessProbe or readinessProbe.

    Raises Unsupported for anything but httpGet.
    """
    spec = container[kind]
    if "httpGet" not in spec:
        raise Unsupported(f"a process node knows httpGet only: {kind} of {container['name']}")
    get = spec["httpGet"]
    scheme, host = get.get("scheme", "HTTP").lower(), get.get("host") or pod_ip
    return Probe(
        url=f"{scheme}://{host}:{_port(container, get['port'])}/{get['path'].lstrip('/')}",
        headers=tuple((h["name"], h["value"]) for h in get.get("httpHeaders") or []),
        initial_delay_seconds=spec.get("initialDelaySeconds", 0),
        period_seconds=spec["periodSeconds"],
        timeout_seconds=spec["timeoutSeconds"],
        success_threshold=spec["successThreshold"],
        failure_threshold=spec["failureThreshold"],
    )


def _port(container: dict[str, Any], port: int | str) -> int:
    if isinstance(port, int):
        return port
    named = {p.get("name"): p["containerPort"] for p in container.get("ports") or []}
    if port not in named:
        raise Unsupported(f"no port is named {port} in container {container['name']}")
    return int(named[port])


async def verdicts(probe: Probe, http: httpx.AsyncClient) -> AsyncGenerator[Verdict]:
    """Probe for ever; yield each time a row of answers has reached its threshold.

    Until something passes it looks more often than declared, for a local process is up long before
    a period is over; failures still count once a period, so thresholds mean the same time.
    """
    successes = failures = 0
    passed_once = False
    pause_seconds = _FIRST_PAUSE_SECONDS
    await asyncio.sleep(probe.initial_delay_seconds)
    failure_counts_from = time.monotonic() + probe.period_seconds
    while True:
        passed, seen = await _look(probe, http)
        if passed:
            successes, failures, passed_once = successes + 1, 0, True
        elif passed_once or time.monotonic() >= failure_counts_from:
            successes, failures = 0, failures + 1
            failure_counts_from = time.monotonic() + probe.period_seconds
        if passed and successes >= probe.success_threshold:
            yield Verdict(passed=True, seen=seen)
        elif failures >= probe.failure_threshold:
            yield Verdict(passed=False, seen=seen)
        await asyncio.sleep(probe.period_seconds if passed_once else pause_seconds)
        pause_seconds = min(probe.period_seconds, pause_seconds * 1.5)


async def _look(probe: Probe, http: httpx.AsyncClient) -> tuple[bool, str]:
    try:
        response = await http.get(
            probe.url, headers=list(probe.headers), timeout=probe.timeout_seconds
        )
    except httpx.HTTPError as error:
        return False, f"Get {probe.url}: {type(error).__name__} {error}".strip()
    passed = 200 <= response.status_code < 400
    return passed, f"HTTP probe failed with statuscode: {response.status_code}"
