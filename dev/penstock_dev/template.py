"""A process that has loaded a program once, and becomes it again and again: `python -m penstock_dev.template MODULE LOADED FD`.

A worker imports thousands of modules before its first line, some three seconds of a core each time. A fork of a process that has
them begins where they end. Each request is one message on a socket, with the file for its output beside it; the answer is
the fork's process id, which it gives itself once a signal to its group can reach it. It leads a session of its own, has the
system's signals, and none of this process's environment.

The fork is a child of whoever asks, and not of this process: its parent ends at once, and the kernel gives orphans to the
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

#: The longest request: an environment and a command line. Larger ones do not fit into what a socket holds by default.
MOST_BYTES = 1 << 16


def main(module: str, loaded: str, descriptor: int) -> None:
    """Serve until the other end of the socket is closed; in a fork, be the program.

    A request that comes after a source of what is imported has changed is left without an answer.

    Args:
        module: what a fork runs, as ``python -m`` would.
        loaded: what is imported before, with all that the program needs.
    """
    requests = socket.socket(fileno=descriptor)
    asker, began = os.getppid(), time.time_ns()
    importlib.import_module(loaded)
    sources = _sources()
    gc.collect()
    gc.freeze()  # what is shared stays shared: a collection would write to each page
    while True:
        message, files, _, _ = socket.recv_fds(requests, MOST_BYTES, 1)
        if not message or _are_stale(sources, began):
            return
        wanted = json.loads(message)
        told, tell = os.pipe()
        if _fork():
            requests.close()
            os.close(told)
            _become(wanted, files[0], asker)
            os.write(tell, str(os.getpid()).encode())
            os.close(tell)
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            return
        os.close(files[0])
        os.close(tell)
        with os.fdopen(told, "rb") as answer:
            requests.sendall(answer.read() or b"0")


def _sources() -> dict[str, int]:
    files = (getattr(module, "__file__", None) for module in sys.modules.values())
    return {path: _changed(path) for path in files if path}


def _are_stale(sources: dict[str, int], began: int) -> bool:
    """Whether one has changed since, or while it was imported: nobody knows which of both was read then."""
    return any(at > began or _changed(path) != at for path, at in sources.items())


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _fork() -> bool:
    """Whether this is the fork, whose parent is gone by then."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return False
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == parent:
        time.sleep(0.001)
    return True


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
    sys.path[0] = wanted["directory"]
    sys.argv[1:] = wanted["arguments"]


if __name__ == "__main__":
    signals.as_in_the_foreground()
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
