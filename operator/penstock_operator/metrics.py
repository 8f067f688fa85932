"""What the operator says of itself to Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from penstock.names import AgentKey

REGISTRY: Final = CollectorRegistry()

API_REQUESTS: Final = Counter(
    "penstock_operator_api_requests_total",
    "Requests to the API server.",
    ["kind", "method", "code"],
    registry=REGISTRY,
)
RECONCILES: Final = Counter(
    "penstock_operator_reconciles_total",
    "Reconciles by result: ok, conflict, retry.",
    ["result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS: Final = Histogram(
    "penstock_operator_reconcile_seconds", "Time of one reconcile.", registry=REGISTRY
)
QUEUE_DEPTH: Final = Gauge(
    "penstock_operator_queue_depth", "Agents waiting for a reconcile.", registry=REGISTRY
)
CACHED: Final = Gauge(
    "penstock_operator_cached_objects", "Objects known.", ["kind"], registry=REGISTRY
)
RELISTED: Final = Gauge(
    "penstock_operator_last_relist_timestamp_seconds",
    "When all kinds were last listed.",
    registry=REGISTRY,
)
REFUSED: Final = Gauge(
    "penstock_operator_namespace_refused",
    "1 while the API server lets nothing be listed in a namespace of watchNamespaces, else 0: "
    "its agents stay as they are.",
    ["namespace"],
    registry=REGISTRY,
)
RELIST_REPAIRS: Final = Counter(
    "penstock_operator_relist_repairs_total",
    "Objects that a re-list corrected after the watch had missed them.",
    ["kind"],
    registry=REGISTRY,
)
WATCH_ERRORS: Final = Counter(
    "penstock_operator_watch_handler_errors_total",
    "Events that could not be taken in.",
    registry=REGISTRY,
)
ROWS_UNREADABLE: Final = Counter(
    "penstock_operator_rows_unreadable_total",
    "Rows of outcome logs that were passed over: another hand's, or a newer version's.",
    ["namespace", "agent"],
    registry=REGISTRY,
)
REDIS_USED: Final = Gauge(
    "penstock_redis_memory_used_bytes", "Memory that Redis uses.", registry=REGISTRY
)
REDIS_LIMIT: Final = Gauge(
    "penstock_redis_memory_limit_bytes",
    "Memory that Redis may use; 0: it has no limit.",
    registry=REGISTRY,
)
LEADER: Final = Gauge("penstock_leader", "1 while this operator leads, else 0.", registry=REGISTRY)
LEADER_TRANSITIONS: Final = Gauge(
    "penstock_leader_transitions",
    "How often the Lease has changed hands, as last seen: the epoch of whoever holds it.",
    registry=REGISTRY,
)
VERDICTS: Final = Counter(
    "penstock_rollout_verdicts_total",
    "Ended candidates by result and reason.",
    ["namespace", "agent", "result", "reason"],
    registry=REGISTRY,
)
SHARE: Final = Gauge(
    "penstock_rollout_share_percent",
    "Share of new sessions on the candidate.",
    ["namespace", "agent"],
    registry=REGISTRY,
)


def forget(agent: AgentKey) -> None:
    """Drop what is told of an Agent that is gone; what was counted of it stays."""
    SHARE.remove(agent.namespace, agent.name)
