"""A HistoryFeed over arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stratd.data.block import BarBlock

MINUTE_NS = 60_000_000_000


class ArrayFeed:
    """Rows in the order given (time, then symbol), cut into blocks of whole minutes.

    Args:
        open_time: int64[rows], ns UTC.
        symbol: int[rows], index into the session's symbols.
        prices: float64[5, rows]: open, high, low, close, volume.
    """

    def __init__(self, open_time: NDArray[np.int64], symbol: NDArray[np.int64], prices: NDArray[np.float64]) -> None:
        self._time = np.ascontiguousarray(open_time, np.int64)
        self._symbol = np.ascontiguousarray(symbol, np.int32)
        self._prices = np.ascontiguousarray(prices, np.float64)
        # Where a minute ends: a later time than all before comes next.
        reached = np.maximum.accumulate(self._time) if len(self._time) else self._time
        self._ends = (
            np.append(np.flatnonzero(np.diff(reached)) + 1, len(self._time)) if len(self._time) else np.zeros(0, np.int64)
        )
        self._minute = 0
        self._row = 0

    sources: Sequence[str] = ("arrays",)

    def open(self, symbols: Sequence[str]) -> None:
        self._minute = self._row = 0

    def next_block(self, max_minutes: int, max_rows: int) -> BarBlock | None:
        if self._minute >= len(self._ends):
            return None
        last = min(self._minute + max_minutes, len(self._ends)) - 1
        while last > self._minute and self._ends[last] - self._row > max_rows:
            last -= 1
        start, stop = self._row, int(self._ends[last])
        self._minute, self._row = last + 1, stop
        cut = slice(start, stop)
        rows = stop - start
        return BarBlock(
            self._time[cut],
            self._symbol[cut],
            *(self._prices[f, cut] for f in range(5)),
            source=np.zeros(rows, np.int32),
            line=np.arange(start + 1, stop + 1),
        )

    def progress(self) -> float | None:
        return self._row / max(1, len(self._time))

    def close(self) -> None:
        pass
