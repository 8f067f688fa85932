"""What a gateway counts. Labels are bounded: agents and revisions that exist, never a user or task."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter("penstock_gateway_requests", "HTTP requests answered.", ("route", "code"))
REQUEST_SECONDS: Final = Histogram(
    "penstock_gateway_request_seconds",
    "Time until the answer began, waiting for the task included.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
ADMISSIONS: Final = Counter(
    "penstock_gateway_admissions",
    "Tasks accepted, by the side that serves them: S stable, C candidate.",
    ("namespace", "agent", "revision", "arm"),
)
REFUSALS: Final = Counter(
    "penstock_gateway_refusals", "Tasks refused, by the kind of problem.", ("problem",)
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
