"""What workers count. Labels are bounded: never a user, a session or a task.

What an alert counts begins at 0: Prometheus sees no increase in a series that begins at 1.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeVar

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

from penstock.money.prices import Tokens
from penstock.names import AgentKey
from penstock.task import OutcomeReason, TaskStatus

_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)

# They would double each counter, and say nothing.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_AGENT: Final = ("namespace", "agent")
_REVISION: Final = (*_AGENT, "revision")
_MODEL: Final = (*_REVISION, "model")
_TOOL: Final = (*_REVISION, "tool")

#: How tasks end, as far as a worker knows.
ENDS: Final = (
    (TaskStatus.SUCCEEDED, OutcomeReason.NONE),
    *(
        (TaskStatus.FAILED, reason)
        for reason in (OutcomeReason.MODEL_ERROR, OutcomeReason.TIMEOUT, OutcomeReason.INTERNAL)
    ),
    *(
        (TaskStatus.ESCALATED, reason)
        for reason in (
            OutcomeReason.REFUSAL,
            OutcomeReason.PERSON,
            OutcomeReason.APPROVAL,
            OutcomeReason.TOOL_ERROR,
        )
    ),
    *(
        (TaskStatus.LIMIT_EXCEEDED, reason)
        for reason in OutcomeReason
        if reason.value.startswith("Limit") and reason is not OutcomeReason.LIMIT_QUEUE_SECONDS
    ),
    (TaskStatus.LIMIT_EXCEEDED, OutcomeReason.BUDGET),
    (TaskStatus.EXPIRED, OutcomeReason.LIMIT_QUEUE_SECONDS),
    (TaskStatus.CANCELLED, OutcomeReason.PERSON),
)
#: Whether what is counted belongs to a preview: of its revision that is no sample, in no series.
IN_PREVIEW: Final[ContextVar[bool]] = ContextVar("in_preview", default=False)
#: In place of a revision: what models and tools have done for previews stays in the sums.
OF_PREVIEWS: Final = "preview"
ANSWERED: Final = "answered"
CANCELLED: Final = "cancelled"
_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600)

TASKS: Final = Counter(
    "penstock_tasks", "Tasks ended; no previews.", (*_REVISION, "outcome", "reason")
)
TASK_SECONDS: Final = Histogram(
    "penstock_task_seconds",
    "Processing time of ended tasks; no previews.",
    _REVISION,
    buckets=_SECONDS,
)
TASKS_RUNNING: Final = Gauge("penstock_tasks_running", "Tasks being worked on.", _REVISION)
TASKS_UNWRITTEN: Final = Gauge(
    "penstock_tasks_unwritten", "Tasks whose state or end Redis does not take.", _REVISION
)
TASKS_STOPPED: Final = Counter(
    "penstock_tasks_stopped",
    "Tasks put down before their end; no previews.",
    (*_REVISION, "outcome"),
)
CALLS_ASKED: Final = Counter(
    "penstock_calls_asked",
    "Calls put before a person, by the revision that asks: planned is yes as declared; no where the model "
    "asks by itself, or by what it put into the call.",
    (*_REVISION, "planned"),
)
CALLS_DECIDED: Final = Counter(
    "penstock_calls_decided",
    "Decisions that a worker went on with, by its revision: decision is Approve, Deny or Answer, by is person, or "
    "time where nobody decided.",
    (*_REVISION, "decision", "by"),
)
WORKER_ERRORS: Final = Counter(
    "penstock_worker_errors", "Errors nobody foresaw, each a bug.", _REVISION
)
STORE_ERRORS: Final = Counter(
    "penstock_store_errors", "Calls of the store that got no answer.", _REVISION
)
MODEL_CALLS: Final = Counter(
    "penstock_model_calls",
    "Model calls; outcome is answered, cancelled or the kind of failure, revision is preview for those of previews.",
    (*_MODEL, "outcome"),
)
MODEL_SECONDS: Final = Histogram(
    "penstock_model_call_seconds", "Time of one model call.", _MODEL, buckets=_SECONDS
)
MODEL_TOKENS: Final = Counter(
    "penstock_model_tokens",
    "Tokens used; outcome is input, output or cached: of the input, read from a cache.",
    (*_MODEL, "outcome"),
)
MODEL_COST: Final = Counter(
    "penstock_model_cost_usd",
    "What all model calls cost; revision is preview for those of previews.",
    _MODEL,
)
BOUND_EXCEEDED: Final = Counter(
    "penstock_bound_exceeded", "Model calls that were billed more than their bound.", _MODEL
)
MODEL_PACED: Final = Counter(
    "penstock_model_paced_seconds",
    "Time that model calls waited since their vendor allows no more in a minute.",
    _MODEL,
)
MODEL_CACHED: Final = Counter(
    "penstock_model_cached_answers", "Answers that came out of the response cache.", _MODEL
)
MODEL_BREAKER: Final = Gauge(
    "penstock_model_breaker_open",
    "1 while a model is not asked, since calls in a row got no answer, as this worker has heard. "
    "place 0 is the model itself, 1 its first fallback.",
    (*_MODEL, "place"),
)
MODEL_BREAKERS_OPENED: Final = Counter(
    "penstock_model_breaker_opened", "How often this worker met the outage that opened it.", _MODEL
)
MODEL_FALLBACKS: Final = Counter(
    "penstock_model_fallbacks", "Calls answered by a model that stood in for another one.", _MODEL
)
TOOL_CALLS: Final = Counter(
    "penstock_tool_calls",
    "Tool calls; revision is preview for those of previews.",
    (*_TOOL, "outcome"),
)
TOOL_SECONDS: Final = Histogram(
    "penstock_tool_call_seconds", "Time of one tool call.", _TOOL, buckets=_SECONDS
)


@lru_cache(maxsize=4096)
def _series(metric: _Metric, *labels: str) -> _Metric:
    """One series of a metric: the client makes its key anew each time it is asked."""
    return metric.labels(*labels)


@dataclass(frozen=True)
class Meter:
    """Counts for one revision of one agent.

    ``place``: 0 is the model itself, 1 the first that stands in for it; two may have one name.
    """

    agent: AgentKey
    revision: str
    model: str
    place: int = 0

    @property
    def _revision(self) -> tuple[str, str, str]:
        return self.agent.namespace, self.agent.name, self.revision

    @property
    def _caller(self) -> tuple[str, str, str]:
        """Whose calls of models and tools are counted."""
        whose = OF_PREVIEWS if IN_PREVIEW.get() else self.revision
        return self.agent.namespace, self.agent.name, whose

    def begin(self, model_failures: Iterable[str]) -> None:
        """Begin at 0 what alerts count; failures are the kinds of failed model calls."""
        for status, reason in ENDS:
            _series(TASKS, *self._revision, status.value, reason.value)
        self.begin_model(model_failures)
        _series(WORKER_ERRORS, *self._revision)
        _series(STORE_ERRORS, *self._revision)
        self.running(0)
        self.unwritten(0)

    def begin_model(self, failures: Iterable[str]) -> None:
        """Begin at 0 what alerts count of the model alone."""
        for outcome in (ANSWERED, CANCELLED, *failures):
            _series(MODEL_CALLS, *self._revision, self.model, outcome)
        _series(BOUND_EXCEEDED, *self._revision, self.model)

    def task_ended(self, outcome: str, reason: str, seconds: float) -> None:
        """Count an ended task that is no preview."""
        if IN_PREVIEW.get():
            return
        _series(TASKS, *self._revision, outcome, reason).inc()
        _series(TASK_SECONDS, *self._revision).observe(seconds)

    def task_stopped(self, directive: str) -> None:
        """Count a task that was given back, lost, left or dropped, and is no preview."""
        if not IN_PREVIEW.get():
            _series(TASKS_STOPPED, *self._revision, directive).inc()

    def call_asked(self, *, planned: bool) -> None:
        """Count a call that waits for a person from now on."""
        _series(CALLS_ASKED, *self._caller, "yes" if planned else "no").inc()

    def call_decided(self, decision: str, by: str) -> None:
        """Count a decision; ``by`` is person or time."""
        _series(CALLS_DECIDED, *self._caller, decision, by).inc()

    def running(self, count: int) -> None:
        """Show how many tasks are being worked on."""
        _series(TASKS_RUNNING, *self._revision).set(count)

    def unwritten(self, count: int) -> None:
        """Show of how many tasks Redis takes no state and no end."""
        _series(TASKS_UNWRITTEN, *self._revision).set(count)

    def worker_error(self) -> None:
        """Count an error nobody foresaw."""
        _series(WORKER_ERRORS, *self._revision).inc()

    def store_error(self) -> None:
        """Count a call of the store that got no answer."""
        _series(STORE_ERRORS, *self._revision).inc()

    def model_called(self, outcome: str, seconds: float) -> None:
        """Count one request to the model; ``outcome``: answered, cancelled or a kind of failure."""
        _series(MODEL_CALLS, *self._caller, self.model, outcome).inc()
        _series(MODEL_SECONDS, *self._caller, self.model).observe(seconds)

    def model_charged(self, tokens: Tokens, cost_micro_usd: int) -> None:
        """Count what a model call cost."""
        _series(MODEL_TOKENS, *self._caller, self.model, "input").inc(tokens.input)
        _series(MODEL_TOKENS, *self._caller, self.model, "output").inc(tokens.output)
        if tokens.cache_read:
            _series(MODEL_TOKENS, *self._caller, self.model, "cached").inc(tokens.cache_read)
        _series(MODEL_COST, *self._caller, self.model).inc(cost_micro_usd / 1_000_000)

    def bound_exceeded(self) -> None:
        """Count a model call that was billed more than it could be by its bound."""
        _series(BOUND_EXCEEDED, *self._revision, self.model).inc()

    def of_model(self, model: str, place: int) -> "Meter":
        """The same for another model of the revision."""
        return replace(self, model=model, place=place)

    def breaker(self, is_open: Callable[[], bool]) -> None:
        """Show whether the model is left alone, looked at when it is asked for."""
        self.breaker_opened(0)
        shown = _series(MODEL_BREAKER, *self._revision, self.model, str(self.place))
        shown.set_function(lambda: float(is_open()))

    def breaker_opened(self, times: int = 1) -> None:
        """Count that the model is left alone from now on."""
        _series(MODEL_BREAKERS_OPENED, *self._revision, self.model).inc(times)

    def paced(self, seconds: float) -> None:
        """Count time that a call waited until the vendor allows more."""
        MODEL_PACED.labels(*self._revision, self.model).inc(seconds)

    def stood_in(self, times: int = 1) -> None:
        """Count a call that the model answered for another one."""
        _series(MODEL_FALLBACKS, *self._revision, self.model).inc(times)

    def answered_from_cache(self, times: int = 1) -> None:
        """Count an answer for which nobody was asked."""
        _series(MODEL_CACHED, *self._revision, self.model).inc(times)

    def tool_called(self, tool: str, outcome: str, seconds: float) -> None:
        """Count one call of a declared tool."""
        _series(TOOL_CALLS, *self._caller, tool, outcome).inc()
        _series(TOOL_SECONDS, *self._caller, tool).observe(seconds)
