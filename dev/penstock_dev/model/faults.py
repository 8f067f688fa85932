"""Error answers: status, body and headers as the API sends them."""

from dataclasses import dataclass, field
from typing import Any

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

MESSAGES = {
    400: "The scripted model rejects this request.",
    401: "invalid x-api-key",
    402: "The scripted account has no credit left.",
    403: "The scripted key may not use this resource.",
    404: "The scripted resource does not exist.",
    408: "The scripted request took too long.",
    409: "The scripted resource is being changed by another request.",
    413: "Request exceeds the maximum allowed number of bytes.",
    429: "The scripted rate limit is exceeded.",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "The scripted request timed out upstream.",
    529: "Overloaded",
}


@dataclass(frozen=True)
class Fault:
    """An error answer; `headers` come on top of those every answer has."""

    status: int
    message: str
    type: str = ""
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = field(default=())


class Rejected(Exception):
    """A request the API would not take."""

    def __init__(
        self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.fault = Fault(status, message, headers=headers)


def body(fault: Fault, request_id: str) -> dict[str, Any]:
    """The JSON document of an error answer, and of an SSE `error` event."""
    error: dict[str, Any] = {"type": fault.type or TYPES[fault.status], "message": fault.message}
    if fault.code:
        error["details"] = {"error_code": fault.code}
    return {"type": "error", "error": error, "request_id": request_id}


HTML_BAD_GATEWAY = (
    b"<html><head><title>502 Bad Gateway</title></head>"
    b"<body><center><h1>502 Bad Gateway</h1></center></body></html>\r\n"
)
