"""Outcome rows for tests, written like a log: one line per row."""

from penstock.outcomes import Row, RowKind
from penstock.task import Counting
from penstock.traffic import Arm

STABLE, CANARY = "5555aaaa", "cccc1111"
REVISION = {Arm.STABLE: STABLE, Arm.CANARY: CANARY}


class Log:
    """Rows with ids in rising order; times in ms."""

    def __init__(self):
        self.rows = []

    def _add(self, kind, task, at_ms, arm, **fields):
        last_ms, last_n = map(int, self.rows[-1].id.split("-")) if self.rows else (0, 0)
        assert at_ms >= last_ms, "a log is written in order"
        n = last_n + 1 if at_ms == last_ms else 0
        version = fields.pop("version", 2)
        begin = fields.pop("begin", version)
        revision = fields.pop("revision", REVISION[arm])
        bucket = fields.pop("bucket", 0)
        self.rows.append(
            Row(f"{at_ms}-{n}", kind, task, arm, revision, version, begin, bucket, **fields)
        )
        return self

    def routed(self, task, at_ms, arm=Arm.CANARY, **fields):
        return self._add(RowKind.ROUTED, task, at_ms, arm, **fields)

    def started(self, task, at_ms, arm=Arm.CANARY):
        return self._add(RowKind.STARTED, task, at_ms, arm)

    def finished(self, task, at_ms, arm=Arm.CANARY, counting=Counting.GOOD, latency_ms=1000, **f):
        return self._add(
            RowKind.FINISHED, task, at_ms, arm, counting=counting, latency_ms=latency_ms, **f
        )

    def rehomed(self, task, at_ms, arm=Arm.CANARY):
        return self._add(RowKind.REHOMED, task, at_ms, arm)
