"""RawRows: one batch of rows as a reader gives them, and SymbolCodes: symbols as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

FIELDS: Final = ("open", "high", "low", "close", "volume")


@dataclass(slots=True)
class RawRows:
    """Rows in the order of the file, nothing left out. All arrays have one length.

    Attributes:
        open_time: int64 ns UTC as the file states it; `MALFORMED_TIME` where it is no time.
        values: open, high, low, close, volume: float64, NaN where the cell is no number.
        symbol: int32 codes of the `symbol` column (see `SymbolCodes`); None where the file has none.
        share: how much of the file has been read with this batch, 0 to 1.
    """

    open_time: NDArray[np.int64]
    values: tuple[NDArray[np.float64], ...]
    symbol: NDArray[np.int32] | None
    share: float

    def __len__(self) -> int:
        return len(self.open_time)

    def head(self, count: int) -> RawRows:
        """The first `count` rows."""
        symbol = None if self.symbol is None else self.symbol[:count]
        return RawRows(self.open_time[:count], tuple(v[:count] for v in self.values), symbol, self.share)

    @staticmethod
    def joined(batches: Sequence[RawRows]) -> RawRows:
        """Several batches as one."""
        if len(batches) == 1:
            return batches[0]
        symbols = [batch.symbol for batch in batches if batch.symbol is not None]
        return RawRows(
            np.concatenate([batch.open_time for batch in batches]),
            tuple(np.concatenate([batch.values[i] for batch in batches]) for i in range(len(FIELDS))),
            np.concatenate(symbols) if symbols else None,
            batches[-1].share,
        )


class RowReader(Protocol):
    """Reads one file in batches."""

    has_symbols: bool
    """Whether the file has a `symbol` column."""

    def read(self) -> RawRows | None:
        """The next rows (at least one); None at the end.

        Raises:
            FeedError: the file cannot be read any further. All rows before that place have been given.
        """

    def close(self) -> None:
        """Let go of the file. May be called twice."""


class SymbolCodes:
    """Symbols as numbers: the place in the session's list, or `-1 - k` for the k-th symbol that is not in it.

    Attributes:
        unknown: the texts that are not in the list, in the order of their first appearance.
    """

    __slots__ = ("_codes", "known", "unknown")

    def __init__(self, symbols: Sequence[str]) -> None:
        self.known = len(symbols)
        self.unknown: list[str] = []
        self._codes = {symbol: index for index, symbol in enumerate(symbols)}

    def code(self, text: str) -> int:
        """The code of a symbol, exact but for white space around it."""
        text = text.strip()
        found = self._codes.get(text)
        if found is None:
            self.unknown.append(text)
            found = self._codes[text] = -len(self.unknown)
        return found

    def text(self, code: int) -> str:
        """The symbol with this code."""
        return self.unknown[-1 - code] if code < 0 else next(text for text, known in self._codes.items() if known == code)

    def ranks(self, codes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Where rows of one minute stand: the session's order, unknown symbols behind all others."""
        return np.where(codes < 0, np.int32(self.known), codes)
