"""Free loopback ports, held until the environment ends.

A reservation is a bound socket that never listens. Servers set SO_REUSEADDR, so they can listen
on top of it, while another environment that looks for a free port (without SO_REUSEADDR) passes.
"""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass

# Below the ephemeral range, so that no outgoing connection takes a port between two starts.
_FIRST_PORT, _LAST_PORT = 20000, 32000
_ATTEMPTS = 200


@dataclass(frozen=True)
class Reservation:
    """A port held by a bound socket; released with `close` or at the end of the process."""

    port: int
    socket: socket.socket

    def close(self) -> None:
        """Let the port go."""
        self.socket.close()


def reserve(preferred: int | None = None) -> Reservation:
    """Hold a free port, the preferred one if nobody listens there.

    Raises OSError when no port can be had.
    """
    if preferred is not None and (held := _bind(preferred, shared=True)):
        return Reservation(preferred, held)
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST_PORT, _LAST_PORT)
        if probe := _bind(port, shared=False):
            probe.close()
            if held := _bind(port, shared=True):
                return Reservation(port, held)
    raise OSError(f"no free port between {_FIRST_PORT} and {_LAST_PORT} on 127.0.0.1")


def _bind(port: int, *, shared: bool) -> socket.socket | None:
    candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if shared:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        candidate.bind(("127.0.0.1", port))
    except OSError:
        candidate.close()
        return None
    return candidate
