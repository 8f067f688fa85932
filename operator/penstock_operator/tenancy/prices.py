"""The installation's own prices: a mounted file, live, which each Agent's workers get as it is."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import structlog

from penstock.money.prices import EMPTY, Table, read_table
from penstock_operator import metrics

MOST_BYTES: Final = 512 * 1024  # a ConfigMap of it is made for each Agent

#: The reason where nobody knows whether a model has a price.
UNREADABLE: Final = "PricesUnreadable"

log = structlog.get_logger("penstock.operator")


@dataclass(frozen=True)
class Prices:
    """A price table, and the text that it was read from.

    Both are None while there is a file and none of its states could be read: then nobody knows what
    the table is, and ``unread`` says why.
    """

    table: Table | None = field(default=EMPTY, compare=False)  # the text tells it, and is quicker
    text: str | None = ""
    unread: str = ""

    def table_for(self, standing: str | None) -> Table | None:
        """The table by which an Agent is judged: while none can be read, the one its workers have.

        Args:
            standing: the text that its workers have; None where they have none.
        """
        if self.table is not None or standing is None:
            return self.table
        try:
            return read_table(standing)
        except ValueError:
            return None


class PriceFile:
    """Reads the table anew when the file is another one; what cannot be used changes nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, ...] = ()
        self._prices = Prices() if path is None else Prices(None, None)
        self._told = ""

    def read(self) -> Prices:
        """The prices of now."""
        if self._path is not None:
            try:
                self._read(self._path)
            except OSError as error:
                self._seen = ()  # it is read again though it stays the same
                self._complain(str(error))
            except ValueError as error:
                self._complain(str(error))
        return self._prices

    def _read(self, path: Path) -> None:
        found = path.stat()
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if state == self._seen:
            return
        self._seen = state
        self._prices = _prices(path, found.st_size)
        self._told = ""
        metrics.PRICES_UNREADABLE.set(0)

    def _complain(self, words: str) -> None:
        if words == self._told:
            return
        self._told = words
        metrics.PRICES_UNREADABLE.set(1)
        log.error("prices of the chart cannot be read; those before hold", error=words)
        if self._prices.table is None:
            self._prices = replace(self._prices, unread=words)


def _prices(path: Path, size: int) -> Prices:
    if size > MOST_BYTES:
        raise ValueError(f"they have more than {MOST_BYTES} bytes")
    text = path.read_text(encoding="utf-8")
    return Prices(read_table(text), text)
