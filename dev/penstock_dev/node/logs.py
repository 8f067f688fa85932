"""Logs of containers as the API asks a kubelet for them: which bytes of which file, and since when."""

from __future__ import annotations

import asyncio
import bisect
import datetime
import urllib.parse
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from penstock_dev.node import status

POLL_SECONDS = 0.2
CHUNK_BYTES = 64 * 1024
MOST_MARKS = 20_000  # about one an hour of a log that never rests, at two a second for hours


class NoLog(Exception):
    """There is nothing to show; the message says why, as a kubelet would."""


@dataclass
class LogFile:
    """The log of a container over all its starts, and when it grew.

    Containers write to the file themselves, so that the time of a line is known to the
    `POLL_SECONDS` between two looks.
    """

    path: Path
    starts: list[int] = field(default_factory=list)
    marks: list[tuple[int, datetime.datetime]] = field(default_factory=list)
    ended: bool = True

    @property
    def size(self) -> int:
        """What has been written so far, in bytes."""
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self) -> int:
        """The container starts; the byte where its words begin."""
        self.starts = [*self.starts, self.size]
        self.ended = False
        return self.starts[-1]

    def look(self, now: datetime.datetime) -> None:
        """Note what has been written by now."""
        size = self.size
        if size > (self.marks[-1][0] if self.marks else 0):
            self.marks.append((size, now))
            del self.marks[:-MOST_MARKS]

    def written_at(self, offset: int) -> datetime.datetime | None:
        """When the byte at an offset was there first; None when it is not known yet."""
        place = bisect.bisect_right(self.marks, offset, key=lambda mark: mark[0])
        return self.marks[place][1] if place < len(self.marks) else None

    async def watch(self, now: Callable[[], datetime.datetime]) -> None:
        """Look for what is written until cancelled."""
        while True:
            self.look(now())
            await asyncio.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Wanted:
    """What of a log is asked for."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime.datetime | None = None


def wanted(query: str, now: datetime.datetime) -> Wanted:
    """The options of a request for a log. Raises NoLog for one that cannot be read."""
    given = dict(urllib.parse.parse_qsl(query))
    numbers = {name: _number(given, name) for name in ("tailLines", "limitBytes", "sinceSeconds")}
    seconds = numbers["sinceSeconds"]
    try:
        moment = (
            datetime.datetime.fromisoformat(given["sinceTime"]) if "sinceTime" in given else None
        )
    except ValueError as error:
        raise NoLog(f"sinceTime: {error}") from error
    return Wanted(
        follow=given.get("follow") == "true",
        previous=given.get("previous") == "true",
        timestamps=given.get("timestamps") == "true",
        tail_lines=numbers["tailLines"],
        limit_bytes=numbers["limitBytes"],
        since=moment if seconds is None else now - datetime.timedelta(seconds=seconds),
    )


def _number(given: dict[str, str], name: str) -> int | None:
    if name not in given:
        return None
    if not given[name].isdecimal():
        raise NoLog(f"{name}: {given[name]!r} is not a number of at least 0")
    return int(given[name])


async def read(log: LogFile, asked: Wanted) -> AsyncIterator[bytes]:
    """The bytes asked for, line by line where times are told; with `follow`, until the container ends.

    Raises NoLog, before the first of them, when there are none.
    """
    run = len(log.starts) - (2 if asked.previous else 1)
    if run < 0:
        raise NoLog("previous terminated container not found" if asked.previous else "not started")
    start = log.starts[run]
    log.look(datetime.datetime.now(datetime.UTC))
    lines = _Lines(log, start, asked)
    async for part in _limited(lines.parts(run), asked.limit_bytes):
        yield part


async def _limited(parts: AsyncIterator[bytes], most: int | None) -> AsyncIterator[bytes]:
    async for part in parts:
        yield part if most is None else part[:most]
        if most is not None:
            most -= min(most, len(part))
            if not most:
                return


@dataclass
class _Lines:
    log: LogFile
    offset: int
    asked: Wanted

    async def parts(self, run: int) -> AsyncIterator[bytes]:
        """Whole lines; what is unfinished comes when it is finished, or at the end."""
        self.offset = self._first(self._end(run))
        while True:
            over = self._over(run)
            end = self._end(run)
            while part := self._next(end, whole=not over and self.asked.follow):
                yield part
            if over or not self.asked.follow:
                return
            await asyncio.sleep(POLL_SECONDS)

    def _over(self, run: int) -> bool:
        return self.log.ended or run + 1 < len(self.log.starts)

    def _end(self, run: int) -> int:
        return self.log.starts[run + 1] if run + 1 < len(self.log.starts) else self.log.size

    def _first(self, end: int) -> int:
        """Where the lines that are asked for begin."""
        first = self.offset
        if (since := self.asked.since) is not None:
            first = max([first, *(size for size, at in self.log.marks if at < since)])
        if self.asked.tail_lines is not None:
            first = max(first, _tail(self.log.path, first, end, self.asked.tail_lines))
        return min(first, end)

    def _next(self, end: int, *, whole: bool) -> bytes:
        """The next lines, or a part of a line that is very long."""
        if self.offset >= end:
            return b""
        with self.log.path.open("rb") as file:
            file.seek(self.offset)
            part = file.read(min(CHUNK_BYTES, end - self.offset))
        cut = part.rfind(b"\n") + 1
        if cut or (whole and len(part) < CHUNK_BYTES):
            part = part[:cut]
        told = self._stamped(part) if self.asked.timestamps else part
        self.offset += len(part)
        return told

    def _stamped(self, part: bytes) -> bytes:
        told, offset = [], self.offset
        for line in part.splitlines(keepends=True):
            at = self.log.written_at(offset) or datetime.datetime.now(datetime.UTC)
            told.append(status.rfc3339(at).encode() + b" " + line)
            offset += len(line)
        return b"".join(told)


def _tail(path: Path, start: int, end: int, lines: int) -> int:
    """Where the last so many lines of a part of a file begin."""
    if not lines:
        return end
    position = end
    with path.open("rb") as file:
        while position > start:
            size = min(CHUNK_BYTES, position - start)
            file.seek(position - size)
            part = file.read(size)
            searched = len(part) - (position == end and part.endswith(b"\n"))
            while (found := part.rfind(b"\n", 0, searched)) >= 0:
                lines -= 1
                if not lines:
                    return position - size + found + 1
                searched = found
            position -= size
    return start
