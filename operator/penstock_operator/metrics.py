"""What the operator says of itself, and of each Agent, to Prometheus.

What an alert counts begins at 0: Prometheus sees no increase in a series that begins at 1.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from penstock.api.analysis import Reason, Result
from penstock.names import AgentKey

# They would double each counter, and say nothing.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

#: A gauge and the values of its labels.
Series: TypeAlias = tuple[Gauge, tuple[str, ...]]


class WhileLeading(Collector):
    """The metrics of a registry while this operator leads, else none.

    What a former leader knew of Agents would stand still on it for ever.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.leads: Callable[[], bool] = lambda: True

    def collect(self) -> Iterable[Metric]:
        """What is known now; nothing while another may lead."""
        return list(self._registry.collect()) if self.leads() else []


REGISTRY: Final = CollectorRegistry()
_LEADING: Final = CollectorRegistry()
_WHILE_LEADING: Final = WhileLeading(_LEADING)
REGISTRY.register(_WHILE_LEADING)

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
for _result in ("ok", "conflict", "retry"):
    RECONCILES.labels(_result)
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
PRICES_UNREADABLE: Final = Gauge(
    "penstock_operator_prices_unreadable",
    "1 while the chart's price table cannot be read, else 0: the prices before hold.",
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
REDIS_UP: Final = Gauge(
    "penstock_redis_up",
    "1 while Redis answers the operator, which asks every 15 s, else 0.",
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
EXTERNAL_QUERIES: Final = Counter(
    "penstock_external_queries_total",
    "Questions for gates of spec.analysis.external, by the Prometheus that was asked and what came of it: "
    "answered, no_number (no series, several, NaN), failed.",
    ["prometheus", "result"],
    registry=REGISTRY,
)
EXTERNAL_SECONDS: Final = Histogram(
    "penstock_external_query_seconds",
    "Time of one such question.",
    ["prometheus"],
    registry=REGISTRY,
)
VERDICTS: Final = Counter(
    "penstock_rollout_verdicts_total",
    "Ended canaries by result and reason, since this operator began to lead.",
    ["namespace", "agent", "result", "reason"],
    registry=REGISTRY,
)

# Gauges of Agents. Only the operator that leads has them.
_AGENT: Final = ("namespace", "agent")
SHARE: Final = Gauge(
    "penstock_rollout_share_percent",
    "Share of new sessions on the canary.",
    _AGENT,
    registry=_LEADING,
)
STEP: Final = Gauge(
    "penstock_rollout_step",
    "Step that the canary is at, counted from 1; 0 without a canary.",
    _AGENT,
    registry=_LEADING,
)
WAITING: Final = Gauge(
    "penstock_rollout_waiting",
    "1 for what the canary waits for now: the reason of the condition Progressing, or "
    "RolloutMissing where its AgentRollout is gone. No series without a canary.",
    (*_AGENT, "reason"),
    registry=_LEADING,
)
ALARM: Final = Gauge(
    "penstock_rollout_alarm",
    "1 while an alarm about the canary's share rings: SampleRatioMismatch, ShareNotAchieved or NoEligibleUsers.",
    (*_AGENT, "alarm"),
    registry=_LEADING,
)
REJECTED: Final = Gauge(
    "penstock_rollout_rejected",
    "1 while the newest revision is rejected, with the reason of its verdict; else no series.",
    (*_AGENT, "revision", "reason"),
    registry=_LEADING,
)
QUEUED: Final = Gauge(
    "penstock_agent_queued_tasks",
    "Tasks that wait for a worker or for an earlier task of their session. No series while Redis "
    "does not answer.",
    _AGENT,
    registry=_LEADING,
)
PARKED: Final = Gauge(
    "penstock_agent_waiting_for_approval",
    "Calls that wait for a person's decision. No series while Redis does not answer.",
    _AGENT,
    registry=_LEADING,
)
LAPSES: Final = Gauge(
    "penstock_agent_first_approval_lapses_seconds",
    "In how many seconds time decides the first call that waits for a person; no series while none does.",
    _AGENT,
    registry=_LEADING,
)
WAITS: Final = Gauge(
    "penstock_agent_first_approval_waits_seconds",
    "For how long the call has waited for a person that time decides first; no series while none does.",
    _AGENT,
    registry=_LEADING,
)
OLDEST: Final = Gauge(
    "penstock_agent_oldest_queued_seconds",
    "For how long the oldest task has waited for a worker; 0 when none waits. No series while "
    "Redis does not answer.",
    _AGENT,
    registry=_LEADING,
)
SUSPENDED: Final = Gauge(
    "penstock_agent_suspended",
    "1 while nothing is admitted (spec.suspended, or onStable: Suspend), else 0.",
    _AGENT,
    registry=_LEADING,
)
STALLED: Final = Gauge(
    "penstock_agent_stalled",
    "1 while a person must mend something: the reason of the condition Stalled, of the Agent or of "
    "an AgentRollout that names it; else no series. A rollback, after which the Agent serves, is "
    "none: see penstock_rollout_rejected.",
    (*_AGENT, "reason"),
    registry=_LEADING,
)

COST_TODAY: Final = Gauge(
    "penstock_agent_cost_today_usd",
    "What the tasks have cost that a revision ended today (UTC). No series while Redis does not answer.",
    (*_AGENT, "revision"),
    registry=_LEADING,
)
BUDGET_SPENT: Final = Gauge(
    "penstock_agent_budget_spent_percent",
    "How much of a limit of spec.budgets is spent, settled by bills, of the Agent itself: window is "
    "hour, day or month, unit is tokens or micro_usd, mode is that of spec.budgets. At least 100 while "
    "so little is left that calls are refused.",
    (*_AGENT, "window", "unit", "mode"),
    registry=_LEADING,
)
HARM_USED: Final = Gauge(
    "penstock_agent_harm_used_percent",
    "How much of a limit of analysis.harm its canary has used: limit is maxFailedTasks, maxIrreversibleCalls or "
    "maxAmount. No series where none is declared, or the canary has more than half of the users.",
    (*_AGENT, "limit"),
    registry=_LEADING,
)
BUDGET_MARKS: Final = Gauge(
    "penstock_agent_budget_marks",
    "How many windows of users and of tenants (scope) have passed so many percent, 50, 80 or 95, of a limit "
    "of spec.budgets, since the Agent had a budget first. Nobody's name is told.",
    (*_AGENT, "scope", "window", "percent"),
    registry=_LEADING,
)
BUDGET_REFUSALS: Final = Gauge(
    "penstock_agent_budget_refusals",
    "How often a limit of spec.budgets has refused a model call, or would have with mode: Report, "
    "since the Agent had a budget first: scope is agent, user, tenant, task or canary, whoever it was.",
    (*_AGENT, "scope", "window", "unit"),
    registry=_LEADING,
)

_RESULTS: Final = {
    Reason.NEW_REVISION: (Result.SUPERSEDED,),
    Reason.ALL_STEPS_PASSED: (Result.PROMOTED,),
    Reason.REQUESTED: (Result.PROMOTED,),
    Reason.RETURNED: (Result.PROMOTED,),
    Reason.DEADLINE: (Result.REJECTED, Result.PROMOTED),
}  # of all other reasons: Rejected
_shown: dict[AgentKey, frozenset[Series]] = {}


def led_by(held: Callable[[], bool]) -> None:
    """Ask this, whenever somebody looks, whether this operator leads."""
    LEADER.set_function(lambda: float(held()))
    _WHILE_LEADING.leads = held


def expect_verdicts(agent: AgentKey) -> None:
    """Begin all counts of an Agent's verdicts that have not begun at 0."""
    for reason in Reason:
        for result in _RESULTS.get(reason, (Result.REJECTED,)):
            VERDICTS.labels(agent.namespace, agent.name, result, reason)


def show(agent: AgentKey, values: Mapping[Series, float]) -> None:
    """Show what is known of an Agent now, and nothing any more that is not among it."""
    for gauge, labels in _shown.pop(agent, frozenset()) - values.keys():
        gauge.remove(*labels)
    for (gauge, labels), value in values.items():
        gauge.labels(*labels).set(value)
    if values:
        _shown[agent] = frozenset(values)


def forget(agent: AgentKey) -> None:
    """Drop what is told of an Agent that is gone; what was counted of it stays."""
    show(agent, {})
