"""An operator whose life may be short: `mortal.py COHORT_MS [WRITES SECONDS]`.

It compares by cohorts of that length, and dies by SIGKILL right before that write, or so long after
its first pass began, whichever comes first.
"""

import itertools
import os
import runpy
import signal
import sys
import threading

from penstock.analysis.comparison import cohorts
from penstock_operator.leadership.leadership import Leadership
from penstock_operator.reconcile.reconciler import Reconciler

_demand, _reconcile = Leadership.demand, Reconciler.reconcile
_writes, _begun = itertools.count(1), threading.Event()


def die() -> None:
    """No handler, no goodbye: what was not written is lost."""
    os.kill(os.getpid(), signal.SIGKILL)


def live_until(last_write: int, seconds: float) -> None:
    """Die at a write or at a moment.

    Every write to the API server and to Redis asks the leadership first, so each gap between two
    writes of a pass can be the last. Time runs from the first pass: a life that ends before it
    has changed nothing.
    """

    def demanded(leadership: Leadership) -> None:
        _demand(leadership)
        if next(_writes) == last_write:
            die()

    async def reconciled(reconciler, key):
        if not _begun.is_set():
            _begun.set()
            timer = threading.Timer(seconds, die)
            timer.daemon = True
            timer.start()
        return await _reconcile(reconciler, key)

    Leadership.demand = demanded
    Reconciler.reconcile = reconciled


cohort_ms, *life = sys.argv[1:]
cohorts.COHORT_MS = cohorts.MATURE_MS = int(cohort_ms)
if life:
    live_until(int(life[0]), float(life[1]))
sys.argv = sys.argv[:1]
runpy.run_module("penstock_operator", run_name="__main__")
