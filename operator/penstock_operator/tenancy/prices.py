"""The installation's own prices: a mounted file, live, which each Agent's workers get as it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from penstock.money.prices import EMPTY, Table, read_table

MOST_BYTES: Final = 512 * 1024  # a ConfigMap of it is made for each Agent

log = structlog.get_logger("penstock.operator")


@dataclass(frozen=True)
class Prices:
    """A price table, and the text that it was read from."""

    table: Table = EMPTY
    text: str = ""


class PriceFile:
    """Reads the table anew when the file is another one; what cannot be used changes nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._prices = Prices()

    def read(self) -> Prices:
        """The prices of now."""
        if self._path is None:
            return self._prices
        try:
            found = self._path.stat()
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            if state != self._seen:
                self._seen = state
                self._prices = _prices(self._path, found.st_size)
        except (OSError, ValueError) as error:
            log.warning("prices of the chart not used; those before hold", error=str(error))
        return self._prices


def _prices(path: Path, size: int) -> Prices:
    if size > MOST_BYTES:
        raise ValueError(f"they have more than {MOST_BYTES} bytes")
    text = path.read_text(encoding="utf-8")
    return Prices(read_table(text), text)
