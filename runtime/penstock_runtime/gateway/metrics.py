"""What a gateway counts. Labels are bounded: agents and revisions that exist, never a user or task.

What an alert counts begins at 0: Prometheus sees no increase in a series that begins at 1.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

# They would double each counter, and say nothing.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_SERVER_ERRORS: Final = ("500", "503")

REQUESTS: Final = Counter("penstock_gateway_requests", "HTTP requests answered.", ("route", "code"))
REQUEST_SECONDS: Final = Histogram(
    "penstock_gateway_request_seconds",
    "Time until the answer began, waiting for the task included.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
ADMISSIONS: Final = Counter(
    "penstock_gateway_admissions",
    "Tasks accepted, by the side that serves them: S stable, C canary.",
    ("namespace", "agent", "revision", "arm"),
)
REFUSALS: Final = Counter(
    "penstock_gateway_refusals",
    "Requests answered with a problem, by its kind: the last part of its type.",
    ("problem",),
)
OVER_BUDGET: Final = Counter(
    "penstock_gateway_over_budget",
    "Tasks over a budget of their agent, user or tenant, by whose: outcome is refused, reported "
    "where the budget only reports, or escalated where it hands tasks to people.",
    ("namespace", "agent", "scope", "outcome"),
)
DECISIONS: Final = Counter(
    "penstock_gateway_decisions",
    "Words of people on calls that wait: decision is Approve, Deny or Answer, outcome ok, again, decided, "
    "differs, doubt, other or missing.",
    ("namespace", "agent", "decision", "outcome"),
)
DECISION_SECONDS: Final = Histogram(
    "penstock_gateway_decision_seconds",
    "Time from the question to a person's last word on it; what time decides is not among them.",
    ("namespace", "agent"),
    buckets=(10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 28_800, 86_400, 259_200, 604_800),
)
WEBHOOK_DELIVERIES: Final = Counter(
    "penstock_gateway_webhook_deliveries",
    "Messages to a webhook, by what became of an attempt: delivered, failed (tried again later), or "
    "dropped, as it was no news any more.",
    ("target", "outcome"),
)
WEBHOOK_SECONDS: Final = Histogram(
    "penstock_gateway_webhook_seconds",
    "Time until a webhook took a message, or did not.",
    ("target",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WEBHOOK_WAITING: Final = Gauge(
    "penstock_gateway_webhook_waiting",
    "Messages to a webhook that it has not taken; 0 at gateways that do not send.",
    ("target",),
)
WEBHOOK_OLDEST: Final = Gauge(
    "penstock_gateway_webhook_oldest_undelivered_seconds",
    "For how long the oldest of them has been news; 0: there is none.",
    ("target",),
)
STREAMS: Final = Gauge("penstock_gateway_streams", "Event streams that are open.")
WAITING: Final = Gauge("penstock_gateway_waiting", "Callers who wait for the end of a task.")
REVIEWS: Final = Counter(
    "penstock_gateway_reviews",
    "Questions to the API server, of a token or of access: yes, no, unavailable.",
    ("review", "result"),
)
REVIEW_SECONDS: Final = Histogram(
    "penstock_gateway_review_seconds",
    "Time until the API server answered a review.",
    ("review",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CONNECTIONS: Final = Gauge("penstock_gateway_connections", "Connections that are open.")
REFUSED_CONNECTIONS: Final = Counter(
    "penstock_gateway_refused_connections",
    "Connections ended by a bound: the kind of problem that was answered, or why it was closed "
    "without an answer (closed, displaced, stalled, unread, pipelined).",
    ("reason",),
)


def begin(routes: Iterable[str], problems: Iterable[str]) -> None:
    """Begin at 0 what alerts count: server errors of each route, and each kind of problem."""
    for route in routes:
        for code in _SERVER_ERRORS:
            REQUESTS.labels(route, code)
    for problem in problems:
        REFUSALS.labels(problem)


def begin_webhooks(targets: Iterable[str]) -> None:
    """Begin at 0 what alerts count of each target; so it stays at a gateway that does not send."""
    for target in targets:
        for outcome in ("delivered", "failed", "dropped"):
            WEBHOOK_DELIVERIES.labels(target, outcome)
        WEBHOOK_WAITING.labels(target).set(0)
        WEBHOOK_OLDEST.labels(target).set(0)


def show_webhooks(waiting: Mapping[str, int], waited_ms: Mapping[str, int]) -> None:
    """Show how many messages to each target wait, and for how long the oldest does."""
    for target, count in waiting.items():
        WEBHOOK_WAITING.labels(target).set(count)
        WEBHOOK_OLDEST.labels(target).set(waited_ms[target] / 1000)
