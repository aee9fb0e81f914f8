"""BarSeries: one stream, as far as its reader may see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from stratd.data.copy_on_write import copy_on_write
from stratd.data.session_data import FLOAT_FIELDS, Frame
from stratd.errors import DataError, HistoryExceeded
from stratd.model import Bar, BarFlags, Interval

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Counts = NDArray[np.int32]


class BarSeries:
    """The bars of one (symbol, interval), up to the reader's cursor.

    Columns are zero-copy views of read-only shared memory, oldest first: `series.close[-20:]`. At most the last
    `history_bars` rows are visible, always the same number at the same event, however much memory happens to hold.
    A column that has been read keeps its length; reading the property again after the next event gives the longer one.

    What the guarantee does not cover: an array's `.base`, ctypes and the gc module lead to the whole mapping, which
    holds rows that this reader has not reached yet. They can be read there, not written.

    Thread safety: belongs to one reader's thread. The thread moves the cursor (`_hi`) and takes a new frame between
    windows; rows below the cursor were published before the window was handed over.
    """

    __slots__ = (
        "_base",
        "_close",
        "_close_time",
        "_flags",
        "_frame",
        "_hi",
        "_high",
        "_history",
        "_lost",
        "_low",
        "_n",
        "_open",
        "_open_time",
        "_quiet",
        "_volume",
        "interval",
        "interval_index",
        "symbol",
        "symbol_index",
    )

    def __init__(self, symbol: str, interval: Interval, symbol_index: int, interval_index: int, history: int) -> None:
        self.symbol = symbol
        self.interval = interval
        self.symbol_index = symbol_index
        self.interval_index = interval_index
        self._history = history
        self._base = 0
        self._hi = 0  # cursor, relative to the frame: the rows below it are visible
        self._frame: Frame | None = None
        floats, times, counts = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int32)
        self._open = self._high = self._low = self._close = self._volume = floats
        self._open_time = self._close_time = times
        self._n = self._lost = self._quiet = self._flags = counts

    def take_frame(self, frame: Frame) -> None:
        """Read from `frame` from now on. The cursor stays at the same absolute row."""
        self._frame = frame
        k, s = self.interval_index, self.symbol_index
        base = int(frame.base[k, s])
        self._hi += self._base - base
        self._base = base
        floats, times, counts = frame.ro_floats[k], frame.ro_times[k], frame.ro_counts[k]
        self._open, self._high, self._low, self._close, self._volume = (floats[f, s] for f in range(5))
        self._open_time, self._close_time = times[0, s], times[1, s]
        self._n, self._lost, self._quiet, self._flags = (counts[f, s] for f in range(4))

    @property
    def count(self) -> int:
        """Rows up to the cursor since the session began, evicted ones included: the absolute index of the next row."""
        return self._base + self._hi

    @property
    def first_held(self) -> int:
        """Absolute index of the oldest visible row."""
        return max(0, self._base + self._hi - self._history)

    def __len__(self) -> int:
        return min(self._base + self._hi, self._history)

    def __iter__(self) -> Iterator[Bar]:
        """The visible bars, oldest first."""
        return (self[index] for index in range(self.first_held, self.count))

    def __reversed__(self) -> Iterator[Bar]:
        """The visible bars, newest first."""
        return (self[index] for index in range(self.count - 1, self.first_held - 1, -1))

    def _cut(self) -> slice:
        hi = self._hi
        lo = hi - self._history
        return slice(lo if lo > 0 else 0, hi)

    @property
    def open(self) -> Floats:
        """Opening prices, float64[len]."""
        return self._open[self._cut()]

    @property
    def high(self) -> Floats:
        """Highest prices, float64[len]."""
        return self._high[self._cut()]

    @property
    def low(self) -> Floats:
        """Lowest prices, float64[len]."""
        return self._low[self._cut()]

    @property
    def close(self) -> Floats:
        """Closing prices, float64[len]."""
        return self._close[self._cut()]

    @property
    def volume(self) -> Floats:
        """Volumes in base units, float64[len]."""
        return self._volume[self._cut()]

    @property
    def open_time(self) -> Times:
        """Open times, int64[len], ns UTC."""
        return self._open_time[self._cut()]

    @property
    def close_time(self) -> Times:
        """Close times (exclusive), int64[len], ns UTC."""
        return self._close_time[self._cut()]

    @property
    def n(self) -> Counts:
        """Minutes that each bar was built from, int32[len]."""
        return self._n[self._cut()]

    @property
    def lost(self) -> Counts:
        """Minutes of each bar that were lost, int32[len]."""
        return self._lost[self._cut()]

    @property
    def quiet(self) -> Counts:
        """Minutes of each bar without trades, int32[len]."""
        return self._quiet[self._cut()]

    @property
    def flags(self) -> Counts:
        """`BarFlags` of each bar, int32[len]."""
        return self._flags[self._cut()]

    def copy_on_write(self, field: str, rows: int | None = None) -> Floats:
        """The newest values of a field, to be altered: for what-if, or to clean them. Nobody else sees what is altered.

        Only the pages that are written are copied (4 KiB, 512 values); the rest is the shared memory.

        Args:
            field: `open`, `high`, `low`, `close` or `volume`.
            rows: how many; all visible ones unless given.

        Returns:
            float64[rows], oldest first. It does not follow the cursor.

        Raises:
            HistoryExceeded, IndexError: as for `last`.
            DataError: there is no such field.
        """
        if field not in FLOAT_FIELDS:
            raise DataError(f"there is no field {field!r} that can be altered; write one of {', '.join(FLOAT_FIELDS)}")
        column: Floats = getattr(self, field)
        window = column if rows is None else column[self.last(rows)]
        frame = self._frame
        return window.copy() if frame is None else copy_on_write(window, frame.memory, frame.ro_floats.flat.ctypes.data)

    def __getitem__(self, index: int) -> Bar:
        """The bar at an absolute index (0 = the session's first), or counted from the newest (-1).

        Raises:
            IndexError: there is no such row yet.
            HistoryExceeded: the row lies further back than `history_bars`.
        """
        count = self._base + self._hi
        absolute = index if index >= 0 else count + index
        if not 0 <= absolute < count:
            raise IndexError(f"{self.symbol} {self.interval} has {count} bars so far; there is no row {index}")
        first = self.first_held
        if absolute < first:
            raise HistoryExceeded(f"{self.symbol} {self.interval}", absolute, first, self._history)
        at = absolute - self._base
        return Bar(
            int(self._open_time[at]),
            int(self._close_time[at]),
            float(self._open[at]),
            float(self._high[at]),
            float(self._low[at]),
            float(self._close[at]),
            float(self._volume[at]),
            int(self._n[at]),
            int(self._lost[at]),
            int(self._quiet[at]),
            BarFlags(int(self._flags[at])),
        )

    def last(self, rows: int) -> slice:
        """The slice of the newest `rows` rows, for any column: `series.close[series.last(200)]`.

        Unlike `close[-200:]`, which quietly gives fewer rows where there are fewer, this says so.

        Raises:
            HistoryExceeded: `rows` is more than `history_bars` although the session is long enough.
            IndexError: there are fewer bars so far.
        """
        count = self._base + self._hi
        if rows > count:
            raise IndexError(f"{self.symbol} {self.interval} has {count} bars so far, {rows} were asked for")
        if rows > self._history:
            raise HistoryExceeded(f"{self.symbol} {self.interval}", count - rows, self.first_held, self._history)
        visible = len(self)
        return slice(visible - rows, visible)

    def __repr__(self) -> str:
        return f"BarSeries({self.symbol} {self.interval}, {self.count} bars)"
