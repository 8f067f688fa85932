"""Free loopback ports and addresses, held until the environment ends.

A reservation is a bound socket that never listens. Servers set SO_REUSEADDR, so they can listen
on top of it, while another environment that looks for a free port (without SO_REUSEADDR) passes.
"""

from __future__ import annotations

import ipaddress
import itertools
import random
import socket
from dataclasses import dataclass
from pathlib import Path

from penstock_dev.state import read_json, write_json

# Below the ephemeral range, so that no outgoing connection takes a port between two starts.
_FIRST_PORT, _LAST_PORT = 20000, 32000
CLAIM_PORT = 10250
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
    canary = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if shared:
        canary.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        canary.bind(("127.0.0.1", port))
    except OSError:
        canary.close()
        return None
    return canary


class AddressRange:
    """A /24 of 127.0.0.0/8 that no other environment here uses.

    Its first address, bound at a fixed port for as long as the process lives, claims the rest.
    """

    def __init__(self, network: ipaddress.IPv4Network, claim: socket.socket) -> None:
        self._claim = claim
        self.claimed, *self._free = [str(address) for address in network.hosts()]

    def take(self, preferred: str | None = None) -> str:
        """An address nobody has, the preferred one if possible.

        The longest unused goes first. Raises OSError when all are taken.
        """
        if not self._free:
            raise OSError("all loopback addresses of this node's pods are taken")
        chosen = preferred if preferred in self._free else self._free[0]
        self._free.remove(chosen)
        return chosen

    def give_back(self, address: str) -> None:
        """It may be taken again."""
        self._free.append(address)

    def listen(self) -> socket.socket:
        """The claim itself, listening: a node can be asked at its first address."""
        self._claim.listen()
        return self._claim

    def close(self) -> None:
        """Let another environment have the range."""
        self._claim.close()


def reserve_addresses(record: Path) -> AddressRange:
    """The range noted in the file `record` if it is free, else a random one, noted there.

    Raises OSError when none can be had.
    """
    earlier = read_json(record)
    randoms = (
        f"127.{random.randint(16, 250)}.{random.randint(0, 255)}.0/24" for _ in range(_ATTEMPTS)
    )
    for text in itertools.chain([earlier] if earlier else [], randoms):
        network = ipaddress.IPv4Network(text)
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind((str(network[1]), CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        write_json(record, text)
        return AddressRange(network, claim)
    raise OSError("no free range of loopback addresses for pods")
