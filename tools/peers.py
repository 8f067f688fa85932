"""Makes the environment of what the benches measure Penstock beside: .bench/peers, from its own lock.

A stamp says what was installed, so that a second run takes no time. Nothing in it reaches .venv.
"""

from __future__ import annotations

import hashlib
import shutil
import sys

import setup

PEERS = setup.ROOT / ".bench" / "peers"
LOCK = setup.ROOT / "bench" / "penstock_bench" / "peers" / "requirements.lock"
STAMP = PEERS / "peers.stamp"


def digest() -> str:
    """What the environment must have been made from: the lock, with this Python, in this folder."""
    return hashlib.sha256(f"{PEERS} {sys.version}\n".encode() + LOCK.read_bytes()).hexdigest()


def is_ready() -> bool:
    """Whether nothing is left to do."""
    return STAMP.exists() and STAMP.read_text(encoding="utf-8") == digest()


def install() -> None:
    """Makes it anew with the uv that .venv has, and compiles what is in it."""
    shutil.rmtree(PEERS, ignore_errors=True)
    setup.say("installing what the benches compare with")
    uv = setup.VENV / "bin" / "uv"
    setup.run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, PEERS])
    where = {**setup.uv_environment(), "VIRTUAL_ENV": str(PEERS)}
    setup.run([uv, "pip", "install", "--quiet", "--require-hashes", "--requirement", LOCK], where)
    setup.works([PEERS / "bin" / "python", "-m", "compileall", "-q", "-j", "0", PEERS / "lib"])
    STAMP.write_text(digest(), encoding="utf-8")


def main() -> int:
    """Installs unless it is done already; prints what went wrong when a step fails."""
    try:
        if not is_ready():
            install()
    except setup.SetupFailed as failed:
        print(f"setup failed: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
