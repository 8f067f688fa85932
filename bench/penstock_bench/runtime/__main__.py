"""`make bench-runtime`: measures the way of a task beside its peers and prints one table.

Exits with 1 when a goal is missed, with 2 when something could not be measured.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from pathlib import Path

from penstock_bench import programs, report
from penstock_bench.report import Measured
from penstock_bench.runtime import ends, guards, light, loops, queues, size


async def measure(folder: Path, options: Namespace) -> Measured:
    """Everything in turn, so that no two measurements share the machine."""
    how = size.FULL if options.full else size.QUICK
    kit = await programs.kit()
    report.say("end to end")
    rows = await ends.measure(folder / "ends", kit, how)
    report.say("guards")
    rows += await guards.measure(folder / "guards", kit, how)
    report.say("queue")
    queue_rows, saq = await queues.measure(folder / "queues", how)
    report.say("light load")
    rows += queue_rows + await light.measure(folder / "light", how)
    report.say("agent loop")
    loop_rows, sdk = await loops.measure(folder / "loops", kit, how)
    return Measured(rows + loop_rows, (saq, sdk))


if __name__ == "__main__":
    sys.exit(asyncio.run(report.run("bench-runtime", measure, report.options().parse_args())))
