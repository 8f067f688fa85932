"""Child processes that cannot outlive the process that started them.

Each child leads a session of its own and asks the kernel for a signal at its parent's death
(`PR_SET_PDEATHSIG`). The kernel ties that signal to the parent *thread*, so children are started
from the main thread only. What a child started itself is found by its process group, and, when it
left the group, by the owner mark in its environment (`sweep`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from penstock_dev import signals

OWNER_VARIABLE = "PENSTOCK_DEV_OWNER"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_awaited: set[int] = set()  # children whose end somebody waits for
_unclaimed: set[int] = set()  # dead ones for whom nobody has asked yet


@dataclass(frozen=True)
class Identity:
    """A process id with its start time in clock ticks since boot: never confused by reuse."""

    pid: int
    started_ticks: int


class Process(Protocol):
    """A child, as far as ``Child`` asks: ``subprocess.Popen``, or one that was handed over."""

    pid: int
    returncode: int | None

    def wait(self) -> int:
        """The exit code, negative for a signal, once it has ended."""
        ...


@dataclass
class _HandedOver:
    """A child that another process has started for this one, see ``collects_orphans``."""

    pid: int
    returncode: int | None = None

    def wait(self) -> int:
        """See ``Process``."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


@dataclass
class Child:
    """A running (or ended) child process; `wait` ends at its death and clears up its group."""

    name: str
    process: Process
    identity: Identity
    started_seconds: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        """The process id, which also names its group."""
        return self.process.pid

    async def wait(self) -> int:
        """The exit code, negative for a signal. Members of its group are killed before reaping."""
        if self.process.returncode is None:
            await _readable_pidfd(self.pid)
            return self._reap()
        return self.process.returncode

    def _reap(self) -> int:
        # The unreaped leader still holds the group's id, so this cannot hit a stranger.
        if self.process.returncode is None:
            kill_group(self.pid)
            self.process.wait()
            _awaited.discard(self.pid)
        return self.process.wait()

    def end(self) -> None:
        """SIGKILL for its group, and collect it; returns when it is dead."""
        self._reap()

    async def stop(self, grace_seconds: float) -> int:
        """SIGTERM, up to `grace_seconds` of patience, then SIGKILL for the whole group."""
        if self.process.returncode is not None:
            return self.process.returncode
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        except TimeoutError:
            kill_group(self.pid)
            return await self.wait()


def spawn(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log_path: Path,
    directory: Path | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
    keep: Sequence[int] = (),
) -> Child:
    """Start `command` with its output appended to `log_path`; it keeps the descriptors in `keep`.

    Raises OSError when the program cannot be started.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("children are bound to the thread that starts them: use the main thread")
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep,
            preexec_fn=_bound_to_parent(os.getpid(), death_signal),  # noqa: PLW1509
        )
    return _known(name, process)


def handed_over(name: str, pid: int) -> Child:
    """A process that another one has started for this one, which collects it."""
    return _known(name, _HandedOver(pid))


def _known(name: str, process: Process) -> Child:
    _awaited.add(process.pid)
    return Child(name, process, identify(process.pid) or Identity(process.pid, 0))


def collects_orphans() -> None:
    """From now on processes below this one whose parent ends are its children. Who calls this calls ``bury_orphans`` now and then."""
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury_orphans() -> None:
    """Collect the dead that nobody waits for: what programs have started, and left behind.

    Those of which that was so the last time, too: of one that has just been handed over its holder may not have heard.
    """
    dead = {pid for pid in _children() if pid not in _awaited and identify(pid) is None}
    for pid in dead & _unclaimed:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    _unclaimed.clear()
    _unclaimed.update(dead)


def _children() -> list[int]:
    """None where the kernel was built without that list."""
    with contextlib.suppress(FileNotFoundError):
        found = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return [int(pid) for pid in found.split()]
    return []


def die_with_parent(number: signal.Signals) -> None:
    """Ask the kernel for this signal when the present parent ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def _bound_to_parent(parent_pid: int, death_signal: signal.Signals) -> Callable[[], None]:
    def prepare() -> None:
        signals.to_defaults()
        die_with_parent(death_signal)
        if os.getppid() != parent_pid:  # it died before the request was made
            os._exit(1)

    return prepare


async def _readable_pidfd(pid: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def identify(pid: int) -> Identity | None:
    """The identity of a living process, or None when there is none (a zombie counts as dead)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else Identity(pid, int(fields[19]))


def myself() -> Identity:
    """The identity of this process."""
    found = identify(os.getpid())
    if found is None:
        raise RuntimeError("no /proc: penstock dev runs on Linux")
    return found


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process, not a later one with its id, still runs."""
    return identify(identity.pid) == identity


def kill_group(pid: int) -> None:
    """SIGKILL for every member of the process group led by `pid`; no error when it is empty."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def kill_identity(identity: Identity) -> bool:
    """Kill a recorded process with its group if it still is that process; say whether it was."""
    if not is_alive(identity):
        return False
    kill_group(identity.pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(identity.pid, signal.SIGKILL)
    return True


def owned_by(owner: str) -> Iterator[Identity]:
    """Living processes whose environment carries this owner mark, without the caller."""
    mark = f"{OWNER_VARIABLE}={owner}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in variables and (found := identify(int(entry.name))):
            yield found


def sweep(owner: str, spare: Iterable[int] = ()) -> list[Identity]:
    """Kill what is left of an owner's processes; return what was found."""
    spared = set(spare)
    found = [identity for identity in owned_by(owner) if identity.pid not in spared]
    for identity in found:
        kill_identity(identity)
    return found


def last_lines(path: Path, *, lines: int = 20, max_bytes: int = 4096, start: int = 0) -> str:
    """The end of a log from byte `start` on: at most `lines` lines and `max_bytes` bytes.

    Empty when there is none.
    """
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(start, log.tell() - max_bytes))
            tail = log.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(tail.strip().splitlines()[-lines:])
