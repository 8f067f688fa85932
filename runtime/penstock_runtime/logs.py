"""Logs of gateway and workers: one JSON object a line, with the trace id of the task it is about."""

import logging
import sys
from typing import Any

import structlog

from penstock_runtime import redaction

_SHARED: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure(level: str = "INFO", **process: str) -> None:
    """Send all logs of this process, those of libraries too, to stdout as JSON.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.
        process: what every line of this process says of it, e.g. ``agent="shop/support"``.
    """
    structlog.configure(
        processors=[
            *_SHARED,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
            redaction.in_log_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    _take_over_standard_logging(level)
    structlog.contextvars.bind_contextvars(**process)


def get(**values: Any) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry ``values``."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**values)
    return logger


def bind_task(task: str, trace_id: str) -> None:
    """Put task and trace id into every later line of the running asyncio task."""
    structlog.contextvars.bind_contextvars(task=task, trace_id=trace_id)


def _take_over_standard_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
                redaction.in_log_line,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpx2", "httpcore", "httpcore2", "anthropic", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
