"""HTTP/1.1 as bytes: a request as it is written, and its answer as it is read, within bounds."""

import re
from collections import deque
from collections.abc import Iterable
from typing import Final

import httptools

MAX_HEAD_BYTES: Final = 64 * 1024  # status line and headers of an answer, or its trailers
MAX_INTERIM_ANSWERS: Final = 8  # 1xx
_VERSIONS: Final = ("1.0", "1.1")
_WITHOUT_BODY: Final = (204, 304)
_TOKEN: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, 5.6.2
_VALUE: Final = re.compile(
    rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
)
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")

Header = tuple[bytes, bytes]


class Illegal(Exception):
    """A request that cannot be written as HTTP."""


class _NotHTTP(Exception):
    """What came is no answer, or none within the bounds."""


class Broken(Exception):
    """The connection ended before the answer."""


def request(method: str, target: bytes, headers: Iterable[Header], body: bytes) -> bytes:
    """A request with a body of known length.

    Raises:
        Illegal: a part of it would be read as something else.
    """
    headers = [*headers]
    legal = all(_TOKEN.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers)
    said = {value for name, value in headers if name.lower() == b"content-length"}
    framed = not any(name.lower() == b"transfer-encoding" for name, _ in headers)
    if said not in ({b"%d" % len(body)}, set() if not body else None) or not framed:
        raise Illegal
    if not legal or not _TOKEN.fullmatch(method.encode()) or not _TARGET.fullmatch(target):
        raise Illegal
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target)]
    lines += [b"%s: %s" % header for header in headers]
    return b"\r\n".join([*lines, b"", body])


class Answer:
    """The answer to one request, as far as its bytes have come.

    ``status`` is 0 until its head is there; ``body`` holds what has come and was not taken yet;
    ``over``: it has come to its own end mark; ``clean``: its connection may carry another one;
    ``wrong``: what came after all that is no part of an answer, or none within the bounds.

    Args:
        method: of the request: the answer to HEAD has no body, whatever it says of its length.
    """

    def __init__(self, method: str) -> None:
        self.status = 0
        self.reason = b""
        self.headers: list[Header] = []
        self.body: deque[bytes] = deque()
        self.over = False
        self.clean = False
        self.wrong = False
        self._bodiless = method == "HEAD"
        self._ends_with_connection = False
        self._interim = 0
        self._advanced = False
        self._unread = 0  # bytes since its head or a part of its body was there
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read on."""
        for start in range(0, len(data), MAX_HEAD_BYTES):
            if not self.wrong:
                self._feed(data[start : start + MAX_HEAD_BYTES])

    def end(self) -> None:
        """The connection has ended.

        Raises:
            Broken: before the answer.
        """
        if not (self.over or self._ends_with_connection):
            raise Broken
        self.over = True

    def _feed(self, piece: bytes) -> None:
        self._advanced = False
        try:
            self._parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.clean, self.wrong = False, True
        self._unread = 0 if self._advanced else self._unread + len(piece)
        self.wrong = self.wrong or self._unread >= MAX_HEAD_BYTES

    # -- what the parser finds; an error that is raised here comes out as one of its own ----------

    def on_message_begin(self) -> None:
        """A status line begins: nothing may follow the end."""
        self.clean = self.clean and not self.over

    def on_status(self, reason: bytes) -> None:
        """A part of the reason phrase."""
        if not self.over:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is left out."""
        if not self.status:
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """The head of an answer, which may be an interim one."""
        if self.over:
            return
        status = self._parser.get_status_code()
        if self._parser.get_http_version() not in _VERSIONS:
            raise _NotHTTP
        if status < 200:
            return
        self.status = status
        self._advanced = True
        lengths = {name.lower() for name, _ in self.headers} & {
            b"content-length",
            b"transfer-encoding",
        }
        codings = [
            value.lower() for name, value in self.headers if name.lower() == b"transfer-encoding"
        ]
        if codings not in ([], [b"chunked"]):
            raise _NotHTTP
        self.over = self._bodiless
        self._ends_with_connection = not lengths and status not in _WITHOUT_BODY

    def on_body(self, part: bytes) -> None:
        """A part of the body."""
        if not self.over:
            self.body.append(part)
            self._advanced = True

    def on_message_complete(self) -> None:
        """The end mark of an answer."""
        if self.status:
            self.clean = not self.over and self._parser.should_keep_alive()
            self.over = self._advanced = True
            return
        self._interim += 1
        self.reason, self.headers = b"", []
        if self._interim >= MAX_INTERIM_ANSWERS:
            raise _NotHTTP
