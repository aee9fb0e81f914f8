"""IndicatorHandle: one strategy's view of an indicator, as far as its cursor."""

from __future__ import annotations

from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from stratd.data.series import BarSeries
from stratd.indicators.base import Indicator

_SPARE: Final = 32_768  # values computed between two moves of the column
_NAN: Final = float("nan")


class IndicatorHandle:
    """Values of an indicator on one stream, up to the strategy's cursor.

    `handle.value` is the newest value as a float, NaN until there are enough bars (`handle.ready`). `handle[-3:]`
    gives the last three as an array, `handle[-2]` the one before the newest. At most the last `history_bars` values are visible.

    The strategy's thread computes a whole window's values in one compiled call before it runs the window; what lies beyond
    the cursor is computed already but not shown.

    Thread safety: belongs to one strategy's thread.
    """

    __slots__ = ("_column", "_done", "_first", "_history", "_series", "_shift", "_state", "_values", "indicator")

    def __init__(self, indicator: Indicator, series: BarSeries, history: int, tick: float | None) -> None:
        self.indicator = indicator
        self._series = series
        self._history = history
        self._state = indicator.new_state(tick)
        self._column: NDArray[np.float64] = np.full(history + _SPARE, np.nan)
        self._first = 0  # absolute row of _column[0]
        self._done = 0  # absolute row up to which values are computed
        self._values: list[float] = [_NAN]
        self._shift = 0  # _values index of the value at cursor h is h + _shift

    def advance(self, columns: tuple[NDArray[np.float64], ...], base: int, seen: int, stop: int) -> None:
        """Compute the values of the rows up to `stop`.

        Args:
            columns: the stream's columns that the indicator reads.
            base: absolute index of the columns' first row.
            seen: the cursor; `stop`: one past the last row to compute. Both relative to the columns.
        """
        column, first, done = self._column, self._first, self._done - base
        if base + stop - first > len(column):
            # Values further back than can be seen go.
            keep = max(first, min(seen, done) + base - self._history)
            moved = np.full(self._history + max(_SPARE, base + stop - keep), np.nan)
            moved[: self._done - keep] = column[keep - first : self._done - first]
            self._column, self._first = column, first = moved, keep
        offset = base - first
        if stop > done:
            self.indicator.advance(columns, done, stop, self._state, column[done + offset : stop + offset])
            self._done = base + stop
        start = seen - 1 + offset
        # The list begins with the value at the cursor, so that index 0 is never one that is not to be seen yet.
        self._values = column[start : stop + offset].tolist() if start >= 0 else [_NAN, *column[: stop + offset].tolist()]
        self._shift = -seen

    @property
    def value(self) -> float:
        """The newest value; NaN until `ready`."""
        return self._values[self._series._hi + self._shift]

    @property
    def ready(self) -> bool:
        """Whether there have been enough bars for a first value."""
        return self._series.count >= self.indicator.warmup

    @property
    def values(self) -> NDArray[np.float64]:
        """The visible values, oldest first, as a read-only view; NaN during warm-up."""
        count = self._series.count
        view = self._column[max(count - self._history, self._first) - self._first : count - self._first]
        view.flags.writeable = False
        return view

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> NDArray[np.float64]: ...
    def __getitem__(self, index: int | slice) -> float | NDArray[np.float64]:
        found = self.values[index]
        return found if isinstance(index, slice) else float(found)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"{self.indicator.label} of {self._series.symbol} {self._series.interval} = {self.value}"
