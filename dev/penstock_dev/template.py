"""A process that has loaded a program once, and becomes it again and again: `python -m penstock_dev.template MODULE LOADED FD`.

A worker imports thousands of modules before its first line, some three seconds of a core each time. A copy of a process that has
them begins where they end. Each request is one message on a socket, with the file for its output beside it; the answer is
the copy's process id. The copy leads a session of its own, has the system's signals, and none of this process's environment.

The copy is a child of whoever asks, and not of this process: its parent ends at once, and the kernel gives orphans to the
nearest ancestor that collects them (``PR_SET_CHILD_SUBREAPER``), which the asking process is.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from penstock_dev import processes, signals

#: The longest request: an environment and a command line.
MOST_BYTES = 1 << 20


def main(module: str, loaded: str, descriptor: int) -> None:
    """Serve until the other end of the socket is closed; in a copy, be the program.

    A request that comes after a source of what is imported has changed is left without an answer.

    Args:
        module: what a copy runs, as ``python -m`` would.
        loaded: what is imported before, with all that the program needs.
    """
    requests = socket.socket(fileno=descriptor)
    asker = os.getppid()
    importlib.import_module(loaded)
    sources = _sources()
    gc.collect()
    gc.freeze()  # what is shared stays shared: a collection would write to each page
    while True:
        message, files, _, _ = socket.recv_fds(requests, MOST_BYTES, 1)
        if not message or any(_changed(path) != at for path, at in sources.items()):
            return
        wanted = json.loads(message)
        pid = _copy()
        if pid is None:
            requests.close()
            _become(wanted, files[0], asker)
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            return
        os.close(files[0])
        requests.sendall(str(pid).encode())


def _sources() -> dict[str, int]:
    files = (getattr(module, "__file__", None) for module in sys.modules.values())
    return {path: _changed(path) for path in files if path}


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _copy() -> int | None:
    """The id of a copy; None in the copy itself, once its parent is gone."""
    told, tell = os.pipe()
    between = os.fork()
    if between:
        os.close(tell)
        os.waitpid(between, 0)
        with os.fdopen(told, "rb") as answer:
            return int(answer.read())
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.write(tell, str(pid).encode())
        os._exit(0)
    os.close(told)
    os.close(tell)
    while os.getppid() == parent:
        time.sleep(0.001)
    return None


def _become(wanted: dict[str, Any], log: int, asker: int) -> None:
    """Take over what a program is started with; end where whoever asked is gone."""
    os.setsid()
    signals.to_defaults()
    processes.die_with_parent(signal.SIGKILL)
    if os.getppid() != asker:  # it died before the request was made
        os._exit(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["directory"])
    sys.argv[1:] = wanted["arguments"]


if __name__ == "__main__":
    signals.as_in_the_foreground()
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
