"""Prepares .venv from requirements.lock with nothing but a Python: the first thing `make` does on a new machine.

Runs on the machine's own Python (3.11 or newer) and the standard library. A stamp in .venv says what was installed, so that
a second run takes no time. Every package, uv included, comes from the lock and is checked against its hash.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup.stamp"
LOCK = ROOT / "requirements.lock"
SOURCES = (LOCK, ROOT / "pyproject.toml", pathlib.Path(__file__).resolve())

STARTED = time.monotonic()

Command = Sequence[str | pathlib.Path]


class SetupFailed(Exception):
    """A step failed; the message says what a person can do about it."""


def say(text: str) -> None:
    """Prints one line of progress with the seconds since the start."""
    print(f"setup {time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


def digest() -> str:
    """What .venv must have been made from: the lock, the project file, this script, and the folder it stands in."""
    content = hashlib.sha256(str(ROOT).encode())
    for source in SOURCES:
        content.update(source.read_bytes())
    return content.hexdigest()


def is_ready() -> bool:
    """True when .venv was made from the present lock, in this folder, and its Python still exists."""
    return STAMP.exists() and PYTHON.exists() and STAMP.read_text(encoding="utf-8") == digest()


def run(command: Command, environment: Mapping[str, str] | None = None) -> None:
    """Runs a command quietly; raises SetupFailed with its output when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SetupFailed(f"{' '.join(map(str, command))}\n{done.stdout.strip()}")


def works(command: Command) -> bool:
    """True when the command can be run and succeeds."""
    try:
        run(command)
    except (OSError, SetupFailed):
        return False
    return True


def make_venv(uv: str | None) -> None:
    """Makes .venv: with uv when there is one, else with the standard library.

    Debian ships Python without ensurepip; then .venv is made without pip, and the system's pip installs into it.
    """
    if PYTHON.exists() and works([PYTHON, "-c", "import encodings"]):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    say(f"making .venv with Python {sys.version.split()[0]}")
    if uv and works([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, VENV]):
        return
    if works([sys.executable, "-m", "venv", VENV]):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", "--without-pip", VENV])


def pip() -> Command:
    """The command of a pip that installs into .venv: its own, or the system's."""
    if works([PYTHON, "-m", "pip", "--version"]):
        return [PYTHON, "-m", "pip"]
    if works([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip", "--python", PYTHON]
    raise SetupFailed(
        f"{sys.executable} has neither ensurepip nor pip, and uv is not on the PATH.\n"
        "Install one of them (Debian, Ubuntu: apt-get install python3-venv), then run `make setup` again."
    )


def pinned(name: str) -> str:
    """The lines of the lock that pin one package: its version and hashes."""
    entry = re.search(
        rf"^{name}==.*?(?=^\S|\Z)", LOCK.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    if entry is None:
        raise SetupFailed(
            f"{LOCK.name} does not pin {name}; run `make lock` on a machine that is set up"
        )
    return entry.group()


def bootstrap_uv() -> str:
    """Installs the uv that the lock pins into .venv and returns its path."""
    say("installing uv")
    with tempfile.TemporaryDirectory() as folder:
        wanted = pathlib.Path(folder) / "uv.lock"
        wanted.write_text(pinned("uv"), encoding="utf-8")
        run(
            [*pip(), "install", "--quiet", "--no-deps", "--require-hashes", "--requirement", wanted]
        )
    return str(VENV / "bin" / "uv")


def uv_environment() -> dict[str, str]:
    """What lets uv use the package index and the certificates that this machine's pip is set up for."""
    settings = {"UV_SYSTEM_CERTS": "true", "VIRTUAL_ENV": str(VENV)}
    for ours, theirs in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_INDEX", "PIP_EXTRA_INDEX_URL"),
        ("SSL_CERT_FILE", "PIP_CERT"),
    ):
        if theirs in os.environ:
            settings[ours] = os.environ[theirs]
    return {name: os.environ.get(name, value) for name, value in settings.items()}


def install_packages(uv: str | None) -> None:
    """Installs the locked packages and, without build isolation, the project itself in editable form."""
    count = sum("==" in line for line in LOCK.read_text(encoding="utf-8").splitlines())
    locked: Command = ["--require-hashes", "--requirement", LOCK]
    project: Command = ["--no-deps", "--no-build-isolation", "--editable", ROOT]
    uv = uv or bootstrap_uv()
    say(f"installing {count} locked packages")
    try:
        run([uv, "pip", "install", "--quiet", *locked], uv_environment())
        run([uv, "pip", "install", "--quiet", *project], uv_environment())
    except SetupFailed as failed:
        say(f"uv could not; trying pip, which takes longer. It said: {failed}")
        run([*pip(), "install", "--quiet", *locked])
        run([*pip(), "install", "--quiet", *project])


def compile_packages() -> None:
    """Compiles the packages once: where PYTHONDONTWRITEBYTECODE is set, every start would do it anew.

    A file that is not Python of this version stays as it is.
    """
    say("compiling them")
    works([PYTHON, "-m", "compileall", "-q", "-j", "0", VENV / "lib"])


def wait_for_other_runs(guard: int) -> None:
    """Takes the lock on an open file, and says so when another run has it."""
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another setup in this folder")
        fcntl.flock(guard, fcntl.LOCK_EX)


def set_up() -> None:
    """Brings .venv in step with the lock; waits for another run that is doing so."""
    with LOCK.open("rb") as guard:
        wait_for_other_runs(guard.fileno())
        if is_ready():
            return
        STAMP.unlink(missing_ok=True)
        found = shutil.which("uv")
        uv = found if found and works([found, "--version"]) else None
        make_venv(uv)
        install_packages(uv)
        compile_packages()
        STAMP.write_text(digest(), encoding="utf-8")
        say("ready: .venv/bin/penstock")


def main() -> int:
    """Sets up unless it is done already; prints what went wrong, and how to go on, when a step fails."""
    if is_ready():
        return 0
    try:
        set_up()
    except SetupFailed as failed:
        print(f"setup failed: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
